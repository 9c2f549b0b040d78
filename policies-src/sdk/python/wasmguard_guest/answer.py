"""What a policy says. Only what was set is written."""

from __future__ import annotations

from msgpack import packb

TYPE_CHECKING = False  # see request.py
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self


class Answer:
    """One answer; make it with `pass_`, `allow`, `ask`, `deny` or `rewrite`. Every method returns the answer itself."""

    def __init__(self, effect: str, reason: str = "") -> None:
        self._said: dict[str, Any] = {"effect": effect}
        self.because(reason)

    def because(self, reason: str) -> Self:
        """One line for the owner and the model."""
        return self._say("reason", _of(str, reason)) if reason != "" else self

    def rewrite(self, field: str, value: object) -> Self:
        """Replaces one field of the tool's input. The owner must have granted it."""
        self._said.setdefault("rewrite", {})[_of(str, field)] = value
        return self

    def rewrite_output(self, value: Mapping[str, object] | list[object] | str) -> Self:
        """Replaces the tool's output: fields of a map, or the whole of a list or a text. Needs its grant too."""
        return self._say("rewrite_output", value)

    def context(self, text: str) -> Self:
        """Text for the model, where the event takes it."""
        return self._say("context", _of(str, text))

    def note(self, text: str) -> Self:
        """A line for the record only. There may be several."""
        self._said.setdefault("notes", []).append(_of(str, text))
        return self

    def remember(self, state: bytes) -> Self:
        """What `Request.state` is at the next event; empty forgets it. Needs its grant."""
        return self._say("state", _of(bytes, state))

    def interrupt(self) -> Self:
        """With a deny: stops the run, where the agent can."""
        return self._say("interrupt", True)

    def encoded(self) -> bytes:
        """The answer as the host reads it."""
        return packb(self._said)

    def _say(self, key: str, value: object) -> Self:
        self._said[key] = value
        return self


def pass_() -> Answer:
    """No opinion: the agent's own permissions go on."""
    return Answer("pass")


def allow(reason: str = "") -> Answer:
    """Let it through without a question. Counts as a pass unless the owner granted it."""
    return Answer("allow", reason)


def ask(reason: str) -> Answer:
    """Ask the human."""
    return Answer("ask", reason)


def deny(reason: str) -> Answer:
    """Not this call, and why."""
    return Answer("deny", reason)


def rewrite(field: str, value: object, reason: str = "") -> Answer:
    """No opinion, but another value in one field of the tool's input. `.rewrite(field, value)` adds the next one."""
    return Answer("pass", reason).rewrite(field, value)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"an answer wants {kind.__name__} here, not {type(value).__name__}")
    return value
