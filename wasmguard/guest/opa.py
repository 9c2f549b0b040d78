"""What crosses the border to a policy in Rego and back: JSON instead of msgpack.

A manifest with `abi = "opa"` says that the module is what `opa build -t wasm` makes. `Rego` stands before such a guest,
so that everybody else asks it like any other: a request in msgpack comes in, an answer in msgpack goes out. Its input:

    {"event": {…}, "settings": {…}, "state": "…" or null}

the same event and settings that every policy gets; what it remembers is text, because JSON has nothing else. `data` is
empty. The module has one of two entrypoints:

`wasmguard/answer`  an object with the keys of an answer; `state` is text. Without a value for this event the result is
                    undefined, which is a fault and no pass: a policy that has no opinion says so
                    (`default answer := {"effect": "pass"}`).
`wasmguard/deny`    a set of texts (`deny contains msg if …`). None of them is a pass, else it is a deny, with all of
                    them, sorted, as its reason.

1. A request is read as strictly as by a guest kit. What cannot be read is a fault, and so is a state that is no text.
2. A result is exactly one JSON document in UTF-8, `[{"result": …}]`, without an object that has a key twice.
3. What it says is written as msgpack and has yet to be read by `codec.decode_answer`, which is as strict as with
   everybody: types, known keys, sizes, depth, finite numbers.
"""

from __future__ import annotations

from wasmguard import wire
from wasmguard.decision import Effect
from wasmguard.errors import InvalidAnswer, NotAtOnce
from wasmguard.guest.codec import decode_request, encode_answer
from wasmguard.limits import KIB
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Guest(Protocol):
        """A module of OPA, ready to be asked."""

        def evaluate(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
            """The result for *request*, both JSON, and its fuel."""


ANSWER, DENY = ENTRYPOINTS = ("wasmguard/answer", "wasmguard/deny")
ADVICE = {ANSWER: "give it a `default`", DENY: "make it a set, by `deny contains …`"}
BETWEEN = "; "  # two reasons of one deny
AT_ONCE = 64 * KIB  # bytes of a request that an event loop may wait for, as in `wasmguard.sandbox.at_once`


class Rego:
    """A policy in Rego, asked like any other."""

    def __init__(self, guest: Guest, entrypoint: str) -> None:
        """*entrypoint* is the one of `ENTRYPOINTS` that *guest* is asked for."""
        self._guest, self._entrypoint = guest, entrypoint

    def evaluate(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """The answer to *request*, and the fuel it took. Raises as its guest, and also:

        Raises:
            InvalidAnswer: if the request cannot be said in JSON, or the result is none.
        """
        if at_once and len(request) > AT_ONCE:  # even to read it takes too long
            raise NotAtOnce
        said, fuel = self._guest.evaluate(as_input(request), at_once=at_once)
        try:
            return answer(said, self._entrypoint), fuel
        except InvalidAnswer as fault:
            fault.fuel = fuel
            raise


def as_input(request: bytes) -> bytes:
    """The `input` that says what *request* says.

    Raises:
        InvalidAnswer: if there is none.
    """
    try:
        event, settings, state = decode_request(request)
        remembered = None if state is None else state.decode()
        whole = {"event": event, "settings": settings, "state": remembered}
        return wire.written(whole, ascii_only=False).encode()
    except (ValueError, TypeError, RecursionError) as error:  # UnicodeError is a ValueError
        raise InvalidAnswer(f"the request cannot be said in JSON: {_why(error)}") from None


def answer(result: bytes, entrypoint: str) -> bytes:
    """The answer that *result* of *entrypoint* means, in msgpack. Whether it is a valid one is asked later.

    Raises:
        InvalidAnswer: if it is no result. No other exception, whatever the bytes.
    """
    try:
        said = _said(_parsed(result.decode()), entrypoint)
        return encode_answer(said)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer(f"the answer cannot be decoded: {_why(error)}") from None


def _said(document: Any, entrypoint: str) -> dict[str, Any]:
    if document == []:
        raise InvalidAnswer(f"`{entrypoint}` is undefined for this event: {ADVICE[entrypoint]}")
    if (
        type(document) is not list
        or len(document) != 1
        or type(document[0]) is not dict
        or [*document[0]] != ["result"]
    ):
        raise InvalidAnswer("the result is no array of one object with the key `result`")
    value = document[0]["result"]
    if entrypoint == DENY:
        return _denied(value)
    if type(value) is not dict:
        raise InvalidAnswer(f"`{ANSWER}` is {_kind(value)} and must be an object")
    if type(value.get("state")) is str:
        value["state"] = value["state"].encode()
    return value


def _denied(reasons: Any) -> dict[str, Any]:
    if type(reasons) is not list:
        raise InvalidAnswer(f"`{DENY}` is {_kind(reasons)} and must be a set of texts")
    if other := [reason for reason in reasons if type(reason) is not str]:
        raise InvalidAnswer(f"`{DENY}` holds {_kind(other[0])} and must be a set of texts")
    return {"effect": Effect.DENY.name.lower(), "reason": BETWEEN.join(sorted(reasons))} if reasons else {}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a key twice")
    return made


_parsed = wire.reader(pairs=_object)


def _why(error: Exception) -> str:
    return one_line(str(error), 100) or type(error).__name__


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "an array or a set", str: "text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
