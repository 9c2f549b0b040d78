"""wasmguard: a guard for AI coding agents that runs untrusted policies in WebAssembly sandboxes."""
