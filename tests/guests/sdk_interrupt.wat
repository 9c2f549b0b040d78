;; Denies and wants the whole run stopped. Must: deny with an interrupt.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\83\a6effect\a4deny\a6reason\a4stop\a9interrupt\c3")  ;; 36 bytes
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
    (i64.const 0x10_00000024)))  ;; pointer 16, length 36
