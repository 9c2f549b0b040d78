"""A policy of OPA, straight over the C API: `wasmguard.sandbox.call` with the instances of `wasmguard.sandbox.opa`.

What a policy says when it gives up (`opa_abort`: rules that contradict each other, no memory left) is read after the
trap, as its own words: the address comes from the stand-in, the words end with a NUL or are cut. To ask for the address
is a part of the evaluation, on the same fuel and time.
"""

from __future__ import annotations

from ctypes import addressof, create_string_buffer, string_at

from wasmguard.sandbox import bindings as c
from wasmguard.sandbox.call import IN_EVALUATE, MEMORY, START, U32, Around, Buffers, CoreGuest, done, export
from wasmguard.sandbox.failure import REPORTED, TEXT, TRAP, Failed
from wasmguard.sandbox.opa import SAID, TAKEN
from wasmguard.sandbox.traps import UNREACHABLE

LONGEST = 4 * TEXT  # bytes of what a policy says when it gives up
NAME_OF_SAID = SAID.encode()
NAMES_OF_TAKEN = tuple(name.encode() for name in TAKEN)


class Between(Around):
    """A policy between its stand-in and its front, whose exports are the guest's."""

    def instantiate(self, context: int, b: Buffers) -> None:
        """Make all three instances; everything is given by position."""
        lib, count, taken = self._library, len(self._imports), len(NAMES_OF_TAKEN)
        stand_in = create_string_buffer(c.INSTANCE_BYTES)
        given = create_string_buffer((count + 1 + taken) * c.EXTERN_BYTES)
        around, first = addressof(stand_in), addressof(given)
        memory = first + count * c.EXTERN_BYTES

        done(lib, b, START, lib.instantiate(self._shim, context, around, b.trap))
        export(lib, context, around, NAME_OF_SAID, b.said)
        export(lib, context, around, MEMORY, b.externs[0])
        for place, name in enumerate(self._imports):
            export(lib, context, around, name, first + place * c.EXTERN_BYTES)
        export(lib, context, around, MEMORY, memory)
        done(lib, b, START, lib.instance_new(context, self._policy, first, count, b.instance, b.trap))
        for place, name in enumerate(NAMES_OF_TAKEN, 1):
            export(lib, context, b.instance, name, memory + place * c.EXTERN_BYTES)
        done(lib, b, START, lib.instance_new(context, self._fixup, memory, 1 + taken, b.instance, b.trap))


class OpaGuest(CoreGuest):
    """A compiled module of OPA, ready to be asked."""

    between = Between

    def _asked(self, context: int, b: Buffers, request: bytes) -> bytes:
        """As `CoreGuest._asked`. The stand-in has no code that runs before the policy's, so that where something
        unreachable was reached, its handles are of this evaluation."""
        try:
            return super()._asked(context, b, request)
        except Failed as failed:
            if failed.failure[:2] == (TRAP, UNREACHABLE) and (said := self._said(context, b)):
                raise Failed(REPORTED, 0, 0, said) from None
            raise

    def _said(self, context: int, b: Buffers) -> str:
        """What it said when it gave up; nothing if it did not say anything."""
        lib, memory = self._library, b.externs[0] + c.EXTERN_OF
        done(lib, b, IN_EVALUATE, lib.call(context, b.said + c.EXTERN_OF, b.raw, 1, b.trap))
        start, size = b.slots[0] & U32, lib.memory_size(context, memory)
        if not 0 < start < size:
            return ""
        words = string_at(lib.memory_data(context, memory) + start, min(LONGEST, size - start))
        return words.partition(b"\0")[0].decode("utf-8", "replace")
