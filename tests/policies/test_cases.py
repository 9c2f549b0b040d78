"""The shipped policies against their own cases: what the binaries in `build/` answer, word for word.

`WASMGUARD_POLICIES` names another folder of binaries, for those that were just rebuilt.
"""

import os
import tomllib
from pathlib import Path

import pytest

from wasmguard.decision import Effect
from wasmguard.event import Event
from wasmguard.guest.bundle import builtin_dir, open_bundle
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.limits import HARD_MAX, PROFILES
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.scan import check_abi, scan

SOURCES = Path(__file__).parents[2] / "policies-src"
BUILT = Path(os.environ.get("WASMGUARD_POLICIES", builtin_dir()))
POLICIES = sorted(path.parent.name for path in SOURCES.glob("*/manifest.toml"))
CASES = [
    pytest.param(policy, case, id=f"{policy}: {case['name']}")
    for policy in POLICIES
    for path in sorted((SOURCES / policy / "cases").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]
MALFORMED = [b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5000, b"\x80", b"\xc0", b"\x81\xa3abi\x01"]


def bundle(policy):
    return open_bundle(str(BUILT / policy), "/", HARD_MAX.module)


@pytest.fixture(scope="module")
def guests():
    engine = Engine(Library(find()), Setup(), 2)

    def load(policy):
        opened = bundle(policy)
        limits = PROFILES[opened.manifest.limits]
        return CoreGuest(engine, compiled(opened.module, engine.setup, limits), limits, limits.answer)

    return {policy: load(policy) for policy in POLICIES}


def asked(policy, case):
    """The request of a case: its event and settings as they stand there, without the host's checks and defaults."""
    settings = encode_settings(case.get("settings", {}))
    if "hook_event_name" not in case["event"]:
        return request(encode_settings(case["event"]), settings)  # any map
    event = Event(name=case["event"]["hook_event_name"], agent="claude", fields=case["event"])
    return request(encode_event(event, frozenset(bundle(policy).manifest.reads)), settings)


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_a_case_is_answered_as_it_says(guests, policy, case):
    data, fuel = guests[policy].evaluate(asked(policy, case))
    answer = decode_answer(data)
    assert answer.effect is Effect[case["effect"].upper()]
    assert answer.rewrite == case.get("rewrite")
    assert case.get("reason", "") in answer.reason
    assert fuel < PROFILES["tight"].fuel or len(str(case["event"])) > 10_000


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: data[:6].hex() or "empty")
def test_a_malformed_request_is_never_answered(guests, policy, data):
    with pytest.raises(Exception, match=r"trapped|out of fuel|stack overflow"):
        guests[policy].evaluate(data)


@pytest.mark.parametrize("policy", POLICIES)
def test_bytes_after_the_request_are_never_answered(guests, policy):
    case = next(case for name, case in (param.values for param in CASES) if name == policy)
    with pytest.raises(Exception, match="trapped"):
        guests[policy].evaluate(asked(policy, case) + b"\xc0")


@pytest.mark.parametrize("policy", POLICIES)
def test_it_imports_nothing(policy):
    shape = scan(bundle(policy).module)
    check_abi(shape)
    assert shape.imports == ()


@pytest.mark.parametrize("policy", POLICIES)
def test_no_folder_of_a_build_machine_is_in_it(policy):
    module = bundle(policy).module
    assert not any(part in module for part in (b"/home/", b"/root/", b"/tmp/", b"/usr/src"))


@pytest.mark.parametrize("policy", POLICIES)
def test_source_and_build_have_the_same_manifest(policy):
    assert (SOURCES / policy / "manifest.toml").read_bytes() == (BUILT / policy / "manifest.toml").read_bytes()


def test_every_policy_has_many_cases():
    count = {policy: sum(param.values[0] == policy for param in CASES) for policy in POLICIES}
    assert len(POLICIES) >= 2
    assert all(number >= 25 for number in count.values()), count
