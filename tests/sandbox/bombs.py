"""Modules that are small, valid and let through by the scan, and that cost a compiler all it has.

`BOMBS` makes each class just below the caps of `wasmguard.sandbox.caps` and the file size of the default limits. Run
as a program, it compiles each in a fresh process and prints what came of it: `python -m tests.sandbox.bombs [names]`.
"""

import resource
import subprocess
import sys
import time
from functools import partial

from tests.sandbox.binary import (
    CODE,
    DATA,
    ELEMENT,
    EXPORT,
    F64,
    FUNCTION,
    GLOBAL,
    I32,
    I64,
    IMPORT,
    MEMORY,
    TYPE,
    V128,
    body,
    composed,
    core,
    function_type,
    guest,
    leb,
    name,
    section,
    vector,
)
from wasmguard.errors import ModuleRefused
from wasmguard.guest.abi import CORE_HEADER
from wasmguard.limits import DEFAULT, KIB, MIB, ROOMY
from wasmguard.sandbox import caps
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.scan import check_abi, scan

BODY = caps.CORE.body - 16  # bytes of instructions that one function may have
FILE = DEFAULT.module - 4 * KIB
FUNCTIONS = caps.CORE.functions - 3
GET, SET, DROP, BLOCK, LOOP, IF, END = b"\x20", b"\x21", b"\x1a", b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x0b"
ZERO, CALL_0 = b"\x41\x00", b"\x10\x00"


def filled(unit, before=b"", after=b"", size=BODY):
    """As many *unit* as one body takes."""
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def line(unit, before=b"", after=b"", runs=(), size=BODY):
    """One function of one instruction after the other."""
    return guest([body(filled(unit, before, after, size - 8 * len(runs)), *runs)])


def lines(unit, before=b"", after=b"", runs=(), size=BODY):
    """As many such functions as the file takes."""
    one = body(filled(unit, before, after, size - 8 * len(runs)), *runs)
    return guest([one] * min(FUNCTIONS, FILE // len(one)))


def nested(start, size=BODY):
    count = size // (len(start) + 1)
    return guest([body(start * count + END * count)])


def live(count, size=BODY):
    """Locals that are all set by calls first and all used at the end, over and over."""
    sets = b"".join(ZERO + b"\x10\x01" + SET + leb(i) for i in range(count))
    uses = ZERO + b"".join(GET + leb(i) + b"\x6a" for i in range(count)) + b"\x10\x01" + DROP
    one = sets + CALL_0 + uses
    return guest([body(one * max(1, size // len(one)), (count, I32))])


def through_loops(variables, size=BODY):
    """Every variable changes in every loop, and the loops stand in each other."""
    change = b"".join(GET + leb(i) + b"\x41\x01\x6a" + SET + leb(i) for i in range(variables))
    again = b"\x20\x00\x0d\x00"
    count = (size - len(change)) // (len(LOOP) + len(again) + len(END))
    return guest([body(LOOP * count + change + (again + END) * count, (variables, I32))])


def jump_table(targets, blocks=1, size=BODY):
    jumps = b"".join(leb(i % blocks) for i in range(targets))
    one = BLOCK * blocks + ZERO + b"\x0e" + leb(targets) + jumps + leb(0) + END * blocks
    return guest([body(one * max(1, size // len(one)))])


def wide_blocks(values, size=BODY):
    """Blocks that hand hundreds of values through, two bytes each."""
    kinds = [function_type([I32] * values, [I32] * values)]
    count = (size - 3 * values) // 3
    return guest([body(ZERO * values + b"\x03\x03" * count + END * count + DROP * values)], types=kinds)


def wide_calls(values, size=BODY):
    kinds = [function_type([I32] * values, [I32] * values)]
    given = b"".join(GET + leb(i) for i in range(values))
    calls = filled(b"\x10\x03", size=size - len(given))
    return guest([body(given), body(given + calls)], types=kinds, of=3)


BOMBS = {
    "many functions": lambda: guest([body(b"")] * FUNCTIONS),
    "many functions, full file": lambda: lines(GET + b"\0\x45" + SET + b"\0", runs=[(1, I32)], size=200),
    "many functions of calls": lambda: lines(CALL_0, size=200),
    "many functions of 50,000 locals": lambda: guest([body(b"", (50_000, I64))] * FUNCTIONS),
    "many functions of 1,000 locals": lambda: guest([body(b"", (1_000, I64))] * FUNCTIONS),
    "one function of 50,000 locals": lambda: line(CALL_0, runs=[(50_000, I64)]),
    "50,000 locals through loops": lambda: guest(
        [body(LOOP * 20_000 + GET + b"\0" + b"\x0d\0" + END * 20_000, (50_000, I32))]
    ),
    "50,000 locals, many blocks": lambda: line(BLOCK + GET + b"\0\x0d\0" + END, runs=[(50_000, I32)]),
    "50,000 locals, many ifs": lambda: line(GET + b"\0" + IF + ZERO + SET + b"\0" + END, runs=[(50_000, I32)]),
    "one function of calls": lambda: line(CALL_0),
    "functions of calls": lambda: lines(CALL_0),
    "functions of indirect calls": lambda: guest([body(filled(ZERO + b"\x11\0\0"))] * 30, table=1),
    "blocks in blocks": lambda: nested(BLOCK),
    "loops in loops": lambda: nested(LOOP),
    "ifs in ifs": lambda: nested(ZERO + IF),
    "ifs in ifs, many functions": lambda: guest([body((ZERO + IF) * 20_000 + END * 20_000)] * 30),
    "500 live locals": lambda: live(500),
    "2,000 live locals": lambda: live(2_000),
    "10,000 live locals": lambda: live(10_000),
    "300 variables through loops": lambda: through_loops(300),
    "5,000 variables through loops": lambda: through_loops(5_000),
    "jump tables": lambda: jump_table(60_000),
    "jump tables to 1,000 blocks": lambda: jump_table(10_000, 1_000),
    "blocks of 1,000 values": lambda: wide_blocks(1_000),
    "blocks of 100 values": lambda: wide_blocks(100),
    "calls of 1,000 values": lambda: wide_calls(1_000),
    "calls of 100 values": lambda: wide_calls(100),
    "additions": lambda: lines(b"\x41\x01\x6a", ZERO, DROP),
    "multiplications of vectors": lambda: lines(GET + b"\0\xfd\xd5\x01", GET + b"\0", SET + b"\0", runs=[(1, V128)]),
    "shuffles": lambda: lines(
        GET + b"\0\xfd\x0d" + bytes(range(31, 15, -1)), GET + b"\0", SET + b"\0", runs=[(1, V128)]
    ),
    "conversions": lambda: lines(b"\xb7\xaa", ZERO, DROP),
    "saturating conversions": lambda: lines(b"\xb7\xfc\x02", ZERO, DROP),
    "roots": lambda: lines(b"\x9f", b"\x44" + bytes(8), DROP),
    "roundings": lambda: lines(b"\x9e", b"\x44" + bytes(8), DROP),
    "sums of floats": lambda: lines(GET + b"\0\xa0", GET + b"\0", DROP, runs=[(1, F64)]),
    "divisions": lambda: lines(GET + b"\0\x6d", GET + b"\0", DROP, runs=[(1, I32)]),
    "counts of bits": lambda: lines(b"\x69", ZERO, DROP),
    "loads": lambda: lines(b"\x28\0\0", ZERO, DROP),
    "growths": lambda: lines(b"\x40\0", ZERO, DROP),
    "fills": lambda: lines(ZERO * 3 + b"\xfc\x0b\0"),
    "selects": lambda: lines(GET + b"\0" + GET + b"\0\x1b", ZERO, DROP, runs=[(1, I32)]),
    "elements": lambda: guest([], table=10_000, more=[(ELEMENT, [b"\0\x41\0\x0b" + leb(6_000) + bytes(6_000)] * 10)]),
    "element segments": lambda: guest(
        [], table=10_000, more=[(ELEMENT, [b"\0\x41\0\x0b" + leb(40) + bytes(40)] * 1_000)]
    ),
    "data segments": lambda: guest([], more=[(DATA, [b"\0\x41\0\x0b\x01x"] * 65_536)]),
    "globals": lambda: guest([], more=[(GLOBAL, [b"\x7f\x01\x41\x00\x0b"] * 1_000)]),
}


# --- for the scan


def padded(functions, types, imports, exports):
    """A core module whose numbers all take as many bytes as they may."""
    wide = partial(leb, size=5)
    named = wide(5)  # the length of a name
    imported = [wide(1) + b"m" + named + b"%05d" % i + b"\0" + wide(types - 1) for i in range(imports)]
    exported = [named + b"%05d" % i + b"\0" + wide(0) for i in range(exports)]
    return CORE_HEADER + b"".join(
        section(identity, vector(items, 5))
        for identity, items in (
            (TYPE, [b"\x60" + wide(3) + b"\x7f\x7e\x7f" + wide(1) + b"\x7f"] * types),
            (IMPORT, imported),
            (FUNCTION, [wide(types - 1)] * functions),
            (EXPORT, exported),
            (CODE, [wide(2) + b"\0\x0b"] * functions),
        )
    )


def named(prefix, suffix, most=caps.CORE.names, count=caps.CORE.exports):
    """Entries of an import or an export section whose names are as long as they may be, and full of what is cleaned."""
    each = (most - 64) // count - len(prefix) - len(suffix) - 16
    return [prefix + name(f"{i:04}" + "\u202e" * (each // 3)) + suffix for i in range(count)]


def tools(count, size):
    """Producers as many and as long as they are read."""
    said = [name("\u200b" * (size // 3)) + name("\u0301" * (size // 2))] * count
    return section(0, name("producers") + vector([name("f" * size) + vector(said)] * count))


STRANGE = section(14, b"")  # refuses a module, or a component, at its very end
MOST = {what: most // caps.MODULES - 1 for what, most in caps.TOGETHER.items()}
SLOWEST = {
    "padded numbers": lambda: (padded(caps.CORE.functions, caps.CORE.types, 64, 64) + STRANGE, DEFAULT),
    "wide types": lambda: (
        core((TYPE, [function_type([I32] * 1_000, [V128] * 900)] * caps.CORE.types)) + STRANGE,
        DEFAULT,
    ),
    "long names": lambda: (
        core((TYPE, [function_type()]), (IMPORT, named(name("m"), b"\0\0")), (EXPORT, named(b"", b"\0\0"))),
        DEFAULT,
    ),
    "custom sections": lambda: (CORE_HEADER + section(0, name("\u200b" * 2_700)) * 127, DEFAULT),
    "one long custom section": lambda: (CORE_HEADER + section(0, name("c") + bytes(4_000_000)), DEFAULT),
    "a name that is no UTF-8 at its end": lambda: (
        core((MEMORY, [b"\0\1"]), (EXPORT, [name("é".encode() * 32_000 + b"\xff") + b"\2\0"])),
        DEFAULT,
    ),
    "producers": lambda: (CORE_HEADER + tools(16, 1_500), DEFAULT),
    "producers that lie": lambda: (
        CORE_HEADER + section(0, tools(16, 1_500)[4:] + b"\xff\xff\xff\xff\x0f"),
        DEFAULT,
    ),
    "element segments": lambda: (core((ELEMENT, [b"\1\0\0"] * 1_000)) + STRANGE, DEFAULT),
    "data segments": lambda: (core((DATA, [b"\1\0"] * 65_536)) + STRANGE, DEFAULT),
    "modules in a component": lambda: (
        composed(*[section(1, padded(MOST["functions"], *(MOST[w] for w in ("types", "imports", "exports"))))] * 64)
        + STRANGE,
        ROOMY,
    ),
    "sections of a component": lambda: (composed(section(7, vector([b"\x7f"] * 2_000)) * 3_999) + STRANGE, ROOMY),
    "custom sections of a component": lambda: (composed(section(0, name("\u200b" * 1_300)) * 256), ROOMY),
    "components in components": lambda: (composed(section(4, composed()) * 64) + STRANGE, ROOMY),
}


# --- by hand


TASK = """
import resource, sys
from tests.sandbox.bombs import report
report(sys.argv[1])
"""


def report(which):
    module = BOMBS[which]()
    begun = time.perf_counter()
    check_abi(scan(module))
    scanned = time.perf_counter() - begun
    try:
        came = f"{len(compiled(module, Setup(), DEFAULT)):,} bytes of code"
    except ModuleRefused as refused:
        came = str(refused)
    took = time.perf_counter() - begun - scanned
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, cpu = used.ru_maxrss * 1024 / MIB, used.ru_utime + used.ru_stime
    print(
        f"{which:34}{len(module):>10,} {scanned * 1e3:6.1f} ms {took:6.2f} s {cpu:6.2f} s cpu {peak:6.0f} MiB  {came}"
    )


if __name__ == "__main__":
    for bomb in sys.argv[1:] or BOMBS:
        subprocess.run([sys.executable, "-c", TASK, bomb], check=False)
