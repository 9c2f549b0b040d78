"""The real client, and a guard that is broken while it is asked: the tool does not run. The disk is the witness.

A sample: `tests/faults` breaks a hook at every named point, and reads its answers as this client does.
"""

import sys

import pytest

from tests.e2e.conftest import REDIRECT, WRITE, WRITES
from tests.faults.inject import Mark, program
from tests.faults.points import BEFORE_THE_ALARM, named

pytestmark = pytest.mark.e2e

NEVER_LOCKED = ("compile", "write the plan", "set the engine up")


@pytest.fixture
def broken(owner):
    """What happens when the hook is broken at the point *name*; *changes* are made to its entry in the settings, where
    None takes a key away."""

    def runs(name, kind, locked=True, **changes):
        (point,) = named(name)
        if locked:
            owner.locks(REDIRECT)
        else:
            owner.config.write_text(REDIRECT.replace("$SANDBOX", f"{owner.root}/sandbox"), encoding="utf-8")
        file = owner.root / "guard" / "mark"
        short = {"wasmguard.serve.hook": {"DEADLINE": 2 if locked else 5, "REFUSAL": 1} if kind == "hang" else {}}
        fault = {**point._asdict(), "mark": str(file), "kind": kind, "values": short, "outside": False}
        entry = {**owner.hook(sys.executable, "-I", "-c", program(fault)), **changes}
        outcome = owner.runs(WRITE, *WRITES, hook={key: value for key, value in entry.items() if value is not None})
        assert Mark(file).process, outcome.summary()  # the point was met
        assert outcome.left_over == []
        return outcome

    return runs


def in_sandbox(outcome):
    return {f"sandbox{outcome.root}/data/x": 5}


CASES = [
    ("stdin was read", "exception"),
    ("forked", "exception"),
    ("gate", "exception"),
    ("take the reply apart", "exception"),
    ("read the plan", "SIGKILL"),
    ("load the code", "exception"),
    ("half of the reply was sent", "SIGKILL"),
    ("render", "hang"),
    ("evaluate", "hang"),
    ("read the cache", "ENOSPC"),
    ("half of stdout was written", "ENOSPC"),
    ("write the plan", "ENOSPC"),
    ("set the engine up", "SIGKILL"),
    ("compile", "hang"),
]


@pytest.mark.parametrize(("name", "kind"), CASES, ids=["-".join(case) for case in CASES])
def test_a_guard_that_breaks_while_it_is_asked_denies(broken, name, kind):
    """Also for a client that knows no `onFailure`: the answer is the guard's own."""
    outcome = broken(name, kind, locked=name not in NEVER_LOCKED, onFailure=None)
    assert outcome.files() == {}, outcome.summary()
    assert outcome.calls[0].is_error
    assert "wasmguard" in outcome.calls[0].result or "policy `sandbox-writes`" in outcome.calls[0].result


def test_a_cell_that_somebody_killed_is_replaced(broken):
    """A verdict is a pure function: it is asked again in another cell, and says the same."""
    outcome = broken("load the code", "SIGKILL", onFailure=None)
    assert outcome.files() == in_sandbox(outcome), outcome.summary()


@pytest.mark.parametrize("name", ["read stdin", "read the reply", "half of stdout was written"])
def test_a_guard_whose_wall_is_killed_is_left_to_the_client(broken, name):
    """The one thing that the hook cannot answer."""
    outcome = broken(name, "SIGKILL", onFailure="block")
    assert [hook["exit_code"] for hook in outcome.hooks if hook["exit_code"] in (0, 2)] == []
    assert outcome.files() == {}, outcome.summary()
    assert outcome.calls[0].is_error


def test_a_guard_that_hangs_before_its_alarm_is_left_to_the_client(broken):
    outcome = broken(BEFORE_THE_ALARM[0].name, "hang", onFailure="block", timeout=2)
    assert outcome.files() == {}, outcome.summary()
    assert outcome.calls[0].is_error


def test_without_the_fault_the_same_hook_lets_the_call_go_on_rewritten(broken):
    """So the tests above show something."""
    outcome = broken("gate", "none")
    assert outcome.files() == in_sandbox(outcome), outcome.summary()


def test_without_on_failure_a_guard_whose_wall_is_killed_guards_nothing(broken):
    outcome = broken("read the reply", "SIGKILL", onFailure=None)
    assert outcome.files() == {"data/x": 5}, outcome.summary()
