"""What `opa build -t wasm` makes, and the two modules around it that make a guest of it: nothing of the host.

A module of OPA (https://www.openpolicyagent.org/docs/wasm) imports a memory and seven functions of `env`, and exports
functions of its own ABI. It is a guest where its manifest says `abi = "opa"`, by three instances:

1. The *stand-in* gives what is imported: the memory, as large as the module asks and no larger than it says. What the
   module prints is gone. `opa_abort` keeps the address of its words and traps. `opa_builtin0` to `4`, by which a host
   would lend functions that are not compiled in, trap; a module that wants one is refused when it is locked.
2. The policy gets all of that by position.
3. The *front* is given that memory and the policy's functions, and exports guest ABI 1. Its `evaluate` reads the
   request as JSON and asks the entrypoint; the answer is JSON too (`wasmguard.guest.opa`). A request that the policy's
   reader does not take traps: OPA itself would go on without an input, and a `default` would answer.

There is a front for asking and one for looking: what version of its ABI the module speaks, which functions it wants,
which entrypoints it has. All of it runs on the policy's own fuel, stack and time, in its own memory, and answers what
the policy makes it answer: the host checks addresses and lengths as everybody's.
"""

from __future__ import annotations

from wasmguard.guest import abi

MODULE = "env"
VERSION, MINOR = 1, 2  # the least minor version; OPA 1.22 makes 1.3
SAID = "said"  # an export of the stand-in: the address of what `opa_abort` was called with, or 0
VERSION_GLOBAL, MINOR_GLOBAL = "opa_wasm_abi_version", "opa_wasm_abi_minor_version"

_I32 = ("i32",)


def _function(takes: int, *gives: str) -> abi.Signature:
    return _I32 * takes, gives


IMPORTS: dict[str, abi.Signature] = {
    "opa_abort": _function(1),
    "opa_println": _function(1),
    **{f"opa_builtin{count}": _function(2 + count, "i32") for count in range(5)},
}
FUNCTIONS: dict[str, abi.Signature] = {
    "opa_malloc": _function(1, "i32"),
    "opa_json_parse": _function(2, "i32"),
    "opa_json_dump": _function(1, "i32"),
    "opa_eval_ctx_new": _function(0, "i32"),
    "opa_eval_ctx_set_input": _function(2),
    "opa_eval_ctx_set_data": _function(2),
    "opa_eval_ctx_set_entrypoint": _function(2),
    "eval": _function(1, "i32"),
    "opa_eval_ctx_get_result": _function(1, "i32"),
    "builtins": _function(0, "i32"),
    "entrypoints": _function(0, "i32"),
}
GLOBALS = (VERSION_GLOBAL, MINOR_GLOBAL)
TAKEN = (*FUNCTIONS, *GLOBALS)
"""What a front imports of the policy, in its order, after the memory."""

LOOK_VERSION, LOOK_BUILTINS, LOOK_ENTRYPOINTS = (bytes([which]) + bytes(7) for which in range(3))
"""What the front for looking is asked. The version comes as two numbers of 4 bytes, the others as JSON objects."""


def texts(minimum: int, maximum: int | None, entrypoint: int | None) -> tuple[str, str]:
    """Both modules in WebAssembly text: for a memory of these pages, and to ask the entrypoint of that number, or to
    look."""
    return stand_in_text(minimum, maximum), looking_text() if entrypoint is None else asking_text(entrypoint)


def stand_in_text(minimum: int, maximum: int | None) -> str:
    """The module that comes first; its memory has *minimum* pages at the start and at most *maximum*."""
    pages = f"{minimum}" if maximum is None else f"{minimum} {maximum}"
    keeps = "(global.set $said (local.get 0)) "
    bodies = {"opa_abort": f"{keeps}unreachable", "opa_println": ""}
    lines = [f'(module\n  (memory (export "{abi.MEMORY}") {pages})', "  (global $said (mut i32) (i32.const 0))"]
    lines.append(f'  (func (export "{SAID}") (result i32) (global.get $said))')
    for name, signature in IMPORTS.items():
        lines.append(f'  (func (export "{name}") {_type(signature)} {bodies.get(name, "unreachable")})')
    return "\n".join(lines) + ")\n"


def asking_text(entrypoint: int) -> str:
    """The front that asks the entrypoint of that number."""
    return f"""(module
  {_IMPORTED}
  {_ALLOC}
  (func (export "{abi.EVALUATE}") (param $at i32) (param $size i32) (result i64)
    (local $data i32) (local $input i32) (local $asked i32)
    (local.set $data (call $opa_malloc (i32.const 2)))
    (i32.store16 (local.get $data) (i32.const 0x7d7b)) ;; {{}}
    (local.set $data (call $opa_json_parse (local.get $data) (i32.const 2)))
    (local.set $input (call $opa_json_parse (local.get $at) (local.get $size)))
    (if (i32.eqz (local.get $data)) (then unreachable))
    (if (i32.eqz (local.get $input)) (then unreachable))
    (local.set $asked (call $opa_eval_ctx_new))
    (call $opa_eval_ctx_set_data (local.get $asked) (local.get $data))
    (call $opa_eval_ctx_set_input (local.get $asked) (local.get $input))
    (call $opa_eval_ctx_set_entrypoint (local.get $asked) (i32.const {entrypoint}))
    (if (call $eval (local.get $asked)) (then unreachable)) ;; opa_errc: 0 is OPA_ERR_OK
    (call $measured (call $opa_json_dump (call $opa_eval_ctx_get_result (local.get $asked)))))
  {_MEASURED})
"""


def looking_text() -> str:
    """The front that looks."""
    return f"""(module
  {_IMPORTED}
  {_ALLOC}
  (func (export "{abi.EVALUATE}") (param $at i32) (param $size i32) (result i64)
    (local $which i32)
    (local.set $which (i32.load8_u (local.get $at)))
    (if (i32.eq (local.get $which) (i32.const {LOOK_BUILTINS[0]}))
      (then (return (call $measured (call $opa_json_dump (call $builtins))))))
    (if (i32.eq (local.get $which) (i32.const {LOOK_ENTRYPOINTS[0]}))
      (then (return (call $measured (call $opa_json_dump (call $entrypoints))))))
    (i32.store (local.get $at) (global.get ${VERSION_GLOBAL}))
    (i32.store offset=4 (local.get $at) (global.get ${MINOR_GLOBAL}))
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.const 8)))
  {_MEASURED})
"""


_ALLOC = f'(func (export "{abi.ALLOC}") (param i32) (result i32) (call $opa_malloc (local.get 0)))'

# Address and length of a text that ends with a NUL. At the end of the memory it traps.
_MEASURED = """(func $measured (param $at i32) (result i64)
    (local $end i32)
    (local.set $end (local.get $at))
    (block $done (loop $next
      (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br $next)))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (local.get $end) (local.get $at)))))"""


def _type(signature: abi.Signature) -> str:
    both = zip(("param", "result"), signature, strict=True)
    return " ".join(f"({side} {' '.join(kinds)})" for side, kinds in both if kinds)


_GIVEN = {name: f"(func ${name} {_type(signature)})" for name, signature in FUNCTIONS.items()}
_GIVEN |= {name: f"(global ${name} i32)" for name in GLOBALS}
_IMPORTED = "\n  ".join(
    [
        f'(import "stand-in" "{abi.MEMORY}" (memory 0))',
        *(f'(import "policy" "{name}" {_GIVEN[name]})' for name in TAKEN),
        f'(export "{abi.MEMORY}" (memory 0))',
    ]
)
