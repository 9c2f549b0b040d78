;; Makes a struct on the garbage-collected heap. Must: refused by the scan and by the engine.
(module
  (type $point (struct (field i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (drop (struct.new $point (i32.const 1)))
    (i64.const 0x10_0000000d)))
