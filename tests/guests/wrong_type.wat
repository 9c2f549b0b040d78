;; Its effect is the number 1. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\01")  ;; 9 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000009)))  ;; pointer 16, length 9
