;; Fills its memory up to the limit, a table and a global with something that must not outlive the event. Must: answer pass.
(module
  (memory (export "memory") 1)
  (table $table 100 funcref)
  (global $mark (mut i64) (i64.const 0))
  (func $something)
  (elem declare func $something)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (drop (memory.grow (i32.const 255)))
    (memory.fill (i32.const 4096) (i32.const 0xaa) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4096)))
    (table.fill $table (i32.const 0) (ref.func $something) (i32.const 100))
    (global.set $mark (i64.const -1))
    (i64.const 0x10_0000000d)))
