"""Hostile cases about numbers that name memory: what `alloc` gives, what `evaluate` answers, what a component lifts."""

from __future__ import annotations

from wasmguard.hostile.case import INVALID, PASSES, TRAPPED, Case, Faulted, component, guest, lifted

OUTSIDE = Faulted(says=("outside its memory",))
NO_ROOM = Faulted(says=("no room",))
EMPTY = Faulted(says=("it is empty",))
TOO_LONG = Faulted(says=("(limit",))
LIFTED = Faulted(says=("failed in evaluate", "trapped in evaluate", "is empty", "reports an error"))

ANSWERS: dict[str, tuple[str, int, Faulted]] = {
    "zero": ("0", 0, EMPTY),
    "minus-one": ("-1", 2**64 - 1, TOO_LONG),
    "no-length": ("a pointer without a length", 16 << 32, EMPTY),
    "length-sign": ("a length with its highest bit set", 16 << 32 | 1 << 31, TOO_LONG),
    "length-most": ("the largest length", 16 << 32 | 2**32 - 1, TOO_LONG),
    "one-over-the-cap": ("a length of one byte over the cap", 16 << 32 | 65_537, TOO_LONG),
    "pointer-sign": ("a pointer with its highest bit set", 1 << 63 | 13, OUTSIDE),
    "pointer-most": ("the largest pointer", (2**32 - 1) << 32 | 13, OUTSIDE),
    "wraps": ("a pointer and a length that add up to 13 in 32 bits", (2**32 - 100) << 32 | 113, OUTSIDE),
    "wraps-to-nothing": ("a pointer and a length that add up to 0 in 32 bits", (2**32 - 13) << 32 | 13, OUTSIDE),
    "at-the-end": ("the end of its memory", 65_536 << 32 | 13, OUTSIDE),
    "one-past": ("thirteen bytes of which twelve are there", (65_536 - 12) << 32 | 13, OUTSIDE),
    "swapped": ("length and pointer in each other's place", 13 << 32 | 16, INVALID),
    "high-only": ("its pointer in the lower half", 16, INVALID),
    "at-null": ("thirteen zeroes at address 0", 13, INVALID),
    "short": ("all but the last byte", 16 << 32 | 12, INVALID),
    "long": ("one byte more than there is", 16 << 32 | 14, INVALID),
    "into-the-middle": ("its second byte first", 17 << 32 | 12, INVALID),
}
ROOMS: dict[str, tuple[str, str, Faulted]] = {
    "zero": ("0", "(i32.const 0)", NO_ROOM),
    "minus-one": ("-1", "(i32.const -1)", OUTSIDE),
    "minus-eight": ("-8", "(i32.const -8)", OUTSIDE),
    "sign": ("its highest bit set", "(i32.const 0x80000000)", OUTSIDE),
    "half": ("the largest signed number", "(i32.const 0x7fffffff)", OUTSIDE),
    "end": ("the end of its memory", "(i32.const 65536)", OUTSIDE),
    "last-byte": ("the last byte of its memory", "(i32.const 65535)", OUTSIDE),
    "one-short": ("one byte too late", "(i32.sub (i32.const 65537) (local.get $size))", OUTSIDE),
    "wraps": ("where address and size wrap", "(i32.sub (i32.const 0) (local.get $size))", OUTSIDE),
    "the-size": ("the size as an address, negative", "(i32.sub (i32.const -1) (local.get $size))", OUTSIDE),
    "refused-growth": (
        "what a refused growth answers",
        "(i32.shl (memory.grow (i32.const 65536)) (i32.const 16))",
        OUTSIDE,
    ),
    "over-its-answer": ("where its own answer lies", "(i32.const 16)", INVALID),
    "over-its-answer-partly": ("where its own answer ends", "(i32.const 20)", INVALID),
    "trap": ("nothing, and traps", "(unreachable)", TRAPPED),
}
REQUEST = "(i64.shl (i64.extend_i32_u (local.get $request)) (i64.const 32))"  # as the pointer of an answer
LIFTS = {
    "pointer-behind": ("a list behind its memory", lifted(pointer=65_536)),
    "pointer-most": ("a list at the largest pointer", lifted(pointer=-1)),
    "wraps": ("a list whose pointer and length wrap", lifted(pointer=-4, length=8)),
    "length-most": ("a list of 2^32 - 1 bytes", lifted(length=-1)),
    "length-sign": ("a list of 2^31 bytes", lifted(length=-(2**31))),
    "empty": ("a list of nothing", lifted(length=0)),
    "third-arm": ("a third arm of two", lifted(arm=2)),
    "last-arm": ("the arm 255", lifted(arm=255)),
    "error-behind": ("an error behind its memory", lifted(arm=1, pointer=65_530)),
    "error-length": ("an error of 2^32 - 1 bytes", lifted(arm=1, length=-1)),
    "error-not-utf-8": ("an error that is not UTF-8", lifted(arm=1, pointer=16, length=1)),
    "error-empty": ("an error of nothing", lifted(arm=1, length=0)),
}

CASES = (
    *(
        Case(name=f"answer-{name}", what=f"answers {what}", must=must, module=guest("", answer=f"(i64.const {number})"))
        for name, (what, number, must) in ANSWERS.items()
    ),
    *(
        Case(name=f"room-{name}", what=f"gives as room: {what}", must=must, module=guest("", alloc=room))
        for name, (what, room, must) in ROOMS.items()
    ),
    *(
        Case(name=f"component-{name}", what=f"a component that answers {what}", must=LIFTED, module=component(lifted))
        for name, (what, lifted) in LIFTS.items()
    ),
    Case(
        name="answer-request",
        what="answers with its request",
        must=INVALID,
        module=guest(
            "",
            answer=f"(i64.or {REQUEST} (i64.extend_i32_u (local.get $length)))",
        ),
    ),
    Case(
        name="answer-from-request",
        what="answers with the event out of its request",
        must=INVALID,
        module=guest(
            "",
            answer=f"(i64.or (i64.add {REQUEST} (i64.const {12 << 32})) (i64.const 200))",
        ),
    ),
    Case(
        name="component-result-behind",
        what="a component whose result lies behind its memory",
        must=LIFTED,
        module=component("", answer="(i32.const 65535)"),
    ),
    Case(
        name="component-result-crooked",
        what="a component whose result is not aligned",
        must=LIFTED,
        module=component("", answer="(i32.const 33)"),
    ),
    Case(
        name="component-room-behind",
        what="a component whose `realloc` gives the end of its memory",
        must=LIFTED,
        module=component("", realloc="(i32.const 65536)"),
    ),
    Case(
        name="component-room-negative",
        what="a component whose `realloc` gives -8",
        must=LIFTED,
        module=component("", realloc="(i32.const -8)"),
    ),
    Case(
        name="component-room-over-its-answer",
        what="a component whose `realloc` gives where its own answer lies",
        must=LIFTED,
        module=component("", realloc="(i32.const 16)"),
    ),
    Case(
        name="component-surrogate",
        what="a component whose error is half a surrogate pair in UTF-16",
        must=LIFTED,
        module=component(
            f"(i32.store16 (i32.const 64) (i32.const 0xd800)) {lifted(arm=1, pointer=64, length=1)}",
            options="string-encoding=utf16",
        ),
    ),
    Case(
        name="control-last-bytes",
        what="answers from the last bytes of its memory",
        must=PASSES,
        module=guest(
            "(memory.copy (i32.const 65523) (i32.const 16) (i32.const 13))", answer=f"(i64.const {65_523 << 32 | 13})"
        ),
    ),
    Case(
        name="control-null",
        what="answers from address 0",
        must=PASSES,
        module=guest("(memory.copy (i32.const 0) (i32.const 16) (i32.const 13))", answer="(i64.const 13)"),
    ),
    Case(
        name="control-tight-room",
        what="gives room that ends with its memory",
        must=PASSES,
        module=guest("", alloc="(i32.sub (i32.const 65536) (local.get $size))"),
    ),
    Case(
        name="control-crooked-room",
        what="gives room at an odd address",
        must=PASSES,
        module=guest("", alloc="(i32.const 1025)"),
    ),
)
