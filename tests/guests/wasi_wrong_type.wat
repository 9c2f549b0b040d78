;; Imports `fd_write` with another type. Must: refused by check_abi, by name.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0000000d)))
