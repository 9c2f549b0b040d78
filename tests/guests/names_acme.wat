;; Denies what does not name the client "Acme" anywhere in the request. Must: pass with it, deny without.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\82\a6effect\a4deny\a6reason\b8only searches about Acme")  ;; 45 bytes
  (data (i32.const 96) "\80")
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
    (local $end i32)
    (local.set $end (i32.sub (i32.add (local.get $request) (local.get $length)) (i32.const 3)))
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $request) (local.get $end)))
        (if (i32.eq (i32.load align=1 (local.get $request)) (i32.const 0x656d6341))  ;; "Acme"
          (then (return (i64.const 0x60_00000001))))  ;; pointer 96, length 1
        (local.set $request (i32.add (local.get $request) (i32.const 1)))
        (br $next)))
    (i64.const 0x10_0000002d)))  ;; pointer 16, length 45
