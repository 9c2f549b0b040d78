;; Divides by zero. Must: fault Trapped.
(module
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.div_u (i64.const 1) (i64.extend_i32_u (i32.shr_u (local.get $length) (i32.const 31))))))
