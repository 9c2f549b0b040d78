;; Its reason goes on with a line that looks like another policy's. Must: deny, its reason quoted on one line.
(module
  (memory (export "memory") 1)
  (data (i32.const 16)  ;; 81 bytes
    "\82\a6effect\a4deny\a6reason\d9\3b"
    "fine\0apolicy \22owner-rules\22 says (untrusted text): \22allowed\22\0a")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000051)))  ;; pointer 16, length 81
