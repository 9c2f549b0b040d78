"""Hostile cases about what the engine has switched off: one module for each switch, and more where it has many faces.

Declared types and instructions are told apart: a reader that looks only at the types of exports misses a body. What is
left on, because compilers emit it, stands at the end as controls.
"""

from __future__ import annotations

from wasmguard.hostile import raw as b
from wasmguard.hostile.case import PASSES, Case, Refused, component, core_text, guest, shipped, written

SCAN = Refused(
    says=(
        "is no function type",
        "section with id",
        "uses values of type",
        "has a table of",
        "has a memory or a table with flags",
        "64-bit",
        "shared",
        "memories (limit 1)",
        "of kind",
        "is damaged",
    )
)
COMPILER = Refused(says=("the compiler refuses it",), by="compiler")
EITHER = Refused(says=(*SCAN.says, *COMPILER.says), by="")
STRUCT = "(type $s (struct (field i32)))"
ARRAY = "(type $a (array (mut i8)))"
TAG = "(tag $t (param i32))"
CONTINUED = "(type $f (func)) (type $c (cont $f))"
STREAM = "(canon stream.new $s (core func))"


def _declared(name: str, what: str, fields: str, **parts: str) -> Case:
    """Seen in the declarations: refused by the scan."""
    return Case(name=name, what=what, must=SCAN, module=guest("", fields=fields, **parts))


def _coded(name: str, what: str, evaluate: str, fields: str = "", **parts: str) -> Case:
    """Seen in a body alone: refused by the compiler."""
    return Case(name=name, what=what, must=COMPILER, module=guest(evaluate, fields=fields, **parts))


def _raw(name: str, what: str, code: bytes) -> Case:
    """A body of these bytes, which text cannot say or says only together with a declaration."""
    module = b.policy(more={b.FUNCTION: [b"\0"], b.CODE: [b.body(code)]})
    return Case(name=name, what=what, must=COMPILER, module=lambda: module)


def _made(name: str, what: str, first: str = "", **parts: str) -> Case:
    """A component of which the compiler refuses a part."""
    return Case(name=name, what=what, must=COMPILER, module=component("", first=first, **parts))


def _inside(name: str, what: str, module: str) -> Case:
    """A component with this core module, of which the scan refuses a part."""
    return Case(name=name, what=what, must=EITHER, module=component("", first=module))


GC = (
    _declared("gc-struct", "has a type of a struct", STRUCT),
    _declared("gc-array", "has a type of an array", ARRAY),
    _declared(
        "gc-rec",
        "has a group of types that name each other",
        "(rec (type $x (func (param (ref null $y)))) (type $y (func)))",
    ),
    _declared("gc-sub", "has a type that others may extend", "(type $open (sub (func)))"),
    _declared("gc-parameter", "has a function of an `anyref`", "(func (param anyref))"),
    _declared("gc-i31", "has a function of an `i31ref`", "(func (param i31ref))"),
    _coded("gc-global", "has a global of an `eqref`", "", "(global (mut eqref) (ref.null eq))"),
    _declared("gc-table", "has a table of `anyref`", "(table 1 anyref)"),
    _raw("gc-i31-instruction", "makes an `i31` in passing", b"\x41\x01\xfb\x1c\x1a"),
    _raw("gc-null-any", "makes a null of `any` in passing", b"\xd0\x6e\x1a"),
    _raw("gc-local", "has a variable of `anyref`", b"\xd0\x6e\xd1\x1a"),
    _coded("externref-null", "makes a null reference to the host", "(drop (ref.null extern))"),
)
REFERENCES = (
    _declared("ref-parameter", "has a function of a typed reference", "(type $f (func)) (func (param (ref null $f)))"),
    _declared("ref-table", "has a table of typed references", "(type $f (func)) (table 1 (ref null $f))"),
    _declared(
        "ref-table-filled",
        "has a table with a first value",
        "(func $f) (table 1 funcref (ref.func $f)) (elem declare func $f)",
    ),
    _raw("ref-call", "calls through a typed reference", b"\xd2\x00\x14\x00"),
    _raw("ref-as-non-null", "says that a reference is not null", b"\xd2\x00\xd4\x1a"),
    _raw("ref-br-on-null", "branches on a null reference", b"\xd2\x00\xd5\x00\x1a"),
)
EXCEPTIONS = (
    _declared("exception-tag", "declares an exception", TAG),
    _declared("exception-exnref", "has a function of an exception", "(func (param exnref))"),
    _declared("exception-imported", "imports an exception", "", first='(import "env" "t" (tag))'),
    _raw("exception-throw-ref", "throws what it has not caught", b"\xd0\x69\x0a"),
    _raw("exception-try-table", "tries, and catches everything", b"\x1f\x40\x01\x02\x00\x0b"),
    _raw("exception-legacy-try", "tries in the way of old", b"\x06\x40\x19\x0b"),
    _raw("exception-legacy-rethrow", "throws again in the way of old", b"\x09\x00"),
)
THREADS = (
    _declared("shared-memory", "has a shared memory", "", memory="1 1 shared"),
    _coded("atomic-add", "adds atomically", "(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))"),
    _coded("atomic-load", "loads atomically", "(drop (i64.atomic.load (i32.const 0)))"),
    _coded("atomic-fence", "has a fence", "(atomic.fence)"),
    _coded("atomic-notify", "wakes others up", "(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))"),
    _coded(
        "atomic-exchange",
        "compares and exchanges atomically",
        "(drop (i64.atomic.rmw.cmpxchg (i32.const 0) (i64.const 0) (i64.const 1)))",
    ),
    _declared("shared-function-type", "has a type of a shared function", "(type (shared (func)))"),
)
MEMORIES = (
    Case(
        name="memory-64",
        what="has a memory of 64-bit addresses",
        must=SCAN,
        module=written(core_text("", memory="i64 1").replace("(data (i32.const", "(data (i64.const")),
    ),
    Case(
        name="memory-64-second",
        what="has a second memory of 64-bit addresses",
        must=SCAN,
        module=lambda: b.policy(more={b.MEMORY: [b"\0\1", b"\4\1"]}),
    ),
    Case(
        name="table-64",
        what="has a table of 64-bit indices",
        must=COMPILER,
        module=guest("", fields="(table i64 1 funcref)"),
    ),
    _declared("two-memories", "has two memories", "(memory 1)"),
    _declared("page-size", "has pages of one byte", "", memory="1024 65536 (pagesize 1)"),
    _declared("page-size-usual", "writes out that its pages have the usual size", "", memory="1 2 (pagesize 65536)"),
)
OTHERS = (
    _coded("tail-call", "ends with a tail call", "(return_call $evaluate (local.get $request) (local.get $length))"),
    _coded(
        "tail-call-indirect",
        "ends with a tail call through a table",
        "(return_call_indirect (param i32 i32) (result i64) (local.get $request) (local.get $length) (i32.const 0))",
        "(table 1 funcref)",
    ),
    _raw("tail-call-reference", "ends with a tail call through a reference", b"\xd2\x00\x15\x00"),
    _declared("stack-switching", "has a type of a continuation", CONTINUED),
    _coded(
        "wide-add",
        "adds 128 bits",
        "(i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) (drop) (drop)",
    ),
    _coded("wide-multiply", "multiplies to 128 bits", "(i64.mul_wide_s (i64.const 1) (i64.const 1)) (drop) (drop)"),
    *(
        _coded(
            f"relaxed-{name}",
            f"uses a relaxed instruction ({name}), whose result depends on the processor",
            f"(drop ({code}{' (v128.const i64x2 1 1)' * operands}))",
        )
        for name, code, operands in (
            ("madd", "f32x4.relaxed_madd", 3),
            ("truncate", "i32x4.relaxed_trunc_f32x4_s", 1),
            ("swizzle", "i8x16.relaxed_swizzle", 2),
            ("minimum", "f64x2.relaxed_min", 2),
            ("dot", "i16x8.relaxed_dot_i8x16_i7x16_s", 2),
        )
    ),
    _raw("half-floats", "uses vectors of half floats", b"\x43\0\0\0\0\xfd\x20\x1a"),
    _raw("reserved-opcode", "uses an instruction that nobody has defined", b"\xfe\xff\x01"),
    _raw("string-instruction", "uses an instruction of the string proposal", b"\xfb\x82\x01\x00\x1a"),
)
COMPONENTS = (
    _made("component-async-lift", "lifts its `evaluate` as asynchronous", kind="async"),
    _made("component-stream", "has a type of a stream", "(type $s (stream u8))"),
    _made("component-future", "has a type of a future", "(type $f (future u8))"),
    _made("component-stream-new", "makes a stream", f"(type $s (stream u8)) {STREAM}"),
    _made("component-error-context", "has a type of an error context", "(type $e error-context)"),
    _made("component-task-return", "returns from a task", "(canon task.return (result u32) (core func))"),
    _made("component-backpressure", "holds its caller back", "(canon backpressure.inc (core func))"),
    _made("component-waitable", "makes a set to wait on", "(canon waitable-set.new (core func))"),
    _made("component-yield", "yields to other tasks", "(canon thread.yield (core func))"),
    _made(
        "component-thread",
        "starts a thread",
        "(core type $start (shared (func (param i32)))) (canon thread.spawn-ref $start (core func))",
    ),
    _made("component-map", "has a type of a map", "(type $m (map string u32))"),
    _made("component-fixed-list", "has a type of a list of fixed size", "(type $l (list u8 16))"),
    _inside("component-core-gc", "has a core module with a struct", f"(core module {STRUCT})"),
    _inside("component-core-threads", "has a core module with a shared memory", "(core module (memory 1 1 shared))"),
    _inside("component-core-memory-64", "has a core module with 64-bit addresses", "(core module (memory i64 1))"),
    _inside("component-core-exceptions", "has a core module with an exception", f"(core module {TAG})"),
    _made("component-core-tail-call", "has a core module with a tail call", "(core module (func $f (return_call $f)))"),
)
LEFT_ON = (
    Case(
        name="control-vectors",
        what="uses vectors",
        must=PASSES,
        module=guest("(drop (i8x16.swizzle (v128.const i64x2 1 1) (v128.const i64x2 1 1)))"),
    ),
    Case(name="control-bulk", what="copies, fills, drops and grows", must=PASSES, module=shipped("bulk")),
    Case(
        name="control-many-results",
        what="has functions of several results",
        must=PASSES,
        module=guest("(call $two) (drop) (drop)", fields="(func $two (result i32 i64) (i32.const 1) (i64.const 2))"),
    ),
    Case(
        name="control-conversions",
        what="extends signs and truncates with saturation",
        must=PASSES,
        module=guest("(drop (i32.extend8_s (i32.trunc_sat_f64_u (f64.const 1e300))))"),
    ),
    Case(
        name="control-constants",
        what="places a segment by a sum",
        must=PASSES,
        module=guest("", fields='(data (offset (i32.add (i32.const 8192) (i32.const 1))) "x")'),
    ),
    Case(name="control-nan", what="looks at the bits of every NaN", must=PASSES, module=shipped("canonical_nan")),
)

CASES = (*GC, *REFERENCES, *EXCEPTIONS, *THREADS, *MEMORIES, *OTHERS, *COMPONENTS, *LEFT_ON)
