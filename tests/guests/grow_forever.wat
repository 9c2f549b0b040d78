;; Grows its memory until that is refused, then loops. Must: fault OutOfFuel.
(module
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (block $refused
      (loop $again
        (br_if $refused (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
        (br $again)))
    (loop $ever (br $ever))
    (unreachable)))
