  ;; The head that makes guard.wat a policy of ABI 1.
  (export "wasmguard_alloc" (func $take))
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_evaluate") (param $from i32) (param $size i32) (result i64)
    (if (call $denies (local.get $from) (local.get $size))
      (then (return (i64.const 0x90_0000002e)))) ;; 46 bytes at 144
    (i64.const 0x80_00000001)) ;; 1 byte at 128
