;; Answers a reason of 64 KiB, well-formed, but over the limit of an answer. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 2)
  (data (i32.const 16) "\81\a6reason\db\00\01\00\00")  ;; 13 bytes, then 65,536 of zero
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0001000d)))
