;; Exports one name more, which clears the screen. Must: pass, the name cleaned where it is shown.
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  (func (export "log\1b[2J\0a\e2\80\ae"))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_0000000d)))  ;; pointer 16, length 13
