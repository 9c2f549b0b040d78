;; Reads all its memory, a table and a global, and traps unless they are as new. Must: answer pass, whoever ran before.
(module
  (memory (export "memory") 1)
  (table $table 100 funcref)
  (global $mark (mut i64) (i64.const 0))
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $at i32)
    (if (i64.ne (global.get $mark) (i64.const 0)) (then unreachable))
    (loop $entries
      (if (i32.eqz (ref.is_null (table.get $table (local.get $at)))) (then unreachable))
      (br_if $entries (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 100))))
    (drop (memory.grow (i32.const 255)))
    (local.set $at (i32.const 4096))  ;; behind the request
    (loop $words
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
      (br_if $words (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 64)))
        (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 64)))))
    (i64.const 0x10_0000000d)))
