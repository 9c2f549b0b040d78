"""Hostile cases about wearing us out: the same fault again and again, answers at the cap, what costs a reader most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect
from wasmguard.hostile.case import (
    INVALID,
    OUT_OF_FUEL,
    PASSES,
    STACK_OVERFLOW,
    TOOL,
    TRAPPED,
    UNGRANTED,
    Answered,
    Case,
    Faulted,
    component,
    constant,
    guest,
    lifted,
)
from wasmguard.hostile.raw import FALSE, answer, integer, pairs, text

if TYPE_CHECKING:
    from wasmguard.hostile.case import Module

CAP = 65_536
AGAIN = 100
NEITHER = Faulted(says=(*UNGRANTED.says, *INVALID.says))
EMPTY_ARRAY, EMPTY_MAP = b"\x90", b"\x80"
HALF = b"\xcb\x3f\xe0\0\0\0\0\0\0"
KIB_64 = f'grants.rewrite."{TOOL}.content" = {{ max = "64 KiB" }}'


def _filled(size: int, **more: str) -> bytes:
    """An answer of exactly *size* bytes, most of them a reason."""
    head = answer(**more, reason=b"")  # the reason's value is put in below
    return head + b"\xda" + (size - len(head) - 3).to_bytes(2) + b"x" * (size - len(head) - 3)


def _list(count: int, item: bytes) -> bytes:
    return b"\xdc" + count.to_bytes(2) + item * count


def _rewrite(value: bytes) -> bytes:
    return answer(rewrite=pairs((text("content"), value)))


SQUARES = _list(60, _list(1_024, EMPTY_ARRAY))
MAPS = _list(900, pairs(*((text(chr(97 + n)), integer(n)) for n in range(15))))
KEYS = pairs(*((text(f"{n:02}" + "k" * 900), FALSE) for n in range(64)))
COSTLY: dict[str, tuple[str, bytes, Any]] = {
    "empty-arrays": ("60,000 empty arrays in a rewrite", _rewrite(SQUARES), NEITHER),
    "empty-maps": ("60,000 empty maps in a rewrite", _rewrite(_list(60, _list(1_024, EMPTY_MAP))), NEITHER),
    "numbers": ("60,000 numbers in a rewrite", _rewrite(_list(60, _list(1_024, integer(1)))), UNGRANTED),
    "floats": ("7,000 floats in a rewrite", _rewrite(_list(7, _list(1_000, HALF))), UNGRANTED),
    "maps": ("900 maps of 15 entries in a rewrite", _rewrite(MAPS), UNGRANTED),
    "long-keys": ("64 keys of 900 characters in a rewrite", answer(rewrite=KEYS), INVALID),
    "permissions": ("1,000 permissions that are none", answer(permissions=_list(1_000, EMPTY_MAP)), INVALID),
    "notes-long": (
        "120 notes of 500 characters, of which 31 are kept",
        answer(notes=_list(120, text("n" * 500))),
        Answered(notes=(*("n" * 500 for _ in range(31)), "89 more notes were cut")),
    ),
    "notes-many": (
        "1,024 notes, of which 31 are kept",
        answer(notes=_list(1_024, text("n"))),
        Answered(notes=(*("n" for _ in range(31)), "993 more notes were cut")),
    ),
    "notes-empty": (
        "1,024 notes with nothing in them",
        answer(notes=_list(1_024, text(""))),
        Answered(notes=(*("" for _ in range(31)), "993 more notes were cut")),
    ),
    "all-texts": (
        "a reason, a context and notes that are all full of what has to be cleaned",
        answer(effect="deny", reason="\u202e" * 6_000, context="\x1b" * 20_000, notes=_list(30, text("\u0301" * 300))),
        Answered(
            effect=Effect.DENY,
            reason="\ufffd" * 1_999 + "…",
            context="\ufffd" * 7_999 + "…",
            notes=("\u0301" * 3 + "\ufffd" * 297,) * 30,
        ),
    ),
    "at-the-cap": (
        "an answer of exactly 64 KiB",
        _filled(CAP, effect="deny"),
        Answered(effect=Effect.DENY, reason="x" * 1_999 + "…"),
    ),
    "over-the-cap": (
        "an answer of one byte over 64 KiB",
        _filled(CAP + 1, effect="deny"),
        Faulted(says=("(limit 65_536)",)),
    ),
}


def _again(name: str, what: str, module: Module, must: Any, times: int = AGAIN, **more: Any) -> Case:
    return Case(
        name=f"again-{name}", what=f"{what}, {times} times in a row", must=must, module=module, times=times, **more
    )


REPEATED = (
    _again("trap", "traps", guest("(unreachable)"), TRAPPED),
    _again("divide", "divides by zero", guest("(drop (i32.div_s (local.get $length) (i32.const 0)))"), TRAPPED),
    _again(
        "overflow",
        "divides the smallest number by -1",
        guest("(drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))"),
        TRAPPED,
    ),
    _again("convert", "makes an integer of a NaN", guest("(drop (i32.trunc_f64_s (f64.const nan)))"), TRAPPED),
    _again("start", "traps in its start section", guest("", fields="(func $s unreachable) (start $s)"), TRAPPED),
    _again("alloc", "traps in `alloc`", guest("", alloc="(unreachable)"), TRAPPED),
    _again(
        "bulk",
        "traps in the middle of a bulk copy",
        guest("(memory.copy (i32.const 0) (i32.const 1) (i32.const 65536))"),
        TRAPPED,
    ),
    _again(
        "table-bulk",
        "traps in the middle of a table copy",
        guest("(table.fill $t (i32.const 1) (ref.null func) (i32.const 10))", fields="(table $t 4 funcref)"),
        TRAPPED,
    ),
    _again("nothing", "answers nothing", guest("", answer="(i64.const 0)"), INVALID),
    _again("component-trap", "a component that traps", component("(unreachable)"), TRAPPED),
    _again(
        "component-error",
        "a component that reports an error",
        component("(i32.store (i32.const 32) (i32.const 1))", fields='(data (i32.const 16) "thirteen lett")'),
        Faulted(says=("reports an error",)),
    ),
    _again(
        "full",
        "takes all the memory it can get",
        guest(
            "(drop (memory.grow (i32.const 255))) (memory.fill (i32.const 0xc00000) (i32.const 1) (i32.const 0x400000))"
        ),
        PASSES,
    ),
    _again("tables", "takes all the tables it can get", guest("", fields="(table 10000 funcref)" * 4), PASSES),
    _again("fuel", "burns all its fuel", guest("(loop $ever (br $ever))"), OUT_OF_FUEL, 10),
    _again(
        "clock",
        "uses all its time",
        guest("(loop $ever (br $ever))"),
        5,
        lines=("limits.fuel = 1_000_000_000",),
    ),
)


def _mangled(doublings: int) -> str:
    """The name of a C++ function that, once it is spelled out, is twice as long with each doubling."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "_Z1fSt4pairIiiE" + "".join(f"S_IS{digit}_S{digit}_E" for digit in digits[:doublings])


NAMED = tuple(
    Case(
        name=f"component-name-{how}",
        what=f"a component that {what} in a function whose C++ name would take 2^32 words to spell out",
        must=must,
        module=component(f"(call ${_mangled(32)})", fields=f"(func ${_mangled(32)} {body})"),
    )
    for how, what, body, must in (
        ("traps", "traps", "unreachable", TRAPPED),
        ("loops", "loops", "(loop $ever (br $ever))", OUT_OF_FUEL),
        ("recurses", "recurses", f"(call ${_mangled(32)}) (call ${_mangled(32)})", STACK_OVERFLOW),
    )
)
LARGE = {
    "no-room": ("gives no room for an event of 3 MB", guest("", alloc="(i32.const 0)"), Faulted(says=("no room",))),
    "little-room": ("gives room for less than an event of 3 MB", guest(""), Faulted(says=("outside its memory",))),
    "room-for-half": (
        "grows for half an event of 3 MB",
        guest("", alloc="(drop (memory.grow (i32.const 24))) (i32.const 1024)"),
        Faulted(says=("outside its memory",)),
    ),
    "copies": (
        "copies an event of 3 MB again and again",
        guest(
            "(loop $ever (memory.copy (i32.const 0x600000) (local.get $request) (local.get $length)) (br $ever))",
            memory="256",
            alloc="(i32.const 0x10000)",
        ),
        OUT_OF_FUEL,
    ),
}

CASES = (
    *(
        Case(name=name, what=f"answers with {what}", must=must, answer=constant(said))
        for name, (what, said, must) in COSTLY.items()
    ),
    Case(
        name="granted-arrays",
        what="rewrites to 60,000 empty arrays where 64 KiB of anything are granted",
        must=Faulted(says=("keeps the type", *INVALID.says)),
        answer=constant(_rewrite(SQUARES)),
        lines=(KIB_64,),
    ),
    *REPEATED,
    *NAMED,
    *(
        Case(
            name=f"large-event-{name}",
            what=what,
            must=must,
            module=module,
            input={"file_path": "/etc/x", "content": "x" * 3_000_000},
        )
        for name, (what, module, must) in LARGE.items()
    ),
    *(
        Case(
            name=f"component-list-of-{size}",
            what=f"a component that answers with a list of {size:,} bytes",
            # 32 bytes for each of them: the memory of a cell ends first, or, on a slow machine, its time
            must=Faulted(says=("(limit 65_536)", "failed in evaluate", "its cell died", "its cell gave no answer")),
            module=component(f"(drop (memory.grow (i32.const 239))) {lifted(pointer=0, length=size)}"),
        )
        for size in (65_537, 2_600_000, 15_000_000)
    ),
)
