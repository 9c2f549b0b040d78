;; Calls itself without end. Must: fault StackOverflow.
(module
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func $evaluate (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.add (i64.const 1)  ;; work after the call: no tail call
      (call $evaluate (local.get $request) (local.get $length)))))
