;; A command: exports `_start` and nothing of the guest ABI. Must: refused by check_abi, with its own sentence.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
