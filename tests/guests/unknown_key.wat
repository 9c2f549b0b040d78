;; Answers a key that does not exist, `verdict`. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\82\a6effect\a4pass\a7verdict\01")  ;; 22 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000016)))  ;; pointer 16, length 22
