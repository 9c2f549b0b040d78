"""Asking the shipped policies: what a host does for an event, without its checks and defaults."""

import os
import tomllib
from pathlib import Path

from wasmguard.event import Event
from wasmguard.guest.bundle import builtin_dir, open_bundle
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.limits import HARD_MAX, PROFILES
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup

SOURCES = Path(__file__).parents[2] / "policies-src"
BUILT = Path(os.environ.get("WASMGUARD_POLICIES", builtin_dir()))
POLICIES = sorted(path.parent.name for path in SOURCES.glob("*/manifest.toml"))


def bundle(policy):
    return open_bundle(str(BUILT / policy), "/", HARD_MAX.module)


class Guests(dict):
    """Each policy, loaded when a test asks for it."""

    def __init__(self):
        self.engine = Engine(Library(find()), Setup(), 2)

    def __missing__(self, policy):
        opened = bundle(policy)
        limits = PROFILES[opened.manifest.limits]
        self[policy] = CoreGuest(self.engine, compiled(opened.module, self.engine.setup, limits), limits, limits.answer)
        return self[policy]


def asked(policy, case, fields=None, state=None):
    """The request of a case about its event, or about one before it with these *fields*."""
    settings = encode_settings(case.get("settings", {}))
    fields = case["event"] if fields is None else fields
    if "hook_event_name" not in fields:
        return request(encode_settings(fields), settings, state)  # any map
    event = Event(name=fields["hook_event_name"], agent="claude", fields=fields, time=fields.get("time", 0))
    reads = bundle(policy).manifest.reads
    return request(encode_event(event, None if reads is None else frozenset(reads)), settings, state)


def answered(guest, policy, case, fields=None, state=None):
    """The answer, and the fuel that it took."""
    data, fuel = guest.evaluate(asked(policy, case, fields, state))
    return decode_answer(data), fuel


def remembered(guest, policy, case):
    """What the policy remembers when it is asked about the event of the case: None for nothing."""
    state = bytes.fromhex(case["state"]) if "state" in case else None
    for fields in case.get("before", []):
        answer, _ = answered(guest, policy, case, fields, state)
        state = state if answer.state is None else answer.state or None
    return state


def most_remembered(policy):
    """Bytes of state that the manifest asks for."""
    asks = tomllib.loads((SOURCES / policy / "manifest.toml").read_text(encoding="utf-8")).get("asks", {})
    return asks.get("state", {"max": 0})["max"]
