;; Answers -1: pointer and length are 2^32 - 1. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const -1)))
