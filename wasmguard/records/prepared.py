"""A record on its way into the database: what was in the spool becomes canonical JSON and what belongs to it.

1. Every record has an id of ten bytes. Who has none gets one that its bytes alone say, so that it is the same again
   when they come again.
2. What is no record becomes one of the kind `damaged`. What JSON cannot say becomes text, and then `inputs` is `cut`:
   nobody should decide that record again as if it were what was judged.
3. What is counted of it is what its JSON says, which is what is kept.
"""

from __future__ import annotations

import json
from hashlib import blake2b, sha256
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from wasmguard import kept
from wasmguard.recorder import opened
from wasmguard.records.chain import arranged, canonical, digits, encoder
from wasmguard.records.counting import verdicts
from wasmguard.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
ID = 10  # bytes
DEEPEST = 200  # levels of what JSON cannot say as it is
_DIGESTS = ("id", "digest", "granted")


class Prepared(NamedTuple):
    """A record that can be appended."""

    id: bytes
    body: bytes
    """Canonical JSON."""
    record: dict[str, Any]
    """What is in it."""
    blobs: dict[bytes, bytes]
    """By SHA-256."""


class Preparing:
    """Prepares records; knows the plans that they name."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[str, tuple[str, str]]] = {}
        self._encode, self._odd = encoder(self._digits), False

    def prepared(self, data: bytes) -> Prepared:
        """The record in *data*, as the spool has it."""
        try:
            record = opened(data)
            if not isinstance(record, dict):
                return damaged(len(data), data)
            if type(record.get("id")) is not bytes or len(record["id"]) != ID:
                record["id"] = named(data)
            return self.of(record)
        except (ValueError, RecursionError):
            return damaged(len(data), data)

    def of(self, record: dict[str, Any]) -> Prepared:
        """*record*, whose id is ten bytes, prepared. It is changed.

        Raises:
            ValueError: if JSON cannot say it at all.
        """
        id_, blobs = record["id"], dict[bytes, bytes]()
        self._complete(record, blobs)
        self._odd = False
        try:
            record = arranged(record)
            text = self._encode(record)
        except (ValueError, TypeError, RecursionError, OverflowError):
            record = _plain(record, 0)
            if "fields" in record:
                record["inputs"] = "cut"
            body, self._odd = canonical(record), True
        else:
            body = text.encode()
        # What differs from its JSON: bytes that became digits, and two halves of a character that became one.
        if self._odd or b"\\ud" in body:
            record = json.loads(body)
        return Prepared(id_, body, record, blobs)

    def _digits(self, value: Any) -> str:
        self._odd = True
        return digits(value)

    def _complete(self, record: dict[str, Any], blobs: dict[bytes, bytes]) -> None:
        """Put aside what was remembered, and say where each verdict came from (rule 4 of the drain)."""
        for name in _DIGESTS:
            if type(digest := record.get(name)) is bytes:
                record[name] = digest.hex()
        said: list[Any] = verdicts(record)  # dicts of our own
        sources = self._of_plan(record.get("plan")) if said else {}
        for verdict in said:
            if type(answer := verdict.get("answer")) is bytes:
                verdict["answer"] = answer.hex()
            for name in ("given", "state"):
                if name in verdict and type(state := verdict.pop(name)) is bytes:
                    digest = sha256(state).digest()
                    blobs[digest] = state
                    verdict[name] = digest.hex()
            policy = verdict.get("policy")
            if sources and isinstance(policy, str) and (source := sources.get(policy)) is not None:
                verdict["module"], verdict["settings"] = source

    def _of_plan(self, identities: Any) -> Mapping[str, tuple[str, str]]:
        """Digests of module and settings by policy; *identities* are one or more plans', divided by blanks."""
        if not isinstance(identities, str):
            return {}
        if identities not in self._sources:
            found = {}
            for identity in identities.split():
                plan = kept.plan_of(identity)
                for policy in plan.policies if plan is not None else ():
                    found[policy.name] = (policy.sha256, sha256(canonical(policy.settings)).hexdigest())
            self._sources[identities] = found
        return self._sources[identities]


def damaged(size: int, seed: bytes, time: int | None = None) -> Prepared:
    """A record of *size* bytes that were none; *seed* says which ones."""
    return plain(named(seed), "damaged", time, bytes=size)


def plain(id_: bytes, kind: str, time: int | None = None, **fields: Any) -> Prepared:
    """A record of our own of *kind* with *fields*."""
    now = time_ns() // 1_000_000 if time is None else time
    record = {"v": VERSION, "id": id_, "time": now, "version": __version__, "kind": kind, **fields}
    body = canonical(record)
    return Prepared(id_, body, json.loads(body), {})


def named(seed: bytes) -> bytes:
    """An id that *seed* alone says. It is below every id with a time, so that it does not look like one of tomorrow."""
    return b"\0" + blake2b(seed, digest_size=ID - 1).digest()


def _plain(value: Any, depth: int) -> Any:
    """*value* with what JSON cannot say as text.

    Raises:
        ValueError: if it is nested too deeply.
    """
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {_key(key): _plain(below, depth + 1) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(below, depth + 1) for below in value]
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    return value if isinstance(value, (str, int, bytes, type(None))) else str(value)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return key.hex() if isinstance(key, bytes) else str(key)
