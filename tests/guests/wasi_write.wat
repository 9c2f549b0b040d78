;; Imports `fd_write` twice, as Go does, and traps unless both writes count as complete. Must: pass, and nothing is written.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write_again (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (data (i32.const 48) "written")
  (data (i32.const 64) "\30\00\00\00\07\00\00\00\30\00\00\00\05\00\00\00")  ;; two buffers, of 7 and 5 bytes
  (func $expect (param $seen i32) (param $wanted i32)
    (if (i32.ne (local.get $seen) (local.get $wanted)) (then (unreachable))))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (call $expect (call $fd_write (i32.const 1) (i32.const 64) (i32.const 2) (i32.const 80)) (i32.const 0))
    (call $expect (i32.load (i32.const 80)) (i32.const 12))
    (call $expect (call $fd_write_again (i32.const 2) (i32.const 64) (i32.const 1) (i32.const 80)) (i32.const 0))
    (call $expect (i32.load (i32.const 80)) (i32.const 7))
    (i64.const 0x10_0000000d)))
