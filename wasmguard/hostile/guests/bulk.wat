;; Copies, fills, drops segments and grows tables: what compilers emit stays switched on. Must: pass.
(module
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (data $passive "four")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (memory.init $passive (i32.const 8192) (i32.const 0) (i32.const 4))
    (data.drop $passive)
    (memory.fill (i32.const 8192) (i32.const 0) (i32.const 4))
    (memory.copy (i32.const 8192) (i32.const 16) (i32.const 13))
    (drop (table.grow $table (ref.null func) (i32.const 1)))
    (i64.const 0x2000_0000000d)))
