;; What it exports as `memory` is a function. Must: refused by check_abi.
(module
  (memory 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "memory"))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0000000d)))  ;; pointer 16, length 13
