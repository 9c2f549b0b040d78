;; Writes and draws random bytes for ever. Must: fault OutOfFuel.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1000) (i32.const 80)))
      (drop (call $random_get (i32.const 4096) (i32.const 4096)))
      (br $again))
    (i64.const 0x10_0000000d)))
