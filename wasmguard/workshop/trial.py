"""Trying a policy: it is checked, compiled and loaded as `wasmguard lock` and a guard do it, and asked by hand.

1. Everything goes through `wasmguard.lock` and `wasmguard.plan`: what would not load there does not load here, whatever
   kind of module it is, and for the same reason.
2. The policy runs in a jailed process, as its owner's would, where the system has such.
3. Its configuration is made up and thrown away: it is granted all that its manifest asks for, with the limit profile
   that it names, and more time to compile, for a machine that is busy. What counts for an owner who grants less is
   asked of `wasmguard.guest.grants`.
4. Compiled code is kept in a cache of its own, beside that of the owner's policies, and only the newest: whoever
   develops makes many modules.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager, suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard import places, plan
from wasmguard.errors import BundleError, GuestFault, InvalidAnswer, OutOfFuel, StackOverflow, Trapped
from wasmguard.event import Event
from wasmguard.guest.bundle import Bundle, open_bundle
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.grants import Grants
from wasmguard.limits import AUTHOR, HARD_MAX, Limits
from wasmguard.lock import prepare
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wasmguard.guest.codec import Answer
    from wasmguard.guest.manifest import Manifest
    from wasmguard.plan import PlannedPolicy
    from wasmguard.sandbox.isolation import Guest

NAMELESS = "policy"  # what a module without a manifest is called
MOST = 64 * 1024  # bytes of a rewrite that is tried
KEPT = 24  # files in the cache of what was tried
SLOTS = 2  # evaluations at the same time; with one, every instance would be made without a pool
_PLACEHOLDERS = {"string": "", "strings": [], "boolean": False, "integer": 0}


class Said(Value):
    """What a policy said to one request."""

    answer: Answer | None = None
    """What it answered, read and cleaned; None if it did not."""
    data: bytes = b""
    """The bytes of its answer, if it gave any."""
    fault: str = ""
    """Why there is no answer, in one sentence."""
    ended_itself: bool = False
    """Whether it refused to answer: a trap, no fuel or stack left, or a component's error."""
    fuel: int | None = None
    microseconds: float = 0.0


class Trial:
    """A policy, ready to be tried."""

    def __init__(self, planned: PlannedPolicy, bundle: Bundle, guest: Guest, seconds: float) -> None:
        self.name, self.kind = planned.name, planned.kind
        self.bundle, self.manifest = bundle, bundle.manifest
        self.limits = Limits(**planned.limits)
        self.grants = Grants.from_data(planned.grants)
        """All that its manifest asks for."""
        self.settings = dict(planned.settings)
        """The defaults of its manifest."""
        self.seconds = seconds
        """Time in the compiler; 0 if the code was in the cache."""
        self._guest = guest
        self._reads = None if planned.reads is None else frozenset(planned.reads)

    @property
    def most_state(self) -> int:
        """Bytes that it may remember, as far as it asks for that."""
        asked = self.manifest.asks.state if self.manifest else None
        return asked.max if asked else 0 if self.manifest else HARD_MAX.answer

    def event(self, fields: dict[str, Any]) -> bytes:
        """*fields* as the policy gets them; without `hook_event_name`, as they are."""
        if not isinstance(name := fields.get("hook_event_name"), str):
            return encode_settings(fields)
        time = fields.get("time", 0)
        event = Event(name=name, agent="claude", fields=fields, time=time if type(time) is int else 0)
        return encode_event(event, self._reads)

    def request(self, fields: dict[str, Any], settings: dict[str, Any], state: bytes | None = None) -> bytes:
        """The request about an event."""
        return request(self.event(fields), encode_settings(settings), state)

    def ask(self, data: bytes) -> Said:
        """What the policy says to the request *data*."""
        begun, answered, fuel = perf_counter_ns(), b"", None
        try:
            answered, fuel = self._guest.evaluate(data)
            took = (perf_counter_ns() - begun) / 1000
            return Said(answer=decode_answer(answered), data=answered, fuel=fuel, microseconds=took)
        except GuestFault as fault:
            took = (perf_counter_ns() - begun) / 1000
            refused = not answered and isinstance(fault, Trapped | OutOfFuel | StackOverflow | InvalidAnswer)
            burned = fault.fuel if fuel is None else fuel
            return Said(data=answered, fault=str(fault), ended_itself=refused, fuel=burned, microseconds=took)


@contextmanager
def tried(reference: str, profile: str = "") -> Iterator[Trial]:
    """The policy that *reference* names as a configuration would, ready to be tried under the limits that its manifest
    names, or those of *profile*.

    Raises:
        WasmguardError: if `wasmguard lock` would refuse it.
    """
    if reference != (plain := one_line(reference, len(reference))):
        raise BundleError(f"`{plain}`: its name has characters that no configuration can hold: rename it")
    bundle = open_bundle(reference, "/", HARD_MAX.module)
    with tempfile.TemporaryDirectory(prefix="wasmguard-try-") as folder, _own_cache():
        config = os.path.join(folder, "wasmguard.toml")
        with open(config, "w", encoding="utf-8") as file:
            name = bundle.manifest.name if bundle.manifest else NAMELESS
            file.write(spelled([made_up(name, reference, bundle.manifest, profile)]))
        outcome = prepare(config, repin=False)
        (planned,), (told,) = outcome.plan.policies, outcome.policies
        if planned.sha256 != bundle.sha256:
            raise BundleError(f"`{bundle.path}`: it was replaced meanwhile: try again")
        isolation = PROCESS if hasattr(os, "fork") else THREAD
        cells = plan.cells(outcome.plan, slots=SLOTS, isolation=isolation, processes=1)
        try:
            yield Trial(planned, bundle, plan.guest(planned, cells), told.seconds)
        finally:
            cells.close()


def made_up(name: str, reference: str, manifest: Manifest | None, profile: str = "", **limits: int) -> dict[str, Any]:
    """The `[[policy]]` of somebody who calls the policy *name* and grants it all that its *manifest* asks for, under
    the limits that it names, or those of *profile*, but for some single *limits*."""
    profile = profile or (manifest.limits if manifest else "default")
    made: dict[str, Any] = {"name": name, "module": reference, "limits": {"profile": profile, **AUTHOR, **limits}}
    if manifest is None:
        return made
    asks = manifest.asks
    grants: dict[str, Any] = {
        "effects": ["deny", "ask", *(["allow"] if "allow" in asks.effects else [])],
        "rewrite": {key: {"max": MOST} for key in sorted({*asks.rewrite})},
        "rewrite_output": {tool: {"max": MOST} for tool in sorted({*asks.rewrite_output})},
    }
    if asks.permissions:
        grants["permissions"] = list(asks.permissions)
    if asks.state:
        grants["state"] = {"max": asks.state.max, "scope": asks.state.scope}
    needed = {name: setting for name, setting in manifest.settings.items() if setting.required}
    return made | {
        "grants": grants,
        "settings": {name: _PLACEHOLDERS[setting.type] for name, setting in needed.items()},
    }


def spelled(policies: Iterable[Mapping[str, Any]], **top: Any) -> str:
    """The text of a `wasmguard.toml` with these *policies*, and what stands above them."""
    written = [_lines(top), *("\n[[policy]]\n" + _lines(policy) for policy in policies)]
    return "".join(written)


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{_text(key)} = {_spelled(value)}\n" for key, value in table.items())


def _spelled(value: Any) -> str:
    """A value of JSON's own types in TOML, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(key)} = {_spelled(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(word: str) -> str:
    return json.dumps(word, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextmanager
def _own_cache() -> Iterator[None]:
    folder = os.path.join(places.cache_dir(), "tried")
    places.tell(cache=folder)
    try:
        yield
    finally:
        places.tell()
        _forget(os.path.join(folder, "vault"))


def _forget(folder: str) -> None:
    """Delete the oldest files of *folder*."""
    with suppress(OSError):  # another one that tries may be doing the same
        files = sorted(os.scandir(folder), key=lambda entry: -entry.stat().st_mtime_ns)
        for entry in files[KEPT:]:
            os.unlink(entry)
