;; Grows to its limit and writes a byte to every 4 KiB, then passes. Must: pass, and the next one sees none of it.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $at i32)
    (drop (memory.grow (i32.const 255)))
    (local.set $at (i32.const 8192))
    (loop $pages
      (if (i32.load8_u (local.get $at)) (then (unreachable)))  ;; somebody was here before
      (i32.store8 (local.get $at) (i32.const 0xaa))
      (br_if $pages (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 4096)))
        (i32.shl (memory.size) (i32.const 16)))))
    (i64.const 0x10_0000000d)))
