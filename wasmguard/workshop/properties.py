"""What must hold for every policy, whatever its cases say. Each property has a name, and says what broke it.

The malformed requests are the ones that every guest kit is held against: who answers one of them has an opinion about
something that it did not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect
from wasmguard.errors import GuestFault
from wasmguard.event import Event
from wasmguard.guest.codec import encode_settings
from wasmguard.guest.grants import answered
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.cases import CWD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wasmguard.workshop.judged import Judged
    from wasmguard.workshop.trial import Said, Trial

LARGE = 300_000  # characters of a large content
CUTS = 48  # lengths at which a real request is cut
TOLD = 5  # flaws of one property that are told
STRANGE = "\u00fc \u4e2d \u0627 \U0001f600 e\u0301 \u202e \u2028 \x00 \x1b \ufeff \ufffd 𝒳"
ABI, EVENT, SETTINGS, STATE = b"\xa3abi", b"\xa5event", b"\xa8settings", b"\xa5state"
EXT = b"\xd4\x01\x00"  # an ext type of one byte
_OTHERS: dict[str, dict[str, Any]] = {  # events that a policy may not have declared
    "PreToolUse": {"tool_name": "Bash", "tool_input": {"command": "true"}},
    "PostToolUse": {"tool_name": "Bash", "tool_input": {"command": "true"}, "tool_response": {"stdout": "x"}},
    "UserPromptSubmit": {"prompt": "hello"},
    "Notification": {"message": "hello"},
    "SessionStart": {"source": "startup"},
    "Stop": {"stop_hook_active": False},
}


class Property(Value):
    """One property, and whether it holds."""

    name: str
    tried: int
    """How many requests it was tried with."""
    flaws: tuple[str, ...] = ()
    """What broke it, a line each."""

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.flaws


class Sample(Value):
    """A request that is answered, in its parts."""

    fields: dict[str, Any]
    event: bytes
    settings: bytes
    whole: bytes
    """The request."""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The entries of its map."""
        return ABI + b"\x01", EVENT + self.event, SETTINGS + self.settings, STATE + b"\xc0"


def properties(trial: Trial, cases: Iterable[Judged]) -> Iterator[Property]:
    """What holds for the policy of *trial*, of whose *cases* the answers are known."""
    known = list(cases)
    sample = _sample(trial, known)
    yield _same_again(trial, known, sample)
    yield _never(trial, "a malformed request is never answered", _malformed())
    yield _never(trial, "a request that was cut or goes on is never answered", _cut(sample.whole))
    yield _never(trial, "a request that holds what JSON cannot say is never answered", _foreign(sample))
    yield _never(trial, "a request that says something twice is never answered", _twice(sample))
    yield _never(trial, "a request that lacks something, or has another type there, is never answered", _wrong(sample))
    yield _asked_for(trial, known)
    yield _undeclared(trial)
    yield _answers(trial, f"a content of {LARGE:_} characters is answered", sample, ("x" * 99 + "\n") * (LARGE // 100))
    yield _answers(trial, "any unicode is answered", sample, STRANGE)


def _sample(trial: Trial, known: list[Judged]) -> Sample:
    """A request like those of the cases, else one that is made up."""
    events = trial.manifest.events if trial.manifest else ("PreToolUse",)
    told = [(one.case.event, one.said[-1].answer) for one in known]
    real = [fields for fields, answer in told if answer is not None and fields.get("hook_event_name") in events]
    fields = real[0] if real else made_up(events[0], trial)
    return Sample(
        fields=fields,
        event=trial.event(fields),
        settings=encode_settings(trial.settings),
        whole=trial.request(fields, trial.settings),
    )


def made_up(name: str, trial: Trial) -> dict[str, Any]:
    """An event of this name, about a tool that the policy of *trial* declares."""
    fields = {"hook_event_name": name, "cwd": CWD, **_OTHERS.get(name, {})}
    tools = trial.manifest.tools if trial.manifest else None
    if tools and "tool_name" in fields:
        fields["tool_name"] = tools[0].rstrip("*") or "Write"
        fields["tool_input"] = {"file_path": f"{CWD}/a.txt", "content": "a\n"}
    return fields


def _same_again(trial: Trial, known: list[Judged], sample: Sample) -> Property:
    flaws, tried = [], 0
    pairs = [(f"{one.case.where}: ", one.requests[-1], one.said[-1]) for one in known if one.said[-1].data]
    for where, request, said in pairs or [("", sample.whole, trial.ask(sample.whole))]:
        tried += 1
        again = trial.ask(request)
        if again.data != said.data:
            flaws.append(f"{where}the second answer is another one: {_told(said)}, then {_told(again)}")
    return _property("the same request has the same answer, in a fresh instance", tried, flaws)


def _never(trial: Trial, name: str, requests: Iterable[tuple[str, bytes]]) -> Property:
    flaws, tried = [], 0
    for what, data in requests:
        tried += 1
        said = trial.ask(data)
        if not said.ended_itself:
            flaws.append(f"{what}: {_told(said)}")
    return _property(name, tried, flaws)


def _malformed() -> Iterator[tuple[str, bytes]]:
    yield "nothing at all", b""
    for data in (b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x80", b"\xc0", b"\x81\xa3abi\x01"):
        yield f"the bytes {data.hex(' ')}", data
    yield "5,000 times the byte 81", b"\x81" * 5_000


def _foreign(sample: Sample) -> Iterator[tuple[str, bytes]]:
    yield "an ext type in the event", _map((*sample.parts[:1], EVENT + b"\x81\xa1x" + EXT, *sample.parts[2:]))
    yield "a key that is no text", _map((*sample.parts, b"\x01\x02"))


def _cut(whole: bytes) -> Iterator[tuple[str, bytes]]:
    step = max(1, len(whole) // CUTS)
    for size in sorted({*range(1, len(whole), step), *range(max(1, len(whole) - 8), len(whole))}):
        yield f"cut after {size} of {len(whole)} bytes", whole[:size]
    yield "one byte behind it", whole + b"\xc0"


def _twice(sample: Sample) -> Iterator[tuple[str, bytes]]:
    for part, again in zip(("abi", "event", "settings", "state"), sample.parts, strict=True):
        yield f"`{part}` twice", _map((*sample.parts, again))


def _wrong(sample: Sample) -> Iterator[tuple[str, bytes]]:
    names = ("abi", "event", "settings", "state")
    for at, name in enumerate(names):
        yield f"without `{name}`", _map((*sample.parts[:at], *sample.parts[at + 1 :]))
    others = (ABI + b"\x02", ABI + b"\xa11", EVENT + b"\x90", EVENT + b"\xc0", SETTINGS + b"\x90", SETTINGS + b"\xc0")
    for other in (*others, STATE + b"\xa0", STATE + b"\x01"):
        at = next(i for i, part in enumerate((ABI, EVENT, SETTINGS, STATE)) if other.startswith(part))
        value = other[len((ABI, EVENT, SETTINGS, STATE)[at]) :]
        yield f"`{names[at]}` is the bytes {value.hex(' ')}", _map((*sample.parts[:at], other, *sample.parts[at + 1 :]))


def _asked_for(trial: Trial, known: list[Judged]) -> Property:
    """What its owner changes in its settings may need another grant, and that is the owner's business: so rewrites
    count only with the settings that the manifest gives."""
    name = "it uses no grant that its manifest does not ask for"
    if trial.manifest is None:
        return _property(name, 0, [])
    flaws, tried = [], 0
    for one in known:
        for fields, said in zip(one.case.events, one.said, strict=False):
            if said.answer is None or "hook_event_name" not in fields:
                continue
            tried += 1
            if why := _unasked(trial, fields, said, default=not one.case.settings):
                flaws.append(f"{one.case.where}: {why}")
    return _property(name, tried, flaws)


def _unasked(trial: Trial, fields: dict[str, Any], said: Said, *, default: bool) -> str:
    """Which grant it uses, and did not ask for; empty if there is none."""
    answer, asks = said.answer, trial.manifest.asks if trial.manifest else None
    if answer is None or asks is None:
        return ""
    if answer.effect is Effect.ALLOW and "allow" not in asks.effects:
        return "it answers `allow`: add it to `asks.effects`"
    if not default:
        answer = answer.replaced(rewrite=None, rewrite_output=None)
    try:
        event = Event(name=str(fields["hook_event_name"]), agent="claude", fields=fields)
        answered(trial.name, answer, event, trial.grants)
    except GuestFault as fault:
        return str(fault)
    return ""


def _undeclared(trial: Trial) -> Property:
    declared = trial.manifest.events if trial.manifest else ("PreToolUse",)
    flaws, tried = [], 0
    for name, rest in _OTHERS.items():
        if name not in declared:
            tried += 1
            said = trial.ask(trial.request({"hook_event_name": name, "cwd": CWD, **rest}, trial.settings))
            if not _is_silent(said):
                flaws.append(f"{name}: {_told(said)}: add it to `events`, or pass")
    return _property("it has no opinion about an event that its manifest does not name", tried, flaws)


def _answers(trial: Trial, name: str, sample: Sample, text: str) -> Property:
    fields, given = dict(sample.fields), sample.fields.get("tool_input")
    if isinstance(given, dict):
        fields["tool_input"] = {**given, "content": text}
    else:
        fields["prompt"] = text
    said = trial.ask(trial.request(fields, trial.settings))
    return _property(name, 1, [] if said.answer is not None else [_told(said)])


def _is_silent(said: Said) -> bool:
    answer = said.answer
    if answer is None or answer.effect is not Effect.PASS:
        return False
    return not (answer.rewrite or answer.context or answer.rewrite_output is not None or answer.permissions)


def _told(said: Said) -> str:
    answer = said.answer
    if answer is None:
        return said.fault
    reason = f", {one_line(answer.reason, 80)}" if answer.reason else ""
    return f"{answer.effect.name.lower()}{', with a rewrite' if answer.rewrite else ''}{reason}"


def _property(name: str, tried: int, flaws: list[str]) -> Property:
    more = [f"and {len(flaws) - TOLD} more"] if len(flaws) > TOLD else []
    return Property(name=name, tried=tried, flaws=(*flaws[:TOLD], *more))


def _map(parts: tuple[bytes, ...]) -> bytes:
    return bytes([0x80 | len(parts)]) + b"".join(parts)
