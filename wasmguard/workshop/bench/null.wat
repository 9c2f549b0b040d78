;; The policy that costs nothing: it looks at nothing and answers the empty map, which is a pass. What a decision takes
;; with it is what the host takes by itself.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\80")  ;; the empty map, 1 byte
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32)  ;; the request from byte 16, far from the answer
    (if (i32.gt_u (local.get $size) (i32.const 0xfff0))  ;; more than the page has left
      (then (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
    (i32.const 16))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 1)))  ;; pointer 0, length 1
