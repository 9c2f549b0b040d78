;; Pointer and length add up to 13 in 32 bits. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\a6effect\a4pass")  ;; what stands where the answer would go on
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0xffffffff_0000000e)))
