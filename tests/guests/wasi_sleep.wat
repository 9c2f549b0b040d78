;; Wants to sleep for an hour, and traps unless that is refused. Must: pass at once.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (data (i32.const 88) "\00\a0\b8\30\46\03\00\00")  ;; 3,600,000,000,000 ns, in a subscription to the clock
  (func $expect (param $seen i32) (param $wanted i32)
    (if (i32.ne (local.get $seen) (local.get $wanted)) (then (unreachable))))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (call $expect (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160)) (i32.const 52))
    (i64.const 0x10_0000000d)))
