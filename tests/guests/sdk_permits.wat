;; Allows, with a rule that allows Write for the session. Must: allow with that rule where both are granted, else fault Ungranted.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\82\a6effect\a5allow\abpermissions\91\84\a4type\a8addRules\a5rules\91\81\a8toolName\a5Write\a8behavior\a5allow\abdestination\a7session")  ;; 100 bytes
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
    (i64.const 0x10_00000064)))  ;; pointer 16, length 100
