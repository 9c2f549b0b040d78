;; Passes, and denies once a global or a memory cell remembers an earlier call. Must: pass every time.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (data (i32.const 64) "\82\a6effect\a4deny\a6reason\aestate survived")  ;; 35 bytes
  (global $calls (mut i32) (i32.const 0))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $before i32)
    (local.set $before (i32.add (global.get $calls) (i32.load (i32.const 8))))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 8) (i32.const 1))
    (if (result i64) (local.get $before)
      (then (i64.const 0x40_00000023))
      (else (i64.const 0x10_0000000d)))))
