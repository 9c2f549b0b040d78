"""The question of an SDK's callback ("may this tool run?"), as the daemon answers it. No I/O but the schemas' files.

1. What it comes to is `serve.permission`'s business, how it is said `agents.sdk`'s.
2. While the owner has the guard off nobody judges, so there is no opinion: a human is asked, or `unasked` says what
   that is worth. What a hook said before about the call still counts, but for an ALLOW.
3. A call is one event to whoever counts, however many policies were asked about it; it is told by its answer.
"""

from __future__ import annotations

import os

from wasmguard import wire
from wasmguard.agents import sdk
from wasmguard.decision import OURSELVES, Effect
from wasmguard.errors import EventError
from wasmguard.serve.permission import Asked, Permission, settled, still, unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wasmguard.decision import Decision

    Deciding = Callable[[Mapping[str, Any]], Decision]

NAME = "can-use-tool"  # what is told as the event
OFF = "wasmguard: the guard is off"
SCHEMAS = {"can-use-tool": ("request", "answer"), "hook": ("answer",)}


def answered(raw: bytes, most: int, decide: Deciding | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer to the question in *raw*, which may have *most* bytes, and what is told of it. *decide* is the guard's
    (it does not raise), or None while it is off.

    Raises:
        EventError: if it is none. The answer is `sdk.refusal` then.
    """
    call, heard = _parsed(raw, most), []

    def decided(event: Mapping[str, Any]) -> Decision:
        heard.append(decide(event))  # type: ignore[misc]  # not called without one
        return heard[-1]

    if decide is None:
        permission = Permission(effect=still(call.least) if call.judged else Effect.PASS, message=OFF)
    else:
        asked = Asked(tool=call.tool, input=call.input, fields=call.fields)
        permission = settled(decided, asked, judged=call.judged, least=call.least)
    if not call.asks:
        permission = unattended(permission, call.unasked)
    answer = sdk.render(
        permission.effect,
        asks=call.asks,
        message=permission.message,
        new_input=permission.input,
        updates=permission.updates,
        interrupt=permission.interrupt,
    )
    return answer, {"event": NAME, "tool": call.tool, **_carried(answer, permission, heard)}


def schemas() -> dict[str, Any]:
    """The JSON schemas of what is said over HTTP: for each form, of its `request` and its `answer`.

    Raises:
        OSError, ValueError: if this installation is broken.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")
    said: dict[str, Any] = {"version": sdk.VERSION}
    for form, sides in SCHEMAS.items():
        said[form] = {}
        for side in sides:
            with open(os.path.join(folder, f"{form}.{side}.json"), encoding="utf-8") as file:
                said[form][side] = wire.read(file.read())
    return said


def _parsed(raw: bytes, most: int) -> sdk.Call:
    if not raw or raw.isspace():
        raise EventError("there is no question: send one JSON object")
    if len(raw) > most:
        raise EventError(f"the question has {len(raw):_} bytes, more than the limit of {most:_}: raise `limits.event`")
    return sdk.parse(raw)


def _carried(answer: Mapping[str, Any], permission: Permission, heard: list[Decision]) -> dict[str, Any]:
    """Effect, and who carried it."""
    told = {"effect": answer["behavior"], "rewrote": permission.input is not None, "reason": permission.message}
    strictest = max(heard, key=lambda decision: decision.effect, default=None)
    if strictest is None or not (because := strictest.because):
        return told
    faulted = strictest.faulted and because[0].policy != OURSELVES  # self-protection is no failure
    return {**told, "policy": because[0].policy, "faulted": faulted}
