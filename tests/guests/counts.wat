;; Remembers in 8 bytes how often it was asked, and passes. Must: pass; count exactly where its state is granted.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a5state\c4\08\00\00\00\00\00\00\00\00")  ;; 17 bytes; the number stands at 25
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32)
    (local $missing i32)  ;; pages that 1024 + size needs beyond those there are
    (local.set $missing
      (i32.sub (i32.shr_u (i32.add (local.get $size) (i32.const 66559)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
        (then (return (i32.const 0))))))
    (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $end i32)  ;; the state is the last entry of the request: nil, or 0xc4 0x08 and 8 bytes
    (local.set $end (i32.add (local.get $request) (local.get $length)))
    (if (i32.eq (i32.load16_u (i32.sub (local.get $end) (i32.const 10))) (i32.const 0x08c4))
      (then (i64.store (i32.const 25) (i64.load (i32.sub (local.get $end) (i32.const 8)))))
      (else (if (i32.ne (i32.load8_u (i32.sub (local.get $end) (i32.const 1))) (i32.const 0xc0)) (then (unreachable)))))
    (i64.store (i32.const 25) (i64.add (i64.load (i32.const 25)) (i64.const 1)))
    (i64.const 0x10_00000011)))  ;; pointer 16, length 17
