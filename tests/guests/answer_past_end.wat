;; Its answer starts in its memory and ends one byte behind it. Must: fault InvalidAnswer.
(module
  (memory (export "memory") 1)
  (data (i32.const 0xfff4) "\81\a6effect\a4pas")  ;; the last 12 bytes; the 13th would be outside
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0xfff4_0000000d)))
