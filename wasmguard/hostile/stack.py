"""Hostile cases about the stack: deep recursion of every kind, wherever code runs, and frames of every width.

In a thread with too little stack, or with a wasm stack of more than 2 MiB, these end the process instead of the guest.
"""

from __future__ import annotations

from wasmguard.hostile.case import OUT_OF_FUEL, PASSES, STACK_OVERFLOW, Case, component, guest

DEEPER = "(func $deeper (call $deeper) (call $deeper))"
DOWN = """(func $down (param $levels i32)
    (if (local.get $levels) (then (call $down (i32.sub (local.get $levels) (i32.const 1))))))"""
WIDE = 500


def _wide(kind: str, zero: str, count: int = WIDE) -> str:
    """A function of *count* parameters that hands all of them on to itself, and needs them afterwards."""
    every = " ".join(f"(local.get {n})" for n in range(count))
    deeper = f"(call $deeper {every})"
    return (
        f"(func $deeper (param{f' {kind}' * count}) {deeper} {deeper}) (func $first (call $deeper{f' {zero}' * count}))"
    )


def _held(count: int) -> str:
    """A function that keeps *count* variables alive over the call of itself."""
    sets = " ".join(f"(local.set {n} (i64.load offset={8 * n} (i32.const 0)))" for n in range(count))
    uses = " ".join(f"(i64.store offset={8 * n} (i32.const 0) (local.get {n}))" for n in range(count))
    return f"(func $deeper (local{' i64' * count}) {sets} (call $deeper) {uses})"


def _results(count: int) -> str:
    """A function that gives *count* values, which it gets from itself."""
    return f"(func $deeper (result{' i64' * count}) (call $deeper))(func $first (call $deeper) {'drop ' * count})"


PLACES = {
    "evaluate": guest("(call $deeper)", fields=DEEPER),
    "alloc": guest("", alloc="(call $deeper) (i32.const 1024)", fields=DEEPER),
    "start": guest("", fields=f"{DEEPER} (start $deeper)"),
    "initialize": guest("", fields=f'{DEEPER} (func (export "_initialize") (call $deeper))'),
    "component": component("(call $deeper)", fields=DEEPER),
    "realloc": component("", realloc="(call $deeper) (i32.const 1024)", fields=DEEPER),
    "component-start": component("", fields=f"{DEEPER} (start $deeper)"),
    "post-return": component(
        "",
        fields=f'{DEEPER} (func (export "after") (param i32) (call $deeper))',
        options='(post-return (core func $policy "after"))',
    ),
}
KINDS = {
    "itself": (
        "calls itself, with nothing on the stack",
        guest("(call $deeper)", fields="(func $deeper (call $deeper))"),
    ),
    "two": (
        "has two functions that call each other",
        guest("(call $a)", fields="(func $a (call $b) (call $b)) (func $b (call $a) (call $a))"),
    ),
    "indirect": (
        "calls itself through a table",
        guest(
            "(call $deeper)",
            fields="""(table 1 funcref) (elem (i32.const 0) $deeper)
  (func $deeper (call_indirect (i32.const 0)) (call_indirect (i32.const 0)))""",
        ),
    ),
    "own-export": (
        "calls its own `evaluate`",
        guest("(drop (call $evaluate (local.get $request) (local.get $length)))"),
    ),
    "wide-integers": ("hands 500 integers on to itself", guest("(call $first)", fields=_wide("i64", "(i64.const 1)"))),
    "wide-vectors": (
        "hands 500 vectors on to itself",
        guest("(call $first)", fields=_wide("v128", "(v128.const i64x2 1 1)")),
    ),
    "wide-locals": ("keeps 500 variables over each call of itself", guest("(call $deeper)", fields=_held(500))),
    "wide-results": ("gets 1,000 results from itself", guest("(call $first)", fields=_results(1_000))),
    "growing": (
        "grows its memory on every level",
        guest(
            "(call $deeper)", fields="(func $deeper (drop (memory.grow (i32.const 1))) (call $deeper) (call $deeper))"
        ),
    ),
    "depth-counted": (
        "goes a million levels down and means to come back",
        guest(
            "(call $down (i32.const 1000000))",
            fields="""(func $down (param $depth i32)
    (if (local.get $depth) (then
      (call $down (i32.sub (local.get $depth) (i32.const 1)))
      (i32.store (i32.const 0) (local.get $depth)))))""",
        ),
    ),
}

CASES = (
    *(
        Case(name=f"deep-{place}", what=f"recurses without end in {place}", must=STACK_OVERFLOW, module=module)
        for place, module in PLACES.items()
    ),
    *(Case(name=kind, what=what, must=STACK_OVERFLOW, module=module) for kind, (what, module) in KINDS.items()),
    Case(
        name="again",
        what="runs out of stack a hundred times in a row",
        must=STACK_OVERFLOW,
        module=guest("(call $deeper)", fields=DEEPER),
        times=100,
    ),
    Case(
        name="most-stack",
        what="runs out of the largest stack that an owner may give",
        must=STACK_OVERFLOW,
        module=guest("(call $deeper)", fields=DEEPER),
        lines=('limits.stack = "1 MiB"', "limits.fuel = 1_000_000_000"),
    ),
    Case(
        name="shallow-and-long",
        what="goes a thousand levels down and comes back, for ever",
        must=OUT_OF_FUEL,
        module=guest(
            "(loop $ever (call $down (i32.const 1000)) (br $ever))",
            fields=DOWN,
        ),
    ),
    Case(
        name="control-thousand",
        what="goes a thousand levels down, comes back and passes",
        must=PASSES,
        module=guest(
            "(call $down (i32.const 1000))",
            fields=DOWN,
        ),
    ),
)
