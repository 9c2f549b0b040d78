"""Hostile cases about memory: more than the limit at the start, growth in the middle, segments and tables."""

from __future__ import annotations

from wasmguard.hostile.case import (
    INVALID,
    PASSES,
    TOO_BIG,
    TRAPPED,
    Case,
    Refused,
    component,
    core_text,
    guest,
    shipped,
    written,
)
from wasmguard.limits import DEFAULT, KIB

TOO_MUCH = Refused(says=("bytes of memory (limit",))
COMPILER = Refused(says=("the compiler refuses it",), by="compiler")
TABLE_ENTRIES = Refused(says=("elements (limit",))
OVER = "\n".join(f'(data (i32.const {page * 65536 + 7}) "x")' for page in range(1, 256))

SIZES = (
    Case(
        name="one-page-over",
        what="starts with one page more than the limit",
        must=TOO_MUCH,
        module=guest("", memory="257"),
    ),
    Case(name="all-there-is", what="starts with 4 GiB", must=TOO_MUCH, module=guest("", memory="65536")),
    Case(
        name="beyond-32-bits",
        what="starts with one page more than 32 bits reach",
        must=TOO_MUCH,
        module=guest("", memory="65537"),
    ),
    Case(
        name="less-than-its-minimum",
        what="has a maximum below its minimum",
        must=COMPILER,
        module=guest("", memory="2 1"),
    ),
    Case(
        name="huge-maximum",
        what="may grow to 4 GiB, and does not",
        must=PASSES,
        module=guest("", memory="1 65536"),
    ),
    Case(
        name="exactly-the-limit",
        what="starts with the limit and writes to every page",
        must=PASSES,
        module=guest("(memory.fill (i32.const 4096) (i32.const 7) (i32.const 0xfff000))", memory="256"),
    ),
    Case(
        name="no-pages",
        what="has a memory of no pages, and says that the request fits",
        must=INVALID,
        module=written(
            '(module (memory (export "memory") 0) (func (export "wasmguard_abi_1"))'
            ' (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 1024))'
            ' (func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0x10_0000000d)))'
        ),
    ),
    Case(
        name="low-limit",
        what="starts with more than its owner allows it",
        must=TOO_MUCH,
        module=guest("", memory="2"),
        limits=DEFAULT.replaced(memory=64 * KIB),
    ),
    Case(
        name="component-too-big",
        what="a component with a core module of 17 MiB",
        must=TOO_MUCH,
        module=component("", memory="272"),
    ),
    Case(
        name="component-many-memories",
        what="a component with five memories, each below the limit",
        must=TOO_BIG,
        module=component(
            "", first="(core module $m (memory 256))" + "".join("(core instance (instantiate $m))" for _ in range(4))
        ),
    ),
)
CHECKED = "(if (i32.ne (memory.grow (i32.const {})) (i32.const {})) (then unreachable))"
GROWTH = (
    Case(
        name="grow-to-the-limit",
        what="grows to the limit, is refused one page more, and passes",
        must=PASSES,
        module=guest(f"{CHECKED.format(255, 1)} {CHECKED.format(1, -1)}"),
        times=3,
    ),
    Case(
        name="grow-at-once",
        what="grows by 4 GiB, and traps unless that is refused",
        must=PASSES,
        module=guest(f"{CHECKED.format(65535, -1)} {CHECKED.format(-1, -1)} {CHECKED.format(0, 1)}"),
    ),
    Case(
        name="grow-everywhere",
        what="grows in its start section, in `_initialize`, in `alloc` and in `evaluate`",
        must=PASSES,
        module=guest(
            CHECKED.format(60, 196),
            fields=f"""(func $begin {CHECKED.format(65, 1)}) (start $begin)
  (func (export "_initialize") {CHECKED.format(65, 66)})""",
            alloc=f"{CHECKED.format(65, 131)} (i32.const 0xc30000)",
        ),
    ),
    Case(
        name="grow-then-answer",
        what="answers from a page that was not there when it was asked",
        must=PASSES,
        module=guest(
            """(drop (memory.grow (i32.const 1)))
    (memory.copy (i32.const 0x10100) (i32.const 16) (i32.const 13))""",
            answer="(i64.const 0x10100_0000000d)",
        ),
    ),
    Case(
        name="grow-and-answer-behind",
        what="answers from the page behind the ones to which it grew",
        must=INVALID,
        module=guest("(drop (memory.grow (i32.const 3)))", answer="(i64.const 0x40000_0000000d)"),
    ),
    Case(
        name="grow-after-alloc",
        what="gives room that is only there after `evaluate` has grown",
        must=INVALID,
        module=guest("(drop (memory.grow (i32.const 9)))", alloc="(i32.const 0x20000)"),
    ),
    Case(
        name="touch-all",
        what="grows to the limit and writes one byte to each 4 KiB",
        must=PASSES,
        module=shipped("touch_all"),
    ),
    Case(
        name="component-grows",
        what="a component grows to the limit, is refused one page more, and passes",
        must=PASSES,
        module=component(f"{CHECKED.format(255, 1)} {CHECKED.format(1, -1)}"),
    ),
)
SEGMENTS = (
    Case(
        name="sparse-segments",
        what="has a segment in each of 255 pages",
        must=PASSES,
        module=guest("", memory="256", fields=OVER),
    ),
    Case(
        name="segment-behind",
        what="has a data segment behind the end of its memory",
        must=TRAPPED,
        module=guest("", fields='(data (i32.const 0xfffe) "four")'),
    ),
    Case(
        name="segment-negative",
        what="has a data segment at -1",
        must=TRAPPED,
        module=guest("", fields='(data (i32.const -1) "x")'),
    ),
    Case(
        name="segment-empty-behind",
        what="has an empty data segment behind the end of its memory",
        must=TRAPPED,
        module=guest("", fields='(data (i32.const 0x10001) "")'),
    ),
    Case(
        name="segment-by-sum",
        what="places a data segment by a sum that wraps to the highest address",
        must=TRAPPED,
        module=guest("", fields='(data (offset (i32.sub (i32.const 1) (i32.const 2))) "x")'),
    ),
    Case(
        name="elements-behind",
        what="has an element segment behind the end of its table",
        must=TRAPPED,
        module=guest("", fields="(table 1 funcref) (func $f) (elem (i32.const 1) func $f)"),
    ),
    Case(
        name="elements-negative",
        what="has an element segment at -1",
        must=TRAPPED,
        module=guest("", fields="(table 1 funcref) (func $f) (elem (i32.const -1) func $f)"),
    ),
    Case(
        name="init-dropped",
        what="copies from a segment that it has dropped",
        must=TRAPPED,
        module=guest(
            "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))", fields='(data $d "x")'
        ),
    ),
    Case(
        name="init-behind",
        what="copies more from a segment than it holds",
        must=TRAPPED,
        module=guest("(memory.init $d (i32.const 0) (i32.const 0) (i32.const 2))", fields='(data $d "x")'),
    ),
    Case(
        name="copy-wraps",
        what="copies 2^32 - 1 bytes",
        must=TRAPPED,
        module=guest("(memory.copy (i32.const 1) (i32.const 0) (i32.const -1))"),
    ),
)
ACCESSES = (
    Case(
        name="load-behind",
        what="reads 8 bytes of which one is there",
        must=TRAPPED,
        module=guest("(drop (i64.load (i32.const 0xffff)))"),
    ),
    Case(
        name="load-far",
        what="reads at 2^32 - 1 plus an offset of 2^32 - 1",
        must=TRAPPED,
        module=guest("(drop (i64.load offset=0xffffffff (i32.const -1)))"),
    ),
    Case(
        name="store-behind",
        what="writes a vector over the end of its memory",
        must=TRAPPED,
        module=guest("(v128.store (i32.const 0xfff1) (v128.const i64x2 0 0))"),
    ),
    Case(
        name="store-after-grow",
        what="writes behind the page that it just got",
        must=TRAPPED,
        module=guest("(drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 0x20000) (i32.const 1))"),
    ),
    Case(
        name="call-null",
        what="calls an empty entry of a table",
        must=TRAPPED,
        module=guest("(call_indirect (i32.const 0))", fields="(table 1 funcref)"),
    ),
    Case(
        name="call-behind",
        what="calls an entry behind its table",
        must=TRAPPED,
        module=guest("(call_indirect (i32.const -1))", fields="(table 1 funcref)"),
    ),
    Case(
        name="call-another-type",
        what="calls a function as what it is not",
        must=TRAPPED,
        module=guest(
            "(drop (call_indirect (param i64) (result i64) (i64.const 1) (i32.const 0)))",
            fields="(table 1 funcref) (func $f) (elem (i32.const 0) $f)",
        ),
    ),
    Case(
        name="component-load-behind",
        what="a component reads behind its memory",
        must=TRAPPED,
        module=component("(drop (i64.load (i32.const 0xffff)))"),
    ),
)
TABLES = (
    Case(
        name="table-over",
        what="has a table of 10,001 elements",
        must=TABLE_ENTRIES,
        module=guest("", fields="(table 10001 funcref)"),
    ),
    Case(
        name="table-huge",
        what="has a table of 2^32 - 1 elements",
        must=TABLE_ENTRIES,
        module=guest("", fields="(table 0xffffffff funcref)"),
    ),
    Case(
        name="table-second-huge",
        what="has a small table and a huge one",
        must=TABLE_ENTRIES,
        module=guest("", fields="(table 1 funcref) (table 10_000_000 funcref)"),
    ),
    Case(
        name="table-five",
        what="has five tables",
        must=Refused(says=("tables (limit 4)",)),
        module=guest("", fields="(table 1 funcref)" * 5),
    ),
    Case(
        name="table-four-full",
        what="fills four tables of 10,000 elements, and passes",
        must=PASSES,
        module=guest(
            "".join(f"(table.fill $t{n} (i32.const 0) (ref.func $f) (i32.const 10000))" for n in range(4)),
            fields="".join(f"(table $t{n} 10000 funcref)" for n in range(4)) + "(func $f) (elem declare func $f)",
        ),
    ),
    Case(
        name="table-grow-over",
        what="grows its table over the limit, and traps unless that is refused",
        must=PASSES,
        module=guest(
            "(if (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)) (then unreachable))",
            fields="(table $t 1 funcref)",
        ),
    ),
    Case(
        name="table-low-limit",
        what="starts with more elements than its owner allows it",
        must=TABLE_ENTRIES,
        module=guest("", fields="(table 100 funcref)"),
        limits=DEFAULT.replaced(table_elements=50),
    ),
    Case(
        name="externref-table",
        what="has a table of references to the host",
        must=COMPILER,
        module=guest("", fields="(table 10 externref)"),
    ),
    Case(
        name="externref-parameter",
        what="exports a function of a reference to the host",
        must=COMPILER,
        module=guest("", fields='(func (export "more") (param externref))'),
    ),
    Case(
        name="two-memories",
        what="has two memories, each below the limit",
        must=Refused(says=("memories (limit 1)",)),
        module=guest("", fields="(memory 256)"),
    ),
    Case(
        name="imported-memory",
        what="imports its memory from the host",
        must=Refused(says=("imports `env.memory`",)),
        module=written(
            core_text("").replace(
                '(memory (export "memory") 1)', '(memory (export "memory") (import "env" "memory") 1)'
            )
        ),
    ),
    Case(
        name="globals",
        what="has more globals than a module may have",
        must=Refused(says=("globals (limit",)),
        module=guest("", fields="(global (mut i64) (i64.const 0))" * 1_001),
    ),
)

CASES = (*SIZES, *GROWTH, *SEGMENTS, *ACCESSES, *TABLES)
