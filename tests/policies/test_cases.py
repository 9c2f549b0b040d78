"""The shipped policies against their own cases: what the binaries in `build/` answer, word for word.

A case is a table `[[case]]` in `policies-src/<policy>/cases/*.toml` (`wasmguard.workshop.cases` has the format). It is
asked twice: as `wasmguard test` does, through a lock, in a cell, with the manifest's defaults; and here in this process
without the host's checks and defaults, because a policy does not lean on them.

`WASMGUARD_POLICIES` names another folder of binaries, for those that were just rebuilt.
"""

import tomllib

import pytest

from tests.policies.asking import BUILT, POLICIES, SOURCES, Guests, answered, asked, bundle, most_remembered, remembered
from wasmguard.decision import Effect
from wasmguard.limits import PROFILES
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.workshop.cases import read_cases
from wasmguard.workshop.exam import uncovered
from wasmguard.workshop.judged import judged
from wasmguard.workshop.properties import properties
from wasmguard.workshop.trial import tried

CASES = [
    pytest.param(policy, case, id=f"{policy}: {case['name']}")
    for policy in POLICIES
    for path in sorted((SOURCES / policy / "cases").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]
MALFORMED = [b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5000, b"\x80", b"\xc0", b"\x81\xa3abi\x01"]


@pytest.fixture(scope="module")
def guests():
    return Guests()


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_a_case_is_answered_as_it_says(guests, policy, case):
    guest = guests[policy]
    state = remembered(guest, policy, case)
    if case["effect"] == "trap":
        with pytest.raises(Exception, match="trapped"):
            answered(guest, policy, case, state=state)
        return
    answer, fuel = answered(guest, policy, case, state=state)
    assert answer.effect is Effect[case["effect"].upper()]
    assert answer.rewrite == case.get("rewrite")
    assert answer.rewrite_output == case.get("output")
    assert answer.interrupt is case.get("interrupt", False)
    assert case.get("reason", "") in answer.reason
    assert case.get("context", "") in answer.context
    for wanted in case.get("notes", []):
        assert any(wanted in note for note in answer.notes), answer.notes
    assert not answer.notes or case.get("notes") != []
    assert bool(answer.state) is case.get("remembers", bool(answer.state))
    assert len(answer.state or b"") <= most_remembered(policy)
    assert fuel < PROFILES["tight"].fuel or len(str(case["event"])) > 10_000


@pytest.mark.parametrize("policy", POLICIES)
def test_its_cases_hold_as_its_author_tests_them_and_touch_all_that_it_declares(own_home, policy):
    cases = read_cases(str(SOURCES / policy / "cases"))
    assert len(cases) == sum(param.values[0] == policy for param in CASES)
    with tried(str(BUILT / policy)) as trial:
        judgements = [judged(trial, case) for case in cases]
        assert list(uncovered(trial.manifest, cases)) == []
    assert [(one.case.where, one.differences) for one in judgements if not one.ok] == []


@pytest.mark.parametrize("policy", POLICIES)
def test_what_must_hold_for_every_policy_holds_for_it(own_home, policy):
    with tried(str(BUILT / policy)) as trial:
        judgements = [judged(trial, case) for case in read_cases(str(SOURCES / policy / "cases"))]
        assert [one for one in properties(trial, judgements) if not one.ok] == []


STATEFUL = [policy for policy in POLICIES if most_remembered(policy)]


@pytest.mark.parametrize("policy", STATEFUL)
def test_a_state_that_it_did_not_write_is_a_fault_and_no_fresh_start(guests, policy):
    """What the first case with `remembers = true` leaves: cut anywhere, longer, or anything else, it is refused."""
    guest = guests[policy]
    cases = [case for name, case in (param.values for param in CASES) if name == policy and case.get("remembers")]
    assert cases, "one case must say `remembers = true`"
    state = answered(guest, policy, cases[0], state=remembered(guest, policy, cases[0]))[0].state
    assert answered(guest, policy, cases[0], state=state)
    others = [state[:size] for size in range(len(state))] + [state + b"\xc0", *MALFORMED]
    for other in others:
        with pytest.raises(Exception, match=r"trapped|out of fuel|stack overflow"):
            guest.evaluate(asked(policy, cases[0], state=other))


@pytest.mark.parametrize("policy", STATEFUL)
def test_a_request_that_does_not_say_what_is_remembered_is_never_answered(guests, policy):
    case = next(case for name, case in (param.values for param in CASES) if name == policy)
    whole = asked(policy, case)
    assert whole.startswith(b"\x84")
    assert whole.endswith(b"\xa5state\xc0")
    with pytest.raises(Exception, match="trapped"):
        guests[policy].evaluate(b"\x83" + whole[1 : -len(b"\xa5state\xc0")])


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
@pytest.mark.parametrize("again", [b"\xa5event\x80", b"\xa8settings\x80"], ids=["event", "settings"])
def test_a_request_that_says_something_twice_is_never_answered(guests, policy, again):
    """The host reads the last one, say, and the guest the first: then they judge different things."""
    case = next(case for name, case in (param.values for param in CASES) if name == policy)
    whole = asked(policy, case)
    assert whole.startswith(b"\x84")
    with pytest.raises(Exception, match="trapped"):
        guests[policy].evaluate(b"\x85" + whole[1:] + again)


@pytest.mark.parametrize("policy", STATEFUL)
def test_a_request_of_another_abi_is_never_answered(guests, policy):
    case = next(case for name, case in (param.values for param in CASES) if name == policy)
    whole = asked(policy, case)
    assert whole.startswith(b"\x84\xa3abi\x01")
    with pytest.raises(Exception, match="trapped"):
        guests[policy].evaluate(b"\x84\xa3abi\x02" + whole[6:])


@pytest.mark.parametrize("policy", POLICIES)
def test_it_imports_nothing(policy):
    shape = scan(bundle(policy).module)
    check_abi(shape)
    assert shape.imports == ()


@pytest.mark.parametrize("policy", POLICIES)
def test_no_folder_of_a_build_machine_is_in_it(policy):
    module = bundle(policy).module
    assert not any(part in module for part in (b"/home/", b"/root/", b"/tmp/", b"/usr/src", b"/opt/"))


@pytest.mark.parametrize("policy", POLICIES)
def test_source_and_build_have_the_same_manifest(policy):
    assert (SOURCES / policy / "manifest.toml").read_bytes() == (BUILT / policy / "manifest.toml").read_bytes()


def test_every_policy_has_many_cases():
    count = {policy: sum(param.values[0] == policy for param in CASES) for policy in POLICIES}
    assert len(POLICIES) >= 2
    assert all(number >= 25 for number in count.values()), count
