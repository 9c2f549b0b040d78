"""Hostile cases that take the compiler to its limits: bytes that are cheap to write, fit every cap, and cost minutes.

Nothing interrupts a compiler, so what holds is the child that may be killed. Each must end within its limits, refused
or not; what compiles all the same is asked, and must answer in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.hostile import raw as b
from wasmguard.hostile.case import PASSES, Bounded, Case, component, written
from wasmguard.limits import KIB

if TYPE_CHECKING:
    from wasmguard.hostile.case import Module

BODY = 120 * KIB  # just below the cap of one body
GET, DROP = b"\x20", b"\x1a"


def _bomb(name: str, what: str, module: Module) -> Case:
    return Case(name=f"bomb-{name}", what=what, must=Bounded(), module=module, bomb=True)


def _functions(count: int, function: bytes, kinds: list[bytes] | None = None) -> bytes:
    """A policy with *count* functions more, all the same."""
    return b.policy(more={b.FUNCTION: [b"\0"] * count, b.CODE: [function] * count, b.TYPE: kinds or []})


def _one(code: bytes, local: tuple[tuple[int, bytes], ...] = (), kinds: list[bytes] | None = None) -> bytes:
    return _functions(1, b.body(code, local), kinds)


def _live(count: int) -> bytes:
    """Sets *count* variables, each from memory, then uses them all, again and again."""
    loads = b"".join(b"\x41" + b.leb(n & 63) + b"\x29\x03\0\x21" + b.leb(n) for n in range(count))
    uses = b"".join(b"\x41\0\x04\x40\x41\0" + GET + b.leb(n) + b"\x37\x03\0\x0b" for n in range(count))
    again = b"\x03\x40" + uses * ((BODY - len(loads)) // len(uses)) + b"\x41\0\x0d\0\x0b"
    return _one(loads + again, ((count, b.I64),))


def _loops(variables: int, depth: int) -> bytes:
    """Adds *variables* to each other inside *depth* loops in each other."""
    steps = b"".join(
        GET + b.leb(n) + GET + b.leb((n + 1) % variables) + b"\x7c\x21" + b.leb(n) for n in range(variables)
    )
    open_, close = b"\x03\x40" + steps, b"\x41\0\x0d\0\x0b"
    return _one(open_ * depth + close * depth, ((variables, b.I64),))


def _handed(values: int) -> bytes:
    """Calls a function of *values* parameters and as many results with its own results, in a line."""
    kind = b.function_type(b.I64 * values, b.I64 * values)
    head = b"\x42\0" * values
    code = head + b"\x10\x04" * ((BODY - 4 * values) // 2) + DROP * values
    back = b"".join(GET + b.leb(n) for n in range(values))
    more = {b.TYPE: [kind], b.FUNCTION: [b"\0", b"\x03"], b.CODE: [b.body(code), b.body(back)]}
    return b.policy(more=more)


def _blocks(values: int) -> bytes:
    """Blocks of *values* parameters and results in each other."""
    kind = b.function_type(b.I64 * values, b.I64 * values)
    depth = (BODY - 4 * values) // 3
    return _one(b"\x42\0" * values + b"\x03\x03" * depth + b"\x0b" * depth + DROP * values, kinds=[kind])


def _arms(inside: bytes, opened: bytes, size: int = BODY) -> bytes:
    depth = size // (len(opened) + len(inside) + 1)
    return _one((opened + inside) * depth + b"\x0b" * depth)


def _branches(targets: int) -> bytes:
    """Jump tables of *targets* each, as many as fit."""
    table = b"\x41\0\x0e" + b.leb(targets) + b"\0" * targets + b"\0"
    inside = b"\x02\x40" + table + b"\x0b"
    return _one(inside * (BODY // len(inside)))


def _sums(count: int) -> bytes:
    """A data segment whose place is a sum of *count* numbers."""
    place = b"\0\x41\0" + b"\x41\1\x6a" * count + b.END + b.name(b"x")
    return b.policy(more={b.DATA: [place]})


WIDE = b"\x41\0" + b"\xfd\x0f" + b"\xfd\xf9\x01" * (BODY // 3 - 4) + DROP  # i32x4.trunc_sat_f32x4_u, in a line
CONVERTED = b"\x43\0\0\0\0" + b"\xfc\x05\xb4" * (BODY // 3 - 4) + DROP  # f32 to u64, saturating, and back
CALLED = b"\x41\0\x11\0\0" * (BODY // 5)  # call_indirect
LOADED = b"\x41\0" + b"\x28\x02\0" * (BODY // 3 - 4) + DROP  # each address is what was read before
GROWN = b"\x41\0" + b"\x40\0" * (BODY // 2 - 4) + DROP

BOMBS = (
    _bomb("functions", "19,000 functions that do nothing", lambda: _functions(19_000, b.body(b""))),
    _bomb(
        "functions-work",
        "19,000 functions that calculate",
        lambda: _functions(19_000, b.body(b"\x41\1" + b"\x41\3\x6c" * 60 + DROP)),
    ),
    _bomb(
        "locals",
        "15,000 functions of 50,000 variables each, in 20 bytes a function",
        lambda: _functions(15_000, b.body(b"", ((49_000, b.I64),))),
    ),
    _bomb(
        "locals-vectors",
        "15,000 functions of 49,000 vectors each",
        lambda: _functions(15_000, b.body(GET + b"\0" + DROP, ((49_000, b.V128),))),
    ),
    _bomb("calls", "a line of 60,000 calls", lambda: _one(b"\x10\0" * (BODY // 2))),
    _bomb("live", "2,000 variables that are all alive", lambda: _live(2_000)),
    _bomb("live-few", "300 variables that are all alive", lambda: _live(300)),
    _bomb("loops", "150 variables through 100 loops in each other", lambda: _loops(150, 100)),
    _bomb("nested-blocks", "40,000 blocks in each other", lambda: _arms(b"", b"\x02\x40")),
    _bomb("nested-loops", "40,000 loops in each other", lambda: _arms(b"", b"\x03\x40")),
    _bomb("nested-ifs", "24,000 ifs in each other", lambda: _arms(b"", b"\x41\0\x04\x40")),
    _bomb("nested-values", "blocks of 500 values in each other", lambda: _blocks(500)),
    _bomb("handed-on", "calls that hand 500 values on", lambda: _handed(500)),
    _bomb("jump-tables", "jump tables of 2,000 targets", lambda: _branches(2_000)),
    _bomb("jump-table", "one jump table of 120,000 targets", lambda: _branches(BODY - 20)),
    _bomb("additions", "a line of 60,000 additions", lambda: _one(b"\x41\0" + b"\x41\1\x6a" * (BODY // 3 - 4) + DROP)),
    _bomb("stack", "30,000 values on the stack at once", lambda: _one(b"\x41\0" * (BODY // 3) + DROP * (BODY // 3))),
    _bomb("sums", "a place that is a sum of 500,000 numbers", lambda: _sums(500_000)),
    _bomb(
        "parameters",
        "1,900 types of 1,000 parameters",
        lambda: b.policy(more={b.TYPE: [b.function_type(b.I64 * 1_000, b.I64 * 999)] * 1_900}),
    ),
    _bomb("segments", "65,000 data segments", lambda: b.policy(more={b.DATA: [b"\x01\0"] * 65_000})),
    _bomb(
        "elements",
        "65,000 entries of element segments",
        lambda: b.policy(more={b.TABLE: [b"\x70\0\x01"], b.ELEMENT: [b"\1\0" + b.vector([b"\0"] * 65_000)]}),
    ),
    _bomb(
        "vectors",
        "30 functions of vector instructions that are long in native code",
        lambda: _functions(30, b.body(WIDE)),
    ),
    _bomb(
        "conversions",
        "30 functions of conversions that are long in native code",
        lambda: _functions(30, b.body(CONVERTED)),
    ),
    _bomb(
        "indirect-calls",
        "30 functions of calls through a table",
        lambda: b.policy(more={b.TABLE: [b"\x70\0\x01"], b.FUNCTION: [b"\0"] * 30, b.CODE: [b.body(CALLED)] * 30}),
    ),
    _bomb("loads", "30 functions of loads that hang on each other", lambda: _functions(30, b.body(LOADED))),
    _bomb("grows", "30 functions of nothing but growth", lambda: _functions(30, b.body(GROWN))),
)


def _nested_types(depth: int) -> str:
    """A type that holds the one before it twice, and that the one before it, …"""
    lines = ["(type $t0 (list u8))"]
    lines += [f"(type $t{n} (tuple $t{n - 1} $t{n - 1} $t{n - 1} $t{n - 1}))" for n in range(1, depth)]
    return "\n".join(lines)


def _instances(depth: int, width: int) -> str:
    """Components that make *width* instances each of the one before."""
    lines = ["(component $c0 (core module $m (func)) (core instance (instantiate $m)))"]
    for n in range(1, depth):
        made = " ".join("(instance (instantiate $i))" for _ in range(width))
        lines.append(f"(component $c{n} (alias outer 1 $c{n - 1} (component $i)) {made})")
    return "\n".join([*lines, f"(instance (instantiate $c{depth - 1}))"])


COMPONENTS = (
    Case(
        name="bomb-component-types",
        what="a component with a type of 4^12 parts",
        must=Bounded(),
        module=component("", first=_nested_types(12)),
        bomb=True,
    ),
    Case(
        name="bomb-component-instances",
        what="a component that makes 100^7 instances of instances",
        must=Bounded(),
        module=component("", first=_instances(8, 100)),
        bomb=True,
    ),
    Case(
        name="bomb-component-deep-list",
        what="a component with a list of lists, 90 deep",
        must=Bounded(),
        module=component(
            "", first="(type $l0 (list u8))" + "".join(f"(type $l{n} (list $l{n - 1}))" for n in range(1, 90))
        ),
        bomb=True,
    ),
)

CASES = (*BOMBS, *COMPONENTS)
_ = (PASSES, written)
