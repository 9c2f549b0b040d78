"""The proving ground: a folder in which hostile cases are locked and asked, and held to what must happen.

1. Cases that are asked stand in configurations together, each bound to a tool of its own; a case about an event without
   a tool has a configuration to itself. Beside each of them stands a control, which must answer rightly after every
   case.
2. Cases that must be refused are scanned and compiled each alone.
3. Whatever a case is about, none of its texts may hold a character that steers its reader, a rewrite keeps the fields
   of the input, and a PASS carries nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect
from wasmguard.errors import ModuleRefused
from wasmguard.guard import Guard
from wasmguard.hostile.case import INPUT, ROOT, TOOL, Answered, Case, Faulted, Refused, parrot
from wasmguard.hostile.raw import answer as said
from wasmguard.lock import lock
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.scan import check_abi, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wasmguard.decision import Decision, Verdict

CONTROL = "Control"
CONTROLLED = "the control answers"
RUN = re.compile(rb"(.)\1{15,65534}", re.DOTALL)  # runs of one byte that are worth writing as a run


class Ground:
    """A folder with the configurations of *cases*, locked."""

    def __init__(self, folder: str, cases: Iterable[Case]) -> None:
        self.folder = folder
        self.cases = tuple(case for case in cases if case.evaluated)
        self._guards: dict[tuple[str, str | None], Guard] = {}
        os.makedirs(os.path.join(folder, "roots"), exist_ok=True)
        together = [case for case in self.cases if not _alone(case)]
        for name, stand in [("together", together), *((tool_of(c), [c]) for c in self.cases if _alone(c))]:
            if stand:
                self._configure(name, stand)

    def config_of(self, case: Case) -> str:
        """The configuration in which *case* stands."""
        return os.path.join(self.folder, f"{tool_of(case) if _alone(case) else 'together'}.toml")

    def root_of(self, case: Case) -> str:
        """The folder of *case*, in which its things lie."""
        return os.path.join(self.folder, "roots", tool_of(case))

    def guard_of(self, case: Case, isolation: str | None) -> Guard:
        """The guard that asks *case*; loaded once. *isolation* as for `Guard.load`."""
        which = self.config_of(case), isolation
        if which not in self._guards:
            self._guards[which] = Guard.load(which[0], isolation=isolation)
        return self._guards[which]

    def decided(self, case: Case, isolation: str | None = None) -> Decision:
        """What comes of the event of *case*."""
        return self.guard_of(case, isolation).decide(event_of(case))

    def controlled(self, case: Case, isolation: str | None = None) -> bool:
        """Whether the control still answers rightly where *case* was asked."""
        decision = self.guard_of(case, isolation).decide(control_event())
        return decision.effect is Effect.DENY and [v.reason for v in decision.because] == [CONTROLLED]

    def flaw(self, case: Case, decision: Decision) -> str:
        """Why *decision* is not what must come of *case*; empty if it is."""
        return _flaw(case, decision, self.root_of(case))

    def close(self) -> None:
        """Let go of the guards."""
        for guard in self._guards.values():
            guard.close()
        self._guards.clear()

    def _configure(self, name: str, cases: list[Case]) -> None:
        control = _settings(said(effect="deny", reason=CONTROLLED))
        blocks = [_block("control", CONTROL, "parrot", ["PreToolUse"], [control])]
        self._write("parrot", parrot())
        for case in cases:
            self._planted(case)
            blocks += self._blocks(case)
        path = os.path.join(self.folder, f"{name}.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(blocks))
        lock(path, repin=False)

    def _blocks(self, case: Case) -> list[str]:
        root, name = self.root_of(case), tool_of(case)
        module = name if case.module else "parrot"
        self._write(module, case.wasm)
        lines = tuple(line.replace(ROOT, root).replace(TOOL, name) for line in case.lines)
        events = [str(case.event.get("hook_event_name", "PreToolUse"))]
        blocks = []
        for number, answer in enumerate([case.answer, *case.also]):
            settings = [] if answer is None else [_settings(answer(root))]
            called = f"{name}-{number}" if number else name
            blocks.append(_block(called, name, module, events, [*settings, *lines]))
        return blocks

    def _write(self, name: str, module: bytes) -> None:
        with open(os.path.join(self.folder, f"{name}.wasm"), "wb") as file:
            file.write(module)

    def _planted(self, case: Case) -> None:
        root = self.root_of(case)
        os.makedirs(root)
        for kind, path, target in case.plant:
            _plant(kind, os.path.join(root, path), target.replace(ROOT, root))


def busy(flaw: str) -> bool:
    """Whether *flaw* is what a machine that stands still for a moment does to anybody: then ask again."""
    return "out of time" in flaw or "gave no answer in" in flaw


def tool_of(case: Case) -> str:
    """The tool whose events *case* is asked about; its policies are called so too."""
    return f"{case.group}-{case.name}"


def event_of(case: Case) -> dict[str, Any]:
    """The event of *case*, as the agent sends it."""
    usual = _event(tool_of(case), case.input)
    return {key: value for key, value in (usual | {**case.event}).items() if value is not None}


def control_event() -> dict[str, Any]:
    """The event that is the control's."""
    return _event(CONTROL, INPUT)


def refusal(case: Case) -> tuple[str, str, float]:
    """Who refuses the module of *case* (`scan`, `compiler`, or nobody: empty), in which words, after which seconds."""
    data, kind, by = case.wasm, "core", "scan"
    limits = case.limits
    begun = perf_counter()
    try:
        shape = scan(data, limits)
        check_abi(shape, limits)
        kind, by = shape.kind, "compiler"
        compiled(data, Setup(kind=kind), limits)
    except ModuleRefused as error:
        return by, str(error), perf_counter() - begun
    return "", "", perf_counter() - begun


def refusal_flaw(case: Case, by: str, words: str) -> str:
    """Why this refusal is not the one of *case*; empty if it is."""
    if strange := _steering(words):
        return f"the refusal holds {strange}"
    if not isinstance(case.must, Refused):
        return ""
    if not by:
        return "it is not refused"
    if (case.must.by and by != case.must.by) or not any(part in words for part in case.must.says):
        return f"the {by} refuses it: {words}"
    return ""


def _block(name: str, tool: str, module: str, events: Iterable[str], lines: Iterable[str]) -> str:
    known = "PreToolUse", "PostToolUse", "PermissionRequest"
    tools = [f'tools = ["{tool}"]'] if all(event in known for event in events) else []
    named = ", ".join(f'"{event}"' for event in events)
    head = ["[[policy]]", f'name = "{name.lower()}"', f'module = "{module}.wasm"', f"events = [{named}]"]
    return "\n".join([*head, *tools, *lines, ""])


def _settings(answer: bytes) -> str:
    """The settings by which the parrot answers *answer*."""
    return f'settings = {{ answer = "{_spelled(answer)}" }}'


def _spelled(answer: bytes) -> str:
    """*answer* as the parrot reads it."""
    out, at = [], 0
    for run in RUN.finditer(answer):
        out += [answer[at : run.start()].hex(), f"x{len(run[0]):04x}{run[0][:1].hex()}"]
        at = run.end()
    return "".join([*out, answer[at:].hex()])


def _alone(case: Case) -> bool:
    """Whether the event of *case* names no tool, so that it would go to every policy."""
    return case.event.get("tool_name", "") is None


def _event(tool: str, tool_input: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"session_id": "s", "cwd": "/tmp", "permission_mode": "default", "hook_event_name": "PreToolUse"}  # noqa: S108
    return usual | {"tool_name": tool, "tool_input": dict(tool_input)}


def _plant(kind: str, path: str, target: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if kind == "dir":
        os.makedirs(path, exist_ok=True)
    elif kind == "link":
        os.symlink(target, path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write("planted\n")


def _flaw(case: Case, decision: Decision, root: str) -> str:
    told = (decision.reason, decision.context, *(text for v in decision.verdicts for text in _texts(v)))
    if strange := next(filter(None, map(_steering, told)), ""):
        return f"a text holds {strange}"
    if isinstance(case.must, Faulted):
        words = " / ".join(v.fault for v in decision.because)
        if decision.effect is not Effect.DENY or not decision.faulted:
            return f"no fault, but {decision.effect.name}: {decision.reason}"
        right = any(part in words for part in case.must.says) and not (case.must.never and case.must.never in words)
        return "" if right else f"another fault: {words}"
    return _answer_flaw(case, case.must, decision, root)


def _answer_flaw(case: Case, must: Answered, decision: Decision, root: str) -> str:
    verdict = decision.verdicts[0]  # later ones are about its own rewrite
    if verdict.fault:
        return f"a fault: {verdict.fault}"
    rewrite = None
    if must.rewrite is not None:
        changes = {k: v.replace(ROOT, root) if isinstance(v, str) else v for k, v in must.rewrite.items()}
        rewrite = {**case.input, **changes}
    wanted = (must.effect, must.reason, must.context, must.notes, rewrite)
    got = (decision.effect, verdict.reason, verdict.context, verdict.notes, decision.rewrite)
    names = ("effect", "reason", "context", "notes", "rewrite")
    wrong = [f"{n} is {g!r:.300}, not {w!r:.300}" for n, g, w in zip(names, got, wanted, strict=True) if g != w]
    return "; ".join(wrong)


def _texts(verdict: Verdict) -> tuple[str, ...]:
    return verdict.reason, verdict.fault, verdict.context, *verdict.notes


def _steering(text: str) -> str:
    """The first character of *text* that does something to its reader; ours are line breaks and tabs only."""
    for character in text:
        category = unicodedata.category(character)
        if character not in "\n\t" and (category[0] == "C" or category in ("Zl", "Zp")):
            return f"U+{ord(character):04X}"
    return ""
