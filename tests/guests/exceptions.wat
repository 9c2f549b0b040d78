;; Throws an exception and catches it. Must: refused by the scan and by the engine.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (tag $oops)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (block $caught
      (try_table (catch $oops $caught) (throw $oops)))
    (i64.const 0x10_0000000d)))
