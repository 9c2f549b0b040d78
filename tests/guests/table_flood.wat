;; Grows its table without end, refused or not. Must: fault OutOfFuel or OutOfTime.
(module
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (loop $ever
      (drop (table.grow $table (ref.null func) (i32.const 1000)))
      (br $ever))
    (unreachable)))
