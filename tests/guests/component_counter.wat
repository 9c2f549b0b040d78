;; A component that denies once a page of its image, or one behind it, remembers a call. Must: pass every time.
(component
  (core module $policy
    (memory (export "memory") 2)
    (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
    (data (i32.const 32) "\00\00\00\00\10\00\00\00\0d\00\00\00")  ;; arm ok, pointer 16, length 13
    (data (i32.const 48) "\81\a6effect\a4deny")
    (data (i32.const 4096) "new")  ;; on another page of the image
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
    (func (export "evaluate") (param i32 i32) (result i32)
      (if (i32.or
            (i32.ne (i32.load8_u (i32.const 4096)) (i32.const 110))  ;; n
            (i32.load8_u (i32.const 131071)))  ;; the last byte
        (then (i32.store8 (i32.const 36) (i32.const 48))))
      (i32.store8 (i32.const 4096) (i32.const 0))
      (i32.store8 (i32.const 131071) (i32.const 1))
      (i32.const 32)))
  (core instance $policy (instantiate $policy))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $policy "evaluate")
      (memory (core memory $policy "memory")) (realloc (core func $policy "realloc")))))
