"""Hostile cases about the guest ABI: each export missing, of another kind and of another type; everything imported."""

from __future__ import annotations

from wasmguard.hostile import raw as b
from wasmguard.hostile.case import PASSES, Case, Refused, component, core_text, written

MISSING = Refused(says=("does not export",))
ANOTHER = Refused(says=("the guest ABI needs",))
FUTURE = Refused(says=("known is guest ABI 1",))
IMPORTS = Refused(says=("imports",))
WORLD = Refused(says=("has another type", "exports no"), by="compiler")
NAMES = {"memory": "memory", "marker": "wasmguard_abi_1", "alloc": "wasmguard_alloc", "evaluate": "wasmguard_evaluate"}
OTHER_KINDS = {
    "function": '(func (export "{}"))',
    "memory": '(export "{}" (memory 0))',
    "table": '(table (export "{}") 1 funcref)',
    "global": '(global (export "{}") i32 (i32.const 1024))',
}
OTHER_TYPES = {
    "marker": {"takes": "(param i32)", "gives": "(result i32)"},
    "alloc": {
        "nothing": "(result i32)",
        "two": "(param i32 i32) (result i32)",
        "long": "(param i64) (result i32)",
        "silent": "(param i32)",
        "far": "(param i32) (result i64)",
        "twice": "(param i32) (result i32 i32)",
        "float": "(param f32) (result i32)",
    },
    "evaluate": {
        "short": "(param i32 i32) (result i32)",
        "pair": "(param i32 i32) (result i32 i32)",
        "one": "(param i32) (result i64)",
        "long": "(param i64 i64) (result i64)",
        "double": "(param i32 i32) (result f64)",
        "silent": "(param i32 i32)",
        "more": "(param i32 i32 i32) (result i64)",
        "reference": "(param i32 i32) (result funcref)",
    },
    "initialize": {"takes": "(param i32)", "gives": "(result i32)", "vector": "(result v128)"},
}


def _without(name: str, instead: str = "") -> str:
    """The text of a policy that exports *instead* where *name* was."""
    text = core_text("").replace(f'(export "{name}")', f'(export "was_{name}")')
    return text[: text.rindex(")")] + instead + ")"


def _typed(name: str, signature: str) -> str:
    return _without(name, f'(func (export "{name}") {signature} unreachable)')


def _also(fields: str) -> str:
    """The text of a policy with *fields* more."""
    return core_text("", fields=fields)


EXPORTS = (
    *(
        Case(name=f"no-{what}", what=f"does not export `{name}`", must=MISSING, module=written(_without(name)))
        for what, name in NAMES.items()
    ),
    *(
        Case(
            name=f"{what}-is-{kind}",
            what=f"exports a {kind} as `{name}`",
            must=ANOTHER,
            module=written(_without(name, other.format(name))),
        )
        for what, name in {**NAMES, "initialize": "_initialize"}.items()
        for kind, other in OTHER_KINDS.items()
        if (what, kind) not in (("memory", "memory"), ("marker", "function"), ("initialize", "function"))
    ),
    *(
        Case(
            name=f"{what}-{how}",
            what=f"exports `{name}` as a function `{signature}`",
            must=ANOTHER,
            module=written(_typed(name, signature)),
        )
        for what, name in {**NAMES, "initialize": "_initialize"}.items()
        for how, signature in OTHER_TYPES.get(what, {}).items()
    ),
)
MARKERS = (
    *(
        Case(
            name=f"marker-{how}",
            what=f"says only `{name}`",
            must=must,
            module=written(_without("wasmguard_abi_1", f'(func (export "{name}"))')),
        )
        for how, name, must in (
            ("future", "wasmguard_abi_2", FUTURE),
            ("far-future", "wasmguard_abi_4294967297", FUTURE),
            ("zero", "wasmguard_abi_01", FUTURE),
            ("blank", "wasmguard_abi_1 ", FUTURE),
            ("nul", r"wasmguard_abi_1\00", FUTURE),
            ("capitals", "WASMGUARD_ABI_1", MISSING),
            ("look-alike", "wasmguard_аbi_1", MISSING),  # the first a of `abi` is Cyrillic
        )
    ),
    Case(
        name="marker-doubled",
        what="speaks guest ABI 1 and, so it says, 2",
        must=PASSES,
        module=written(_also('(func (export "wasmguard_abi_2"))')),
    ),
    Case(
        name="alike-once-cleaned",
        what="exports two names that differ in what nobody sees",
        must=Refused(says=("look the same",)),
        module=written(_also(r'(func (export "x\1b")) (func (export "x\07"))')),
    ),
    Case(
        name="evaluate-and-its-shadow",
        what="exports a second `evaluate` with a byte behind its name",
        must=PASSES,
        module=written(_also(r'(func (export "wasmguard_evaluate\00") (result i32) unreachable)')),
    ),
    Case(
        name="command",
        what="is a command",
        must=Refused(says=("is a command",)),
        module=written('(module (memory (export "memory") 1) (func (export "_start")))'),
    ),
    Case(
        name="vector-export",
        what="exports a function of a vector, whose type wasmtime cannot name",
        must=Refused(says=("v128",)),
        module=written(_also('(func (export "more") (param v128))')),
    ),
    Case(
        name="all-one-function",
        what="exports one function under each name",
        must=ANOTHER,
        module=written(
            '(module (memory (export "memory") 1) (func (export "wasmguard_abi_1") (export "wasmguard_alloc")'
            ' (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0)))'
        ),
    ),
)
IMPORTED = {
    "function": '(import "env" "log" (func (param i32 i32)))',
    "own-abi": '(import "wasmguard" "wasmguard_evaluate" (func (param i32 i32) (result i64)))',
    "no-name": '(import "" "" (func))',
    "host-function": '(import "wasmguard" "now" (func (result i64)))',
    "table": '(import "env" "table" (table 1 funcref))',
    "global": '(import "env" "global" (global i32))',
    "mutable-global": '(import "env" "stack" (global (mut i32)))',
    "unstable": '(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
    "snapshot-0": '(import "wasi_snapshot_preview0" "fd_write" (func (param i32 i32 i32 i32) (result i32)))',
    "preview-2": '(import "wasi:cli/environment@0.2.0" "get-environment" (func (param i32)))',
    "emscripten": '(import "env" "emscripten_run_script" (func (param i32)))',
    "javascript": '(import "wbg" "__wbindgen_throw" (func (param i32 i32)))',
    "strings": '(import "wasm:js-string" "length" (func (param externref) (result i32)))',
    "escapes": r'(import "\1b[2J" "\0aerror: none\u{202e}" (func))',
}
IMPORTS_OF_CORE = tuple(
    Case(name=f"imports-{what}", what=f"imports: {text}", must=IMPORTS, module=written(core_text("", first=text)))
    for what, text in IMPORTED.items()
)
MANY = Case(
    name="imports-many",
    what="imports a thousand functions",
    must=Refused(says=("imports (limit",)),
    module=lambda: b.policy(raw={b.IMPORT: b.vector(b.name("env") + b.name(f"f{n}") + b"\0\0" for n in range(1_000))}),
)


def _world(name: str, what: str, evaluate: str) -> Case:
    """A component that exports *evaluate* in its own way."""
    text = f"""(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "none")) (func (export "one") (param i32) (result i32) (i32.const 32))
    (func (export "two") (param i32 i32) (result i32) (i32.const 32))
    (func (export "three") (param i32 i32 i32) (result i32) (i32.const 32))
    (func (export "silent") (param i32 i32)))
  (core instance $i (instantiate $m))
  {evaluate})"""
    return Case(name=f"world-{name}", what=f"a component {what}", must=WORLD, module=written(text))


def _lifted(kind: str, core: str = "two") -> str:
    options = '(memory (core memory $i "memory")) (realloc (core func $i "realloc"))'
    return f'(func (export "evaluate") {kind} (canon lift (core func $i "{core}") {options}))'


LIST, RESULT = '(param "request" (list u8))', "(result (result (list u8) (error string)))"
WORLDS = (
    _world("number-taken", "whose `evaluate` takes a number", _lifted(f'(param "request" u32) {RESULT}', "one")),
    _world("text-taken", "whose `evaluate` takes a text", _lifted(f'(param "request" string) {RESULT}')),
    _world(
        "wide-list-taken", "whose `evaluate` takes a list of u16", _lifted(f'(param "request" (list u16)) {RESULT}')
    ),
    _world("two-taken", "whose `evaluate` takes two numbers", _lifted(f'(param "a" u32) (param "b" u32) {RESULT}')),
    _world("silent", "whose `evaluate` answers nothing", _lifted(LIST, "silent")),
    _world("list", "whose `evaluate` answers a list", _lifted(f"{LIST} (result (list u8))")),
    _world("text", "whose `evaluate` answers a text", _lifted(f"{LIST} (result string)")),
    _world("number", "whose `evaluate` answers a number", _lifted(f"{LIST} (result u32)")),
    _world(
        "ok-signed",
        "whose answer is a list of signed bytes",
        _lifted(f"{LIST} (result (result (list s8) (error string)))"),
    ),
    _world("ok-text", "whose answer is a text", _lifted(f"{LIST} (result (result string (error string)))")),
    _world("no-ok", "whose answer has no list", _lifted(f"{LIST} (result (result (error string)))")),
    _world("no-error", "whose answer has no error", _lifted(f"{LIST} (result (result (list u8)))")),
    _world("error-list", "whose error is a list", _lifted(f"{LIST} (result (result (list u8) (error (list u8))))")),
    _world("option", "whose `evaluate` answers an option", _lifted(f"{LIST} (result (option (list u8)))")),
    _world("tuple", "whose `evaluate` answers a pair", _lifted(f"{LIST} (result (tuple (list u8) string))")),
)
COMPONENTS = (
    Case(name="component-empty", what="a component with nothing in it", must=MISSING, module=written("(component)")),
    Case(
        name="component-instance",
        what="a component that exports an instance as `evaluate`",
        must=ANOTHER,
        module=written('(component (instance $i) (export "evaluate" (instance $i)))'),
    ),
    Case(
        name="component-module",
        what="a component that exports a core module as `evaluate`",
        must=ANOTHER,
        module=written('(component (core module $m) (export "evaluate" (core module $m)))'),
    ),
    Case(
        name="component-type",
        what="a component that exports a type as `evaluate`",
        must=ANOTHER,
        module=written('(component (type $t (list u8)) (export "evaluate" (type $t)))'),
    ),
    Case(
        name="component-interface",
        what="a component that exports an interface in which `evaluate` would be",
        must=MISSING,
        module=written('(component (instance $i) (export "wasmguard:policy/policy@1.0.0" (instance $i)))'),
    ),
    *(
        Case(
            name=f"component-imports-{what}",
            what=f"a component that imports: {text}",
            must=IMPORTS,
            module=component("", first=text),
        )
        for what, text in {
            "function": '(import "now" (func (result u64)))',
            "instance": '(import "wasi:cli/environment@0.2.0" (instance))',
            "component": '(import "part" (component))',
            "core-module": '(import "part" (core module))',
            "type": '(import "t" (type (sub resource)))',
            "value-type": '(type $own u8) (import "t" (type (eq $own)))',
        }.items()
    ),
    Case(
        name="component-more",
        what="a component that exports more than it has to",
        must=PASSES,
        module=component("", more='(instance $none) (export "more" (instance $none))'),
    ),
)

CASES = (*EXPORTS, *MARKERS, *IMPORTS_OF_CORE, MANY, *WORLDS, *COMPONENTS)
