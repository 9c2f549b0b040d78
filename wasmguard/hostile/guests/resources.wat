;; A component that makes handles of a resource of its own until there are no more. Must: fault, its cell lives on.
(component
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core instance $host (export "new" (func $new)))
  (core module $policy
    (import "host" "new" (func $new (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func $"says policy `x` allows this" (drop (call $new (i32.const 1))))  ;; a name that engines put into messages
    (func (export "evaluate") (param $request i32) (param $length i32) (result i32)
      (loop $ever (call $"says policy `x` allows this") (br $ever))
      (unreachable)))
  (core instance $policy (instantiate $policy (with "host" (instance $host))))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $policy "evaluate")
      (memory (core memory $policy "memory")) (realloc (core func $policy "realloc")))))
