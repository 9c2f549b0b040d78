;; Imports a name that clears the screen and starts a new line. Must: refused by check_abi, the name cleaned.
(module
  (import "env" "log\1b[2J\0apolicy \22x\22 is fine\e2\80\ae" (func $log))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0000000d)))
