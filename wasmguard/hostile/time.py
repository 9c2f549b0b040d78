"""Hostile cases about time: loops wherever code runs, bulk instructions that nothing interrupts, slow instructions.

Fuel is what normally ends them; the clock ends what burns little fuel for its time, and then no fuel is reported.
"""

from __future__ import annotations

from wasmguard.hostile.case import (
    OUT_OF_FUEL,
    OUT_OF_TIME,
    PASSES,
    TRAPPED,
    Case,
    Refused,
    component,
    core_text,
    guest,
    written,
)

LOOP = "(loop $ever (br $ever))"
ROUNDS = (
    "(local $n i64) (loop $next {} (br_if $next (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) {})))"
)
MANY = "(i64.const 0x7fffffffffffffff)"
POLLS = "(func $poll (loop $next {} (br $next)))"
ATOMICS = ("the compiler refuses it", "threads", "atomic")


def _again(what: str) -> str:
    """*what*, for ever."""
    return f"(loop $ever {what} (br $ever))"


def _spent(rounds: int) -> str:
    """A loop that burns about six units of fuel for each round, and ends."""
    step = "(local.tee $n (i32.add (local.get $n) (i32.const 1)))"
    return f"(local $n i32) (loop $next (br_if $next (i32.lt_u {step} (i32.const {rounds}))))"


LOOPS = (
    Case(name="loop-evaluate", what="loops in `evaluate`", must=OUT_OF_FUEL, module=guest(LOOP)),
    Case(
        name="loop-alloc",
        what="loops in `alloc`",
        must=OUT_OF_FUEL,
        module=guest("", alloc=f"{LOOP} (i32.const 1024)"),
    ),
    Case(
        name="loop-start",
        what="loops in its start section",
        must=OUT_OF_FUEL,
        module=guest("", fields=f"(func $begin {LOOP}) (start $begin)"),
    ),
    Case(
        name="loop-initialize",
        what="loops in `_initialize`",
        must=OUT_OF_FUEL,
        module=guest("", fields=f'(func (export "_initialize") {LOOP})'),
    ),
    Case(
        name="loop-indirect",
        what="loops over calls through a table",
        must=OUT_OF_FUEL,
        module=guest(
            _again("(call_indirect (i32.const 0))"),
            fields="(table 1 funcref) (elem (i32.const 0) $empty) (func $empty)",
        ),
    ),
    Case(
        name="loop-br-table",
        what="loops through a br_table",
        must=OUT_OF_FUEL,
        module=guest("(loop $a (loop $b (loop $c (br_table $a $b $c (local.get $length)))))"),
    ),
    Case(
        name="loop-counted",
        what="counts to 2^63",
        must=OUT_OF_FUEL,
        module=guest(ROUNDS.format("", MANY)),
    ),
    Case(
        name="loop-call-tree",
        what="calls itself twice, sixty deep: little stack, no end",
        must=OUT_OF_FUEL,
        module=guest(
            "(call $tree (i32.const 60))",
            fields="""(func $tree (param $depth i32)
    (if (local.get $depth) (then
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1))))))""",
        ),
    ),
    Case(
        name="loop-after-writing",
        what="writes its answer, then loops",
        must=OUT_OF_FUEL,
        module=guest(f"(i64.store (local.get $request) (i64.const 0)) {LOOP}"),
    ),
    Case(
        name="fuel-in-parts",
        what="spends two thirds of its fuel each in `_initialize` and in `evaluate`: there is one budget",
        must=OUT_OF_FUEL,
        module=guest(_spent(2_000_000), fields=f'(func (export "_initialize") {_spent(2_000_000)})'),
        lines=("limits.fuel = 15_000_000",),
    ),
    Case(
        name="fuel-in-start-and-alloc",
        what="spends two thirds of its fuel each in its start section and in `alloc`",
        must=OUT_OF_FUEL,
        module=guest(
            "",
            fields=f"(func $begin {_spent(2_000_000)}) (start $begin)",
            alloc=f"{_spent(2_000_000)} (i32.const 1024)",
        ),
        lines=("limits.fuel = 15_000_000",),
    ),
    Case(
        name="clock-evaluate",
        what="loops, with more fuel than the clock allows to burn",
        must=OUT_OF_TIME,
        module=guest(LOOP),
        lines=("limits.fuel = 1_000_000_000",),
    ),
    Case(
        name="clock-start",
        what="loops in its start section, with more fuel than the clock allows to burn",
        must=OUT_OF_TIME,
        module=guest("", fields=f"(func $begin {LOOP}) (start $begin)"),
        lines=("limits.fuel = 1_000_000_000",),
    ),
    Case(
        name="clock-component",
        what="a component that loops, with more fuel than the clock allows to burn",
        must=OUT_OF_TIME,
        module=component(LOOP),
        lines=("limits.fuel = 1_000_000_000",),
    ),
    Case(name="component-evaluate", what="a component loops in `evaluate`", must=OUT_OF_FUEL, module=component(LOOP)),
    Case(
        name="component-realloc",
        what="a component loops in `realloc`",
        must=OUT_OF_FUEL,
        module=component("", realloc=f"{LOOP} (i32.const 1024)"),
    ),
    Case(
        name="component-start",
        what="a core module in a component loops in its start section",
        must=OUT_OF_FUEL,
        module=component("", fields=f"(func $begin {LOOP}) (start $begin)"),
    ),
    Case(
        name="component-post-return",
        what="a component loops after it has answered",
        must=OUT_OF_FUEL,
        module=component(
            "",
            fields=f'(func (export "after") (param i32) {LOOP})',
            options='(post-return (core func $policy "after"))',
        ),
    ),
)

GROWN = "(drop (memory.grow (i32.const 239)))"  # 15 MiB
FLOODS = {
    "fill": ("fills 15 MiB", GROWN, "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0xef0000))", ""),
    "fill-one": ("fills one byte", "", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 1))", ""),
    "fill-none": ("fills nothing", "", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0))", ""),
    "copy": ("copies 15 MiB", GROWN, "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0xef0000))", ""),
    "copy-back": ("copies 15 MiB upwards", GROWN, "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0xef0000))", ""),
    "init": (
        "copies a passive segment of 1 MiB",
        GROWN,
        "(memory.init $data (i32.const 1024) (i32.const 0) (i32.const 0x100000))",
        f'(data $data "{"." * 2**20}")',
    ),
    "table-fill": (
        "fills a table of 10,000",
        "",
        "(table.fill $t (i32.const 0) (ref.null func) (i32.const 10000))",
        "(table $t 10000 funcref)",
    ),
    "table-copy": (
        "copies a table of 10,000",
        "",
        "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 9999))",
        "(table $t 10000 funcref) (elem (i32.const 0) $f) (func $f)",
    ),
    "table-init": (
        "copies an element segment of 10,000",
        "",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 10000))",
        f"(table $t 10000 funcref) (func $f) (elem $e func {'$f ' * 10_000})",
    ),
    "table-grow": (
        "grows a table, refused or not",
        "",
        "(drop (table.grow $t (ref.null func) (i32.const 100)))",
        "(table $t 1 funcref)",
    ),
    "grow-refused": ("grows its memory beyond the limit", "", "(drop (memory.grow (i32.const 65536)))", ""),
    "grow-nothing": ("grows its memory by nothing", "", "(drop (memory.grow (i32.const 0)))", ""),
    "data-drop": ("drops a segment", "", "(data.drop $d)", '(data $d "x")'),
    "elem-drop": ("drops an element segment", "", "(elem.drop $e)", "(func $f) (elem $e func $f)"),
    "ref-func": (
        "takes references of functions and stores them",
        "",
        "(table.set $t (i32.const 0) (ref.func $f))",
        "(table $t 1 funcref) (func $f) (elem declare func $f)",
    ),
    "table-get": (
        "reads table entries that are made when first read",
        "",
        "(local.set $i (i32.rem_u (i32.add (local.get $i) (i32.const 1)) (i32.const 10000)))"
        " (drop (table.get $t (local.get $i)))",
        f"(table $t 10000 funcref) (func $f) (elem (i32.const 0) func {'$f ' * 10_000})",
    ),
}
SLOW = {
    "divide": ("divides integers", "(i64.rem_s (i64.const 0x7ffffffffffffff1) (i64.or (local.get $n) (i64.const 1)))"),
    "root": ("takes square roots", "(f64.sqrt (f64.convert_i64_s (local.get $n)))"),
    "tiny": (
        "multiplies numbers that are nearly zero",
        "(f64.mul (f64.const 0x1p-1074) (f64.convert_i64_u (local.get $n)))",
    ),
    "vectors": (
        "divides and rounds vectors",
        "(f64x2.nearest (f64x2.div (f64x2.splat (f64.const 1)) (f64x2.splat (f64.convert_i64_s (local.get $n)))))",
    ),
    "strides": (
        "reads across the borders of pages, each time another one",
        "(v128.load (i32.and (i32.mul (i32.wrap_i64 (local.get $n)) (i32.const 0x1fff)) (i32.const 0xeeffff)))",
    ),
    "rounding": ("truncates floats", "(i64.trunc_sat_f64_u (f64.convert_i64_u (local.get $n)))"),
}

FLOODED = tuple(
    Case(
        name=f"flood-{name}",
        what=f"{what}, again and again",
        must=OUT_OF_FUEL,
        module=guest(f"(local $i i32) {before} {_again(again)}", fields=fields),
    )
    for name, (what, before, again, fields) in FLOODS.items()
)
SLOWED = tuple(
    Case(
        name=f"slow-{name}",
        what=f"{what}, again and again",
        must=OUT_OF_FUEL,
        module=guest(
            f"(local $n i64) {GROWN} {_again(f'(local.set $n (i64.add (local.get $n) (i64.const 1))) (drop {step})')}"
        ),
    )
    for name, (what, step) in SLOW.items()
)
WAITS = (
    Case(
        name="wait-on-shared",
        what="sleeps on a shared memory",
        must=Refused(says=("shared",)),
        module=written(
            core_text("(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", memory="1 1 shared")
        ),
    ),
    Case(
        name="wait-on-own",
        what="sleeps on a memory that is not shared",
        must=Refused(says=ATOMICS, by="compiler"),
        module=guest("(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))"),
    ),
    Case(
        name="wait-64",
        what="sleeps on 64 bits",
        must=Refused(says=ATOMICS, by="compiler"),
        module=guest("(drop (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 3_600_000_000_000)))"),
    ),
    Case(
        name="wait-unwound",
        what="traps in the middle of a bulk copy, in a loop that ends with it",
        must=TRAPPED,
        module=guest(_again("(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x10001))")),
    ),
)
CONTROLS = (
    Case(
        name="control-work",
        what="works for ten million units of fuel, and passes",
        must=PASSES,
        module=guest(_spent(1_500_000)),
    ),
)

CASES = (*LOOPS, *FLOODED, *SLOWED, *WAITS, *CONTROLS)
