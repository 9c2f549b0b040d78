"""What crosses the border to a guest and back, as msgpack: the request that we write, the answer that we read.

The answer is hostile until `decode_answer` returns it. It is refused, with `InvalidAnswer` and nothing else, unless

1. the bytes are exactly one msgpack map: nothing after it, no ext type, no key twice, no key but text, all text UTF-8,
   at most 64 entries in a map and 1,024 in an array, 2,048 maps and arrays, no text or binary longer than the answer;
2. its keys are of the closed set in `_SCHEMA`, and each value has exactly the type there: no subclass, no number for a
   boolean, nil for nothing. An empty map is a pass;
3. `effect` equals one of the four words, in this very spelling;
4. what is nested is plain JSON data: at most 16 levels (the answer itself is the first), floats finite, integers within
   2**53 either way, binary nowhere but as the value of `state`.

Then its texts are cleaned and cut, its notes counted, and an empty `rewrite` is none. How long an answer may be is
asked by the caller, before its bytes are copied; what of it counts is the business of `wasmguard.guest.grants`.

The request carries plain JSON data too. It may hold whatever JSON can say (NUL, floats, integers of 64 bits, texts of
megabytes) except lone surrogates, which UTF-8 cannot: each becomes U+FFFD, because that is what the agent's own tools
put on disk for it, so the policy judges what will be written.
"""

from __future__ import annotations

from msgpack import packb, unpackb

from wasmguard.decision import Effect
from wasmguard.errors import ConfigError, EventError, InvalidAnswer
from wasmguard.guest.abi import VERSION
from wasmguard.limits import ANSWER_DEPTH, CONTEXT, EVENT_DEPTH, NOTE, NOTES, REASON, SAFE_INTEGER
from wasmguard.text import lines, one_line, quoted
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from wasmguard.event import Event

MAP_ENTRIES, ARRAY_ENTRIES = 64, 1024  # what the decoder builds per header before it has seen an entry
INFINITE = float("inf")
NESTS = 2_048  # maps and arrays in one answer: 64 KiB of empty ones cost 70 to 150 ms

_PLAIN = frozenset({dict, list, str, int, float, bool, type(None)})
_NESTS = frozenset({dict, list})
_KINDS = {
    dict: "a map",
    list: "an array",
    str: "text",
    bytes: "binary",
    int: "an integer",
    float: "a float",
    bool: "a boolean",
    type(None): "nil",
}
_EFFECTS = {effect.name.lower(): effect for effect in Effect}

# A request is assembled from parts that are encoded already, so that a big event is encoded once however many policies
# read it. A msgpack map is its header and its entries one after the other; everything but the three parts is constant.
_EVENT = b"\x84" + packb("abi") + packb(VERSION) + packb("event")  # 0x84: a map of four entries
_SETTINGS = packb("settings")
_STATE = packb("state")


class Answer(Value):
    """What a guest answered, read and cleaned, before anybody asked whether it was granted."""

    effect: Effect = Effect.PASS
    reason: str = ""
    rewrite: Mapping[str, Any] | None = None
    """Fields of the tool input to replace. Never empty."""
    context: str = ""
    interrupt: bool = False
    permissions: tuple[Any, ...] = ()
    """Permission updates: plain data, their shape not looked at yet."""
    state: bytes | None = None
    """What to remember. None leaves what is remembered as it is, empty bytes forget it."""
    notes: tuple[str, ...] = ()
    rewrite_output: Any = None
    """What to put in the place of the tool's output: fields of it, or the whole of a list or a text."""


def encode_event(event: Event, reads: frozenset[str] | None = None) -> bytes:
    """The event map of a request, cut down to the fields in *reads*; `hook_event_name` is always sent.

    Our own word for name, agent and time replaces fields of the same name.

    Raises:
        EventError: if a field is nothing that JSON could have said, or too big or deep to be sent.
    """
    fields = {**event.fields, "hook_event_name": event.name, "agent": event.agent, "time": event.time}
    if reads is not None:
        fields = {name: value for name, value in fields.items() if name in reads or name == "hook_event_name"}
    try:
        return _packed(fields, checked=event.checked)
    except ValueError as error:
        raise EventError(f"event: {error}") from error


def encode_settings(settings: Mapping[str, Any]) -> bytes:
    """The settings map of a request.

    Raises:
        ConfigError: if a setting is nothing that JSON could say, such as a date.
    """
    try:
        return _packed({**settings})
    except ValueError as error:
        raise ConfigError(f"settings: {error}") from error


def request(event: bytes, settings: bytes, state: bytes | None = None) -> bytes:
    """The request map around an encoded event and encoded settings."""
    return b"".join((_EVENT, event, _SETTINGS, settings, _STATE, packb(state)))


def packed(value: Any) -> bytes:
    """Plain data of our own as msgpack: what records and cells of ours carry, never what a guest said.

    Raises:
        ValueError: if msgpack cannot say it.
    """
    try:
        data: bytes = packb(value, unicode_errors="surrogatepass")
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return data


def unpacked(data: bytes) -> Any:
    """What was `packed`.

    Raises:
        ValueError: if *data* is not one value in msgpack.
    """
    most = len(data)
    try:
        return unpackb(
            data,
            unicode_errors="surrogatepass",
            max_str_len=most,
            max_bin_len=most,
            max_array_len=most,
            max_map_len=most,
            max_ext_len=0,
        )
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  # msgpack has errors of its own kind, which derive from nothing shared
        raise ValueError(f"{type(error).__name__}: {error}") from None


def decode_request(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes | None]:
    """Event, settings and state of the request *data*, for a guest that reads none of them as msgpack.

    Raises:
        ValueError: if it is none, as strictly as a guest kit.
    """
    try:
        read = unpackb(data, raw=False, object_pairs_hook=_request_map, ext_hook=_refuse_ext)
    except Exception as error:  # ValueError, UnicodeDecodeError, RecursionError, and what the two hooks raise
        raise ValueError(one_line(str(error), 100) or type(error).__name__) from error
    if type(read) is not dict or read.keys() != {"abi", "event", "settings", "state"}:
        raise ValueError("not the map of a request")
    event, settings, state = read["event"], read["settings"], read["state"]
    if type(read["abi"]) is not int or read["abi"] != VERSION or type(event) is not dict or type(settings) is not dict:
        raise ValueError("an entry of another type")
    if state is not None and type(state) is not bytes:
        raise ValueError("a state of another type")
    return event, settings, state


def encode_answer(said: Mapping[str, Any]) -> bytes:
    """The bytes that `decode_answer` reads, for a guest that does not write them itself.

    Raises:
        ValueError: if *said* holds what msgpack cannot say.
    """
    try:
        return packb({**said})  # type: ignore[no-any-return]  # msgpack has no annotations
    except OverflowError:
        raise ValueError("an integer of more than 64 bits") from None


def decode_answer(data: bytes) -> Answer:
    """What a guest said in *data*.

    Raises:
        InvalidAnswer: if it is not an answer. No other exception, whatever the bytes.
    """
    said = {}
    for key, value in _unpacked(data).items():
        if key not in _SCHEMA:
            raise InvalidAnswer(f"the answer has an unknown key: {quoted(one_line(key, 40))}")
        wanted, read = _SCHEMA[key]
        if type(value) not in wanted:
            must = " or ".join(_KINDS[kind] for kind in wanted)
            raise InvalidAnswer(f"`{key}` of the answer is {_kind(value)} and must be {must}")
        said[key] = read(value)
    return Answer(**said)


def _unpacked(data: bytes) -> dict[str, Any]:
    nests = _Nests()
    try:
        answer = unpackb(
            data,
            raw=False,
            strict_map_key=False,  # `as_map` is stricter: this one accepts binary keys
            object_pairs_hook=nests.as_map,
            list_hook=nests.as_list,
            ext_hook=_refuse_ext,
            max_ext_len=0,
            max_map_len=MAP_ENTRIES,
            max_array_len=ARRAY_ENTRIES,
            max_str_len=len(data),
            max_bin_len=len(data),
        )
    except Exception as error:  # ValueError, UnicodeDecodeError, RecursionError, and what the two hooks raise
        why = one_line(str(error), 100) or type(error).__name__  # the library's words or ours, never the guest's text
        raise InvalidAnswer(f"the answer cannot be decoded: {why}") from error
    if type(answer) is not dict:
        raise InvalidAnswer(f"the answer is {_kind(answer)} and must be a map")
    return answer


class _Nests:
    """Makes the maps and arrays of one answer, and counts them."""

    def __init__(self) -> None:
        self.left = NESTS

    def as_map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        self._count()
        for key, _ in pairs:
            if type(key) is not str:
                raise InvalidAnswer(f"a key is {_kind(key)} and must be text")
        made = dict(pairs)
        if len(made) != len(pairs):  # left alone, the last one would win here and the first one in another reader
            raise InvalidAnswer("a map has a key twice")
        return made

    def as_list(self, items: list[Any]) -> list[Any]:
        self._count()
        return items

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise InvalidAnswer(f"more than {NESTS:_} maps and arrays")


def _request_map(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a map has a key twice")
    if not all(type(key) is str for key in made):
        raise ValueError("a key is not text")
    return made


def _refuse_ext(code: int, _data: bytes) -> None:
    raise InvalidAnswer(f"ext type {code}")


def _effect(word: str) -> Effect:
    if word not in _EFFECTS:
        raise InvalidAnswer(f"`effect` is none of {', '.join(_EFFECTS)}: {quoted(one_line(word, 40))}")
    return _EFFECTS[word]


def _reason(text: str) -> str:
    return one_line(text, REASON)


def _context(text: str) -> str:
    return lines(text, CONTEXT)


def _rewrite(fields: dict[str, Any]) -> dict[str, Any] | None:
    _check_nested("rewrite", fields)
    return fields or None


def _rewrite_output(output: dict[str, Any] | list[Any] | str) -> Any:
    if type(output) is not str:
        _check_nested("rewrite_output", output)
    return None if output == {} else output


def _permissions(updates: list[Any]) -> tuple[Any, ...]:
    _check_nested("permissions", updates)
    return tuple(updates)


def _notes(notes: list[Any]) -> tuple[str, ...]:
    for note in notes:
        if type(note) is not str:
            raise InvalidAnswer(f"a note of the answer is {_kind(note)} and must be text")
    if len(notes) <= NOTES:
        return tuple(one_line(note, NOTE) for note in notes)
    kept = tuple(one_line(note, NOTE) for note in notes[: NOTES - 1])
    return (*kept, f"{len(notes) - len(kept)} more notes were cut")


_SCHEMA: dict[str, tuple[tuple[type, ...], Callable[[Any], Any]]] = {
    "effect": ((str,), _effect),
    "reason": ((str,), _reason),
    "rewrite": ((dict,), _rewrite),
    "context": ((str,), _context),
    "interrupt": ((bool,), bool),
    "permissions": ((list,), _permissions),
    "state": ((bytes,), bytes),
    "notes": ((list,), _notes),
    "rewrite_output": ((dict, list, str), _rewrite_output),
}


def _check_nested(key: str, value: Any) -> None:
    flaw = _flaw(value, ANSWER_DEPTH - 1, -SAFE_INTEGER, SAFE_INTEGER)
    if flaw:
        raise InvalidAnswer(f"`{key}` of the answer {flaw}")


def _packed(data: dict[str, Any], *, checked: bool = False) -> bytes:
    if not checked:
        _refuse_unsendable(data)
    try:
        return packb(data)  # type: ignore[no-any-return]  # msgpack has no annotations
    except UnicodeEncodeError:  # rare, so ordinary events do not pay for the search
        return packb(_mended(data))  # type: ignore[no-any-return]  # as above
    except OverflowError:  # JSON has larger integers than msgpack
        _refuse_unsendable(data)
        raise


def _refuse_unsendable(data: dict[str, Any]) -> None:
    if _unsendable(data):
        where = next(name for name, value in data.items() if _unsendable({name: value}))
        raise ValueError(f"{quoted(one_line(str(where), 40))} {_unsendable({where: data[where]})}")


def _unsendable(data: dict[str, Any]) -> str:
    return _flaw(data, EVENT_DEPTH, -(2**63), 2**64 - 1)


def _mended(value: Any) -> Any:
    """The same data with each lone surrogate as U+FFFD."""
    if type(value) is str:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if type(value) is list:
        return [_mended(item) for item in value]
    if type(value) is not dict:
        return value
    made = {_mended(key): _mended(item) for key, item in value.items()}
    if len(made) != len(value):
        raise ValueError("two keys differ in nothing but lone surrogates: rename one")
    return made


def _flaw(value: Any, depth: int, lowest: int, highest: int) -> str:
    """Why *value*, a dict or list, is not plain JSON data in these bounds; empty if it is.

    Level by level, because the types of a whole level are compared by C code and no recursion can run out.
    """
    level = [value]
    for _ in range(depth):
        below: list[Any] = []
        for held in level:
            if type(held) is dict and not set(map(type, held)) <= {str}:
                return "has a key that is not text"
            items = held.values() if type(held) is dict else held
            types = set(map(type, items))
            if flaw := _scalar_flaw(items, types, lowest, highest):
                return flaw
            if types & _NESTS:
                below.extend(item for item in items if type(item) in _NESTS)
        if not below:
            return ""
        level = below
    return f"is nested deeper than {depth} levels"


def _scalar_flaw(items: Iterable[Any], types: set[type], lowest: int, highest: int) -> str:
    if not types <= _PLAIN:
        return f"holds {_kind(next(item for item in items if type(item) not in _PLAIN))}, which JSON has not"
    if int in types and not all(type(item) is not int or lowest <= item <= highest for item in items):
        return f"holds an integer outside {lowest} to {highest}: send it as text"
    if float in types and not all(type(item) is not float or -INFINITE < item < INFINITE for item in items):
        return "holds a float that is not finite"
    return ""


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a `{type(value).__name__}`")
