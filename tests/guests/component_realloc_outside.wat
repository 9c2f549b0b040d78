;; A component whose `realloc` answers behind its memory. Must: fault.
(component
  (core module $policy
    (memory (export "memory") 1)
    (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
    (data (i32.const 32) "\00\00\00\00\10\00\00\00\0d\00\00\00")  ;; arm ok, pointer 16, length 13
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (i32.const 0xfffffff0))
    (func (export "evaluate") (param $request i32) (param $length i32) (result i32)
      (i32.const 32)))
  (core instance $policy (instantiate $policy))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $policy "evaluate")
      (memory (core memory $policy "memory")) (realloc (core func $policy "realloc")))))
