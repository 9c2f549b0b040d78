;; Fills 15 MiB again and again: bulk instructions run first and are charged after. Must: fault OutOfFuel or OutOfTime.
(module
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (drop (memory.grow (i32.const 239)))
    (loop $ever
      (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 0xf00000))
      (br $ever))
    (unreachable)))
