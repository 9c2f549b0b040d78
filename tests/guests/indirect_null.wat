;; Calls through an empty table slot. Must: fault Trapped.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (call_indirect (result i64) (i32.const 0))))
