"""What came of a case: the policy is asked, and what it answers is held against what was expected."""

from __future__ import annotations

import json
import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.value import Value, same
from wasmguard.workshop.cases import sent_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.guest.codec import Answer
    from wasmguard.workshop.cases import Case
    from wasmguard.workshop.trial import Said, Trial

SHOWN = 400  # characters of a value in a message
ABSENT = "nothing"
PATIENCE = 2.0  # seconds for one regular expression: some take years


class Judged(Value):
    """A case, and what came of it."""

    case: Case
    differences: tuple[tuple[str, str, str], ...] = ()
    """What differs: key, what was expected, what came."""
    said: tuple[Said, ...] = ()
    """What the policy said to each event of the case."""
    requests: tuple[bytes, ...] = ()
    """What it was asked; the last one is about the event of the case."""
    note: str = ""
    """Why no host would ask like this."""

    @property
    def ok(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences


def judged(trial: Trial, case: Case) -> Judged:
    """*case*, held against what the policy of *trial* says."""
    settings, note = sent_settings(case, trial.manifest)
    state, said, requests = case.state, [], []
    for fields in case.before:
        requests.append(trial.request(fields, settings, state))
        said.append(trial.ask(requests[-1]))
        if said[-1].answer is None:
            differs = f"before[{len(said) - 1}]", "an answer", said[-1].fault
            return Judged(case=case, differences=(differs,), said=tuple(said), requests=tuple(requests), note=note)
        if said[-1].answer.state is not None:
            state = said[-1].answer.state or None
    requests.append(trial.request(case.event, settings, state))
    said.append(trial.ask(requests[-1]))
    differences = tuple(_differences(case, said[-1], trial.most_state))
    return Judged(case=case, differences=differences, said=tuple(said), requests=tuple(requests), note=note)


def _differences(case: Case, said: Said, most_state: int) -> Iterator[tuple[str, str, str]]:
    answer = said.answer
    if case.effect == "trap":
        if answer is not None:
            yield "effect", "trap", f"{answer.effect.name.lower()}, {_shown(answer.reason)}"
        elif not said.ended_itself:
            yield "effect", "trap", said.fault
        return
    if answer is None:
        yield "effect", case.effect, f"a fault: {said.fault}"
        return
    if answer.effect.name.lower() != case.effect:
        yield "effect", case.effect, answer.effect.name.lower()
    yield from _exact(case.expected, answer)
    yield from _texts(case, answer)
    left = bool(answer.state)
    if left is not case.expected.get("remembers", left):
        yield "remembers", _shown(case.expected["remembers"]), _shown(left)
    if answer.state is not None and len(answer.state) > most_state:
        yield "state", f"at most {most_state:_} bytes, as its manifest asks", f"{len(answer.state):_} bytes"


def _exact(expected: dict[str, Any], answer: Answer) -> Iterator[tuple[str, str, str]]:
    """What must be equal, and is nothing where the case does not speak of it."""
    came = {
        "rewrite": None if answer.rewrite is None else dict(answer.rewrite),
        "output": answer.rewrite_output,
        "interrupt": answer.interrupt or None,
        "permissions": list(answer.permissions) or None,
    }
    for key, value in came.items():
        wanted = expected.get(key) or None if key in ("interrupt", "permissions") else expected.get(key)
        if not same(wanted, value):
            yield key, _shown(wanted), _shown(value)


def _texts(case: Case, answer: Answer) -> Iterator[tuple[str, str, str]]:
    """What must be part of what it says."""
    expected = case.expected
    if expected.get("reason", "") not in answer.reason:
        yield "reason", f"… {expected['reason']} …", answer.reason or ABSENT
    if why := _mismatch(expected.get("reason_matches", ""), answer.reason):
        yield "reason", f"/{expected['reason_matches']}/", why
    if expected.get("context", "") not in answer.context:
        yield "context", f"… {expected['context']} …", answer.context or ABSENT
    if case.quiet and answer.context:
        yield "context", ABSENT, answer.context
    wanted = expected.get("notes")
    if wanted == [] and answer.notes:
        yield "notes", ABSENT, "; ".join(answer.notes)
    for one in wanted or ():
        if not any(one in note for note in answer.notes):
            yield "notes", f"… {one} …", "; ".join(answer.notes) or ABSENT


def _mismatch(pattern: str, reason: str) -> str:
    """What came instead of a reason in which *pattern* is found; empty if it is."""
    try:
        with _soon():
            return "" if re.search(pattern, reason) else reason or ABSENT
    except TimeoutError:
        return f"no end of the search in {PATIENCE:.0f} s: write a simpler expression"


@contextmanager
def _soon() -> Iterator[None]:
    """TimeoutError after `PATIENCE`, where a system and a thread have alarms: `re` looks for signals as it goes."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ended)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ended(number: int, frame: object) -> None:
    raise TimeoutError


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    return one_line(json.dumps(value, ensure_ascii=False, default=str), SHOWN)
