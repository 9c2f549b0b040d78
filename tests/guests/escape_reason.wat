;; Its reason clears the screen, rings, reverses text, writes the clipboard (OSC 52). Must: deny, cleaned.
(module
  (memory (export "memory") 1)
  (data (i32.const 16)  ;; 64 bytes; the reason: clear, red, bell, right-to-left override, clipboard, zero-width space
    "\82\a6effect\a4deny\a6reason\d9\2a"
    "no\1b[2J\1b[31m\07\e2\80\ae txt.exe\1b]52;c;cm0gLXJm\07\e2\80\8b")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (i64.const 0x10_00000040)))  ;; pointer 16, length 64
