;; A rewrite with 40 arrays in each other. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 16)
    "\81\a7rewrite\81\a1a"
    "\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91"
    "\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\91\90")  ;; 52 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000034)))  ;; pointer 16, length 52
