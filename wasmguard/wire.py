"""JSON as it goes over the wire, by the C half of the standard library's `json`.

The package around that half compiles seven regular expressions when it is imported, for a fallback that nobody runs: 5
ms of a hook process of 25, with `re` (CPython 3.11; `python benchmarks/startup.py`). The C functions are the ones that
`json.loads` and `json.dumps` end in; where there are none, the package is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Pairs = Callable[[list[tuple[str, Any]]], Any]
    Number = Callable[[str], float]

try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    make_scanner = None  # type: ignore[assignment,misc]  # how the functions below know


def reader(pairs: Pairs | None = None, number: Number = float) -> Callable[[str], Any]:
    """A function that reads one JSON document; objects are made by *pairs*, floats, NaN and Infinity by *number*.

    The function raises ValueError for anything that is no document, RecursionError for one that is nested too deep.
    """
    if make_scanner is None:
        from json import JSONDecoder

        return JSONDecoder(object_pairs_hook=pairs, parse_float=number, parse_constant=number).decode
    scan: Any = make_scanner(_Context(pairs, number))  # type: ignore[arg-type]  # any object with these names will do

    def decode(text: str) -> Any:
        text = text.strip(" \t\n\r")
        try:
            value, end = _scanned(scan, text)
        except StopIteration as stop:
            raise ValueError(f"no value at character {stop.value}") from None
        if end != len(text):
            raise ValueError(f"something follows it at character {end}")
        return value

    return decode


def _scanned(scan: Any, text: str) -> tuple[Any, int]:
    try:
        return scan(text, 0)  # type: ignore[no-any-return]  # the C function has no annotations
    except SystemError:  # it fails with an error class of `json.decoder`, and only if that is loaded (CPython 3.11)
        import json.decoder  # noqa: F401

        return scan(text, 0)  # type: ignore[no-any-return]  # as above


class _Context:
    """What the C scanner wants to know, under the names of `json.JSONDecoder`."""

    strict = True
    object_hook = None
    parse_int = int

    def __init__(self, pairs: Pairs | None, number: Number) -> None:
        self.object_pairs_hook, self.parse_float, self.parse_constant = pairs, number, number


read = reader()


def _of_json(text: str) -> float:
    if text[-1] in "Ny":  # `NaN`, `Infinity`: JavaScript reads no document with them
        raise ValueError(f"`{text}` is no JSON")
    return float(text)


read_strictly = reader(number=_of_json)
"""As `read`, but for what programs in JavaScript read too: `NaN` and `Infinity` are errors."""


def written(value: Any, *, ascii_only: bool = True) -> str:
    """*value* as compact JSON, in ASCII or with every character as itself that JSON lets stand so.

    Raises:
        ValueError, TypeError: if it holds what JSON cannot say.
    """
    if make_scanner is None:
        from json import dumps

        return dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=ascii_only)
    texts = encode_basestring_ascii if ascii_only else encode_basestring
    encode = make_encoder(None, _unknown, texts, None, ":", ",", False, False, False)
    return "".join(encode(value, 0))


def _unknown(value: object) -> None:
    raise TypeError(f"a `{type(value).__name__}` is nothing that JSON can say")
