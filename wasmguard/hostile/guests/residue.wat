;; Reads its memory up to the limit, four tables and a global, traps unless all are as new, then dirties them all. Must: pass.
(module
  (memory (export "memory") 1)
  (table $a 1 funcref) (table $b 10000 funcref) (table $c 10000 funcref) (table $d 10000 funcref)
  (global $mark (mut i64) (i64.const 0))
  (func $something)
  (elem declare func $something)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))

  (func $clean (param $at i32)  ;; every word from there to the end of the memory
    (loop $words
      (if (v128.any_true (v128.load (local.get $at))) (then (unreachable)))
      (br_if $words (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 64)))
        (i32.shl (memory.size) (i32.const 16))))))
  (func $empty  ;; every table
    (local $at i32)
    (loop $entries
      (if (i32.eqz (ref.is_null (table.get $b (local.get $at)))) (then (unreachable)))
      (if (i32.eqz (ref.is_null (table.get $c (local.get $at)))) (then (unreachable)))
      (if (i32.eqz (ref.is_null (table.get $d (local.get $at)))) (then (unreachable)))
      (br_if $entries (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 10000)))))

  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (if (i64.ne (global.get $mark) (i64.const 0)) (then (unreachable)))
    (if (i32.ne (table.size $a) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (memory.size) (i32.const 1)) (then (unreachable)))
    (drop (table.grow $a (ref.null func) (i32.const 9999)))
    (if (i32.eqz (ref.is_null (table.get $a (i32.const 9999)))) (then (unreachable)))
    (call $clean (i32.const 32768))  ;; behind the request
    (drop (memory.grow (i32.const 255)))
    (call $clean (i32.const 65536))
    (call $empty)
    (memory.fill (i32.const 32768) (i32.const 0xaa) (i32.const 0xff8000))
    (table.fill $a (i32.const 0) (ref.func $something) (i32.const 10000))
    (table.fill $b (i32.const 0) (ref.func $something) (i32.const 10000))
    (table.fill $c (i32.const 0) (ref.func $something) (i32.const 10000))
    (table.fill $d (i32.const 0) (ref.func $something) (i32.const 10000))
    (global.set $mark (i64.const -1))
    (i64.const 0x10_0000000d)))
