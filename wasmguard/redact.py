"""Secrets, replaced before anything is recorded.

1. `needs` looks at the bytes of a record and says whether it could hold a secret at all. It may be wrong in one way
   only: whatever `redacted` would replace, `needs` has found. Most records end there, and nobody pays for `re`.
2. `redacted` replaces what is a secret by its form, such as a key of AWS, and then what is one by its name, such as a
   password in an assignment, a flag, or a field of a map. What is left says which kind was there.
3. Every expression takes time in proportion to the text, whoever wrote it: a repeat is possessive or has a bound.
4. A name tells no secret where a variable, a call, a type or a word such as `true` stands: code is full of these.

What no pattern knows stays. An owner who wants no secret in records at all writes `inputs = "digest"`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence
    from typing import Any

    Step = Callable[[str], str]

# To look for two letters or more costs far more than to look for one (`memchr`). So letters are folded together until
# few looks are left, and what ends before `_` or `-` is looked up in a set.
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZyYpP-", b"abcdefghijklmnopqrstuvwxyznnww_")
"""Lower case, and `y` is `n`, `p` is `w`: then `ken` finds `key` and `token`, `ssw` finds `passw` and `passp`."""
_CAPITALS = ((b"J", b"eyJ"), (b"G", b"SG."), (b"I", b"AIza"), (b"I", b"AKIA"), (b"I", b"ASIA"))
_JOINED = (
    *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"_pat_", b"glpat-", b"npm_", b"hf_", b"sk-", b"k_live_", b"pypi-"),
    *(b"xox", b"xapp-"),
)
_ANY = tuple(bytes([byte]) for byte in range(256))
_TAILS = frozenset(
    [
        *(b"ghw", b"gho", b"ghu", b"ghs", b"ghr", b"wat", b"nwm", b"ive", b"nwi", b"aww", b"sk", b"hf"),
        *(some + two for some in _ANY for two in (b"sk", b"hf")),
        *(b"ox" + some for some in _ANY),
    ]
)
"""What stands before the last `_` or `-` of those, folded, its last three letters."""
WAYS = 4096  # in which an expression of the owner's may match from one place on
MANY = 2**16  # bytes, in which there could be too many `_` for a list


def needs(packed: bytes) -> bool:
    """Whether *packed*, plain data as msgpack, may hold a secret that `redacted` would replace."""
    folded = packed.translate(_FOLDED)
    if b"ken" in folded or b"ssw" in folded or b"cret" in folded or b"authoriz" in folded:
        return True
    if b"@" in packed and b"://" in packed:
        return True
    for capital, form in _CAPITALS:
        if capital in packed and form in packed:
            return True
    if len(packed) <= MANY and _TAILS.isdisjoint([part[-3:] for part in folded.split(b"_")]):
        return False
    return any(form in packed for form in _JOINED)


def redacted(value: Any, extra: Sequence[str] = ()) -> tuple[Any, bool]:
    """A copy of *value*, plain data, without the secrets in its texts and keys, and whether there was one. *extra*
    are expressions of the owner's that have passed `check`.

    Raises:
        ValueError: if one of them has not.
    """
    from wasmguard.redact_patterns import OWN, cleaned, replaced

    copier = _Copier([*(replaced(_compiled(pattern), OWN) for pattern in extra), cleaned])
    return copier.copied(value), copier.changed


def check(pattern: str) -> None:
    """Pass if *pattern* can be an expression of the owner's.

    Raises:
        ValueError: with what is wrong, and what to do.
    """
    from re import _parser  # type: ignore[attr-defined]  # the only one who reads expressions as `re` does

    if _compiled(pattern).search("") is not None:
        raise ValueError(f"`{pattern}` matches the empty text: say what must be there, like `ACME-[0-9]{{8}}`")
    try:
        ways = _ways(_parser.parse(pattern), last=True)
    except _Slow as slow:
        raise ValueError(f"`{pattern}` {slow}") from None
    if ways > WAYS:
        raise ValueError(f"`{pattern}` can match in {ways:_} ways, and could run for hours: repeat less")


class _Copier:
    """Copies plain data, each text through all *steps*."""

    def __init__(self, steps: Sequence[Step]) -> None:
        from wasmguard import redact_patterns

        self._steps, self._known, self.changed = steps, redact_patterns, False

    def copied(self, value: Any, kind: str = "") -> Any:
        """*value*, all of which is a secret if it has a *kind*."""
        if isinstance(value, str):
            return self._text(value, kind)
        if isinstance(value, dict):
            return self._map(value, kind)
        if isinstance(value, (list, tuple)):
            return self._list(value, kind)
        if isinstance(value, bytes):  # what a policy remembers may be what it saw
            return self._text(value.decode("latin-1"), kind).encode("latin-1")
        if kind and isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._text(str(value), kind, value)
        return value

    def _text(self, text: str, kind: str, given: Any = None) -> Any:
        """*text*, which stands for what was *given* if that is none."""
        if kind and self._known.is_secret(text, kind):
            self.changed = True
            return self._known.mark(kind)
        if given is not None:
            return given
        made = text
        for step in self._steps:
            made = step(made)
        self.changed = self.changed or made != text
        return made

    def _list(self, items: Sequence[Any], kind: str) -> list[Any]:
        """*items*; what follows a flag such as `--password` is a secret."""
        made, of_flag = [], ""
        for item in items:
            made.append(self.copied(item, kind or of_flag))
            of_flag = self._known.kind_of_flag(item) if isinstance(item, str) else ""
        return made

    def _map(self, given: dict[Any, Any], kind: str) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        of_name = self._known.kind_of_pair(given)
        for key, below in given.items():
            is_text = isinstance(key, str)
            name = self._text(key, "") if is_text else key
            number = 1
            while name in made:  # two secrets of one kind
                number += 1
                name = f"{self._text(key, '')} {number}"
            of_key = of_name if key == "value" else self._known.kind_of_field(key) if is_text else ""
            made[name] = self.copied(below, kind or of_key)
        return made


def _compiled(pattern: str) -> re.Pattern[str]:
    import re

    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        why = f"`{pattern}` is no regular expression: {error}: write what your secrets look like, `ACME-[0-9]{{8}}`"
        raise ValueError(why) from None


class _Slow(Exception):
    """No error yet: why an expression could take for ever."""


def _ways(parts: Any, *, last: bool, within: bool = False) -> int:
    """In how many ways *parts* of an expression can match from one place on, at most: so often it may go back. Where
    nothing comes after it (*last*), a repeat goes back for nothing. *within* a repeat nothing has two ways: together
    they would be without number.

    Raises:
        _Slow: if there is no such number, or it takes too long from one place.
    """
    from re import _constants as op  # type: ignore[attr-defined]  # as above

    ways, parts = 1, list(parts)
    for place, (kind, held) in enumerate(parts):
        end = last and place == len(parts) - 1
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            least, most, body = held
            if within:
                raise _Slow("repeats what repeats, and could run for hours: leave one of the repeats out")
            inner = _ways(body, last=end and most == 1, within=most > 1)
            if least > WAYS or (most > WAYS and not end):
                raise _Slow("repeats without a bound before its end, and could run for hours: write `{1,64}` there")
            ways *= 1 + inner if most == 1 else 1 if end else most - least + 1
        elif kind is op.BRANCH:
            if within:
                raise _Slow("repeats a choice, and could run for hours: repeat one thing, like `[a-z0-9]`")
            ways *= sum(_ways(choice, last=end) for choice in held[1])
        elif kind in (op.SUBPATTERN, op.ATOMIC_GROUP, op.ASSERT, op.ASSERT_NOT):
            behind = kind is not op.SUBPATTERN
            inner = held if kind is op.ATOMIC_GROUP else held[-1]
            ways *= _ways(inner, last=end and not behind, within=within)
        elif kind is op.GROUPREF_EXISTS:
            raise _Slow("asks whether a group matched: write two expressions")
    return ways
