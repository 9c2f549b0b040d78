;; Answers what its settings spell in hexadecimal under `answer`; `xNNNNBB` stands for NNNN times the byte BB.
(module
  (memory (export "memory") 33)  ;; the answer from byte 16, the request from 1 MiB
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32)
    (select (i32.const 0x100000) (i32.const 0) (i32.lt_u (local.get $size) (i32.const 0x100000))))

  (func $digit (param $at i32) (result i32)
    (local $character i32)
    (local.set $character (i32.load8_u (local.get $at)))
    (select
      (i32.sub (local.get $character) (i32.const 48))  ;; 0 to 9
      (i32.sub (local.get $character) (i32.const 87))  ;; a to f
      (i32.lt_u (local.get $character) (i32.const 58))))
  (func $byte (param $at i32) (result i32)
    (i32.or
      (i32.shl (call $digit (local.get $at)) (i32.const 4))
      (call $digit (i32.add (local.get $at) (i32.const 1)))))

  (func $value (param $at i32) (result i32)  ;; where the text after the key `answer` has its head
    (loop $search
      (if (i64.ne
            (i64.and (i64.load (local.get $at)) (i64.const 0xff_ffff_ffff_ffff))
            (i64.const 0x72_6577_736e_61a6))  ;; a6 "answer", read backwards
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $search))))
    (i32.add (local.get $at) (i32.const 7)))

  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $at i32) (local $end i32) (local $out i32) (local $head i32) (local $count i32)
    (local.set $at (call $value (local.get $request)))
    (local.set $head (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $count (i32.and (local.get $head) (i32.const 31)))
    (if (i32.ge_u (local.get $head) (i32.const 0xd9))  ;; the size in 1, 2 or 4 bytes, big end first
      (then
        (local.set $end (i32.add (local.get $at) (i32.shl (i32.const 1) (i32.sub (local.get $head) (i32.const 0xd9)))))
        (local.set $count (i32.const 0))
        (loop $size
          (local.set $count (i32.or (i32.shl (local.get $count) (i32.const 8)) (i32.load8_u (local.get $at))))
          (br_if $size (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))))
    (local.set $end (i32.add (local.get $at) (local.get $count)))
    (local.set $out (i32.const 16))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 120))  ;; x
          (then
            (local.set $count (i32.or
              (i32.shl (call $byte (i32.add (local.get $at) (i32.const 1))) (i32.const 8))
              (call $byte (i32.add (local.get $at) (i32.const 3)))))
            (memory.fill (local.get $out) (call $byte (i32.add (local.get $at) (i32.const 5))) (local.get $count))
            (local.set $out (i32.add (local.get $out) (local.get $count)))
            (local.set $at (i32.add (local.get $at) (i32.const 7))))
          (else
            (i32.store8 (local.get $out) (call $byte (local.get $at)))
            (local.set $out (i32.add (local.get $out) (i32.const 1)))
            (local.set $at (i32.add (local.get $at) (i32.const 2)))))
        (br $next)))
    (i64.or
      (i64.const 0x10_0000_0000)
      (i64.extend_i32_u (i32.sub (local.get $out) (i32.const 16))))))
