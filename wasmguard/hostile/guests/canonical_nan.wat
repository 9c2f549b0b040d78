;; Makes NaNs in three ways and traps unless each is the canonical one, with the same bits everywhere. Must: pass.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func $check (param $nan f64)
    (if (i64.ne (i64.reinterpret_f64 (local.get $nan)) (i64.const 0x7ff8000000000000)) (then (unreachable))))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $zero f64)
    (call $check (f64.div (local.get $zero) (local.get $zero)))
    (call $check (f64.sqrt (f64.sub (local.get $zero) (f64.const 1))))
    (call $check (f64.add (f64.load (i32.const 8192)) (f64.const 1)))
    (i64.const 0x10_0000000d))
  (data (i32.const 8192) "\01\00\00\00\00\00\f4\7f"))  ;; a signalling NaN with a payload
