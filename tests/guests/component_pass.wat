;; A component that always answers {"effect": "pass"}. Must: pass.
(component
  (core module $policy
    (memory (export "memory") 1)
    (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
    (data (i32.const 32) "\00\00\00\00\10\00\00\00\0d\00\00\00")  ;; arm ok, pointer 16, length 13
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $missing i32)  ;; pages that 1024 + size needs beyond those there are
      (local.set $missing
        (i32.sub (i32.shr_u (i32.add (local.get $size) (i32.const 66559)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (unreachable)))))
      (i32.const 1024))
    (func (export "evaluate") (param $request i32) (param $length i32) (result i32)
      (i32.const 32)))
  (core instance $policy (instantiate $policy))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $policy "evaluate")
      (memory (core memory $policy "memory")) (realloc (core func $policy "realloc")))))
