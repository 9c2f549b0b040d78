"""Texts from UTF-8 bytes and back, for a guest whose language has nothing for it: a small component beside the guest's.

QuickJS has not, and in JavaScript a byte takes 400 to 1,000 instructions: a policy could not read a content of 300 kB.
But whatever passes from one component to another as a text is decoded by the engine. So a second component takes bytes
and gives the same bytes back as a text, and the engine checks them and traps on what is no UTF-8: `load_string` in
<https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md>. 30 to 100 instructions a byte.
"""

from __future__ import annotations

from wasmguard.guest import abi
from wasmguard.guest.sections import leb128

NAME = "wasmguard:policy/text@1.0.0"
INTERFACE = """\
interface text {
  decoded: func(bytes: list<u8>) -> string;
  encoded: func(text: string) -> list<u8>;
}

world policy {
  import text;"""
WORLD = abi.WORLD.replace("world policy {", INTERFACE)
"""The world that such a guest is made for. What `with_texts` makes of it is of the world of every policy again."""

BESIDE = """
(component
  (core module $made
    (memory (export "memory") 1)
    ;; Where the bytes go: always the same place, for what was there before was read to its end.
    (func (export "room") (param i32 i32 i32) (param $size i32) (result i32)
      (local $more i32)
      (local.set $more
        (i32.sub
          (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2)) ;; pages
          (memory.size)))
      (if (i32.gt_s (local.get $more) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $more)) (i32.const -1)) (then unreachable))))
      i32.const 16)
    (func (export "same") (param $start i32) (param $size i32) (result i32)
      (i32.store (i32.const 0) (local.get $start))
      (i32.store (i32.const 4) (local.get $size))
      i32.const 0))
  (core instance $made (instantiate $made))
  (func (export "decoded") (param "bytes" (list u8)) (result string)
    (canon lift (core func $made "same") (memory (core memory $made "memory")) (realloc (core func $made "room"))))
  (func (export "encoded") (param "text" string) (result (list u8))
    (canon lift (core func $made "same") (memory (core memory $made "memory")) (realloc (core func $made "room")))))
"""

COMPONENTS, INSTANCES, ALIASES, EXPORTS = 4, 5, 6, 11  # sections


def with_texts(guest: bytes) -> bytes:
    """The component *guest* with that one beside it, from which it imports `NAME`; exports `evaluate` alone."""
    from wasmguard.sandbox.assemble import assembled

    evaluate = _named(abi.COMPONENT_EXPORT)
    parts = [
        (COMPONENTS, assembled(BESIDE)),
        (COMPONENTS, guest),
        # Two instances: component 0 with nothing, and component 1 with one argument, instance 0.
        (INSTANCES, b"\2" + b"\0\0\0" + b"\0\1\1" + _named(NAME) + b"\5\0"),
        (ALIASES, b"\1" + b"\1\0\1" + evaluate),  # the function that instance 1 exports
        (EXPORTS, b"\1" + b"\0" + evaluate + b"\1\0\0"),  # function 0, its type as it is
    ]
    return abi.COMPONENT_HEADER + b"".join(bytes([kind]) + leb128(len(data)) + data for kind, data in parts)


def _named(name: str) -> bytes:
    return leb128(len(name)) + name.encode()
