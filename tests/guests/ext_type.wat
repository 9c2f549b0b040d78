;; Its reason is an ext type. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\82\a6effect\a4deny\a6reason\d4\01\00")  ;; 23 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000017)))  ;; pointer 16, length 23
