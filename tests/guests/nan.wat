;; Rewrites `timeout` to a NaN. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a7rewrite\81\a7timeout\cb\7f\f8\00\00\00\00\00\00")  ;; 27 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0000001b)))  ;; pointer 16, length 27
