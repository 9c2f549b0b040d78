"""What a hostile case is: a guest that means harm, and the one thing that must happen.

1. A module is refused when it is locked (`Refused`), or it is a policy like any other until it is asked.
2. Asked, it ends as a fault (`Faulted`), or as an answer that is cut down, cleaned and granted (`Answered`): never as
   anything looser than its case says, and in every kind of cell alike.
3. A compile bomb may be refused or not, but either way within the compiler's limits (`Bounded`).

Most cases about answers need no module of their own: `guests/parrot.wat` says what its settings spell in hexadecimal.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect
from wasmguard.limits import DEFAULT, Limits
from wasmguard.sandbox.assemble import assembled
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Module = Callable[[], bytes]
    Said = Callable[[str], bytes]


GUESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guests")
INPUT: dict[str, Any] = {"file_path": "/etc/x", "content": "x"}
ROOT, TOOL = "$ROOT", "$TOOL"  # in grants and expected rewrites: the case's folder and the name of its tool


class Refused(Value):
    """The module is refused."""

    says: tuple[str, ...]
    """One of these is in the refusal."""

    by: str = "scan"
    """`scan`: before wasmtime sees a byte, in milliseconds. `compiler`: in the child that compiles. Empty: either."""


class Bounded(Value):
    """The module compiles or is refused, within the limits of the compiler."""


class Faulted(Value):
    """DENY, because the guest could not answer or its answer does not count."""

    says: tuple[str, ...]
    """One of these is in the fault."""

    never: str = ""
    """This is not: the guest's words in a sentence of ours."""


class Answered(Value):
    """An answer that counts, as far as it goes: exactly this."""

    effect: Effect = Effect.PASS
    reason: str = ""
    context: str = ""
    notes: tuple[str, ...] = ()
    rewrite: Mapping[str, Any] | None = None
    """The fields that change; `$ROOT` in a text stands for the case's folder."""


OUT_OF_FUEL = Faulted(says=("out of fuel", "out of time"))  # where the machine is busy, the clock may come first
OUT_OF_TIME = Faulted(says=("out of time",))
STACK_OVERFLOW = Faulted(says=("stack overflow",))
TOO_BIG = Faulted(says=("cannot start within its limits",))
TRAPPED = Faulted(says=("trapped in", "failed in"))
INVALID = Faulted(
    says=("answer", "`effect` is none of", "memory", "no room", "a permission update", "does not have")
)  # the sentence depends on the decoder
UNGRANTED = Faulted(says=("which is not granted", "cannot be rewritten", "does not name", "no grant covers"))
OUTSIDE = Faulted(
    says=(
        "the path",
        "a path must be",
        "keeps the type",
        "does not show itself",
        "more than the",
        "a control",
        "one of",
    )
)
PASSES = Answered()


def parrot() -> bytes:
    """The module that answers what it is told to."""
    return from_file("parrot")


class Case(Value):
    """One guest that means harm, or a control that means none."""

    name: str
    """Unique in its group, and fit for a policy's name."""

    what: str
    """What it does, in a few words."""

    must: Any
    """What must happen: a `Refused`, `Bounded`, `Faulted` or `Answered`."""

    group: str = ""

    module: Module | None = None
    """Its module; None for the parrot."""

    answer: Said | None = None
    """What the parrot answers, given the case's folder."""

    also: tuple[Said, ...] = ()
    """What further parrots answer, which are asked after it."""

    input: Mapping[str, Any] = INPUT
    """The tool input of the event."""

    event: Mapping[str, Any] = {}  # a `Value` is immutable, and so is this
    """Fields of the event other than usual."""

    lines: tuple[str, ...] = ()
    """Further lines of the policy's configuration: grants, limits."""

    plant: tuple[tuple[str, str, str], ...] = ()
    """What lies in the case's folder first: (`dir` | `file` | `link` | `fifo`, path, target of a link)."""

    times: int = 1
    """How often in a row it is asked, always with the same outcome."""

    limits: Limits = DEFAULT
    """Under which it must be refused."""

    bomb: bool = False
    """Whether it takes the compiler to its limits: seconds."""

    @property
    def wasm(self) -> bytes:
        """The bytes of its module."""
        return self.module() if self.module else parrot()

    @property
    def evaluated(self) -> bool:
        """Whether it comes to be asked at all."""
        return isinstance(self.must, Faulted | Answered)


def constant(said: bytes) -> Said:
    """An answer that does not depend on the folder."""
    return lambda _root: said


@cache
def from_file(name: str) -> bytes:
    """The bytes of `guests/<name>.wat`."""
    with open(os.path.join(GUESTS, f"{name}.wat"), encoding="utf-8") as file:
        return assembled(file.read())


def shipped(name: str) -> Module:
    """The guest `guests/<name>.wat`."""
    return lambda: from_file(name)


def guest(evaluate: str, **parts: str) -> Module:
    """A core module that does *evaluate* before it passes; see `_CORE` for the *parts* that can be others."""
    return lambda: assembled(core_text(evaluate, **parts))


def core_text(evaluate: str, **parts: str) -> str:
    """The text of `guest`."""
    usual = {
        "first": "",
        "memory": "1",
        "fields": "",
        "alloc": "(i32.const 1024)",
        "answer": "(i64.const 0x10_0000000d)",
    }
    return _filled(_CORE, usual | {"evaluate": evaluate} | parts)


def component(evaluate: str, **parts: str) -> Module:
    """A component whose core module does *evaluate* before it passes; see `_COMPONENT` for the other *parts*."""
    usual = {"first": "", "memory": "1", "fields": "", "realloc": "(i32.const 1024)", "answer": "(i32.const 32)"}
    usual |= {"result": "(result (list u8) (error string))", "options": "", "more": "", "kind": ""}
    return lambda: assembled(_filled(_COMPONENT, usual | {"evaluate": evaluate} | parts))


def lifted(arm: int = 0, pointer: int = 16, length: int = 13) -> str:
    """Instructions with which a component answers so: 0 is the list, 1 the error."""
    stores = {32: arm, 36: pointer, 40: length}
    return " ".join(f"(i32.store (i32.const {at}) (i32.const {value}))" for at, value in stores.items())


def written(text: str) -> Module:
    """The module that *text* spells, whole."""
    return lambda: assembled(text)


def _filled(template: str, parts: Mapping[str, str]) -> str:
    for part, text in parts.items():
        template = template.replace(f"<{part}>", text)
    return template


_CORE = r"""
(module
  <first>
  (memory (export "memory") <memory>)
  (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
  <fields>
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32) <alloc>)
  (func $evaluate (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    <evaluate>
    <answer>))
"""

_COMPONENT = r"""
(component
  <first>
  (core module $policy
    (memory (export "memory") <memory>)
    (data (i32.const 16) "\81\a6effect\a4pass")  ;; 13 bytes
    (data (i32.const 32) "\00\00\00\00\10\00\00\00\0d\00\00\00")  ;; arm ok, pointer 16, length 13
    <fields>
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      <realloc>)
    (func (export "evaluate") (param $request i32) (param $length i32) (result i32)
      <evaluate>
      <answer>))
  (core instance $policy (instantiate $policy))
  <more>
  (func (export "evaluate") <kind> (param "request" (list u8)) (result <result>)
    (canon lift (core func $policy "evaluate")
      (memory (core memory $policy "memory")) (realloc (core func $policy "realloc")) <options>)))
"""
