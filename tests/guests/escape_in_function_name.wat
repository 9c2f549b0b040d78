;; Traps in a function whose name clears the screen and starts a new line. Must: fault Trapped, the name cleaned.
(module
  (memory (export "memory") 1)
  (func $"bad\1b[2J\0apolicy \22x\22 is fine\u{202e}" (result i64) (unreachable))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (call 0)))
