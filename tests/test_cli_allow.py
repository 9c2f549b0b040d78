"""`wasmguard allow` on the command line: what goes together, and what has to be said."""

import pytest
from click.testing import CliRunner

from wasmguard.cli_allow import allow
from wasmguard.cli_desk import FrontDesk
from wasmguard.workshop import allow as workshop

pytestmark = pytest.mark.usefixtures("own_home")


def run(*words):
    desk = FrontDesk("wasmguard", sections={"Every day": (allow,)})
    return CliRunner().invoke(desk, ["allow", *words])


@pytest.fixture
def called(monkeypatch):
    """What the workshop was asked for."""
    calls = []
    for name in ("allow", "revoke"):
        monkeypatch.setattr(workshop, name, lambda *given, _name=name: calls.append((_name, *given)) or "done")
    return calls


def test_once_has_to_be_said(called):
    done = run("0193a4c2")
    assert (done.exit_code, called) == (2, [])
    assert "write `--once`" in done.output


def test_ten_minutes_are_the_usual_time(called):
    assert run("0193a4c2", "--once").exit_code == 0
    assert run("0193a4c2", "--once", "--for", "1h").output == "done\n"
    assert called == [("allow", "0193a4c2", "10m"), ("allow", "0193a4c2", "1h")]


def test_without_an_id_what_stands_is_listed(called):
    assert run().output == "no exception stands\n"
    assert called == []


@pytest.mark.parametrize("words", [("--once",), ("--for", "1h")])
def test_an_option_without_an_id_is_wrong(called, words):
    done = run(*words)
    assert (done.exit_code, called) == (2, [])
    assert "needs `ID`" in done.output


def test_to_revoke_goes_alone(called):
    assert run("--revoke", "0193a4c2", "--once").exit_code == 2
    assert run("--revoke", "x", "y").exit_code == 2
    assert called == []
    assert run("--revoke", "all").exit_code == 0
    assert called == [("revoke", "all")]


def test_nobody_but_an_owner_at_a_terminal_comes_through():
    done = run("0193a4c2", "--once")
    assert done.exit_code == 2
    assert "terminal" in done.output
