;; `alloc` answers 0: refused. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 4096) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 0))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x1000_0000000d)))
