;; Traps unless two draws of random bytes are the same, and more than zeroes. Must: pass every time.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func $expect (param $seen i32) (param $wanted i32)
    (if (i32.ne (local.get $seen) (local.get $wanted)) (then (unreachable))))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (call $expect (call $random_get (i32.const 64) (i32.const 16)) (i32.const 0))
    (call $expect (call $random_get (i32.const 80) (i32.const 16)) (i32.const 0))
    (call $expect (i32.load (i32.const 64)) (i32.load (i32.const 80)))
    (call $expect (i32.load (i32.const 76)) (i32.load (i32.const 92)))
    (call $expect (i32.eqz (i32.load (i32.const 64))) (i32.const 0))
    (call $expect (i32.load (i32.const 96)) (i32.const 0))
    (i64.const 0x10_0000000d)))
