import json

import pytest

from tests.workshop.replay.happened import Pool, payload, written
from wasmguard.cli_desk import FrontDesk
from wasmguard.cli_replay import replay
from wasmguard.workshop.replay import session


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs `wasmguard replay …`; what came of it: exit code, output, errors."""
    monkeypatch.setattr(session, "Pool", Pool)
    desk = FrontDesk("wasmguard", sections={"Why": [replay]})

    def call(*args):
        with pytest.raises(SystemExit) as ended:
            desk.main(["replay", *map(str, args)])
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def events(tmp_path):
    return written(tmp_path / "events.jsonl", [payload(f"/etc/{n}") for n in range(3)])


def test_it_tells_what_would_change(cli, events, configured):
    code, told, errors = cli(events, "--config", configured("deny"))
    assert (code, errors) == (0, "")
    assert "3 events would be decided otherwise" in told
    assert "\x1b" not in told
    assert [line for line in told.splitlines() if len(line) > 80 and "wasmguard.toml" not in line] == []


def test_a_change_can_fail(cli, events, configured):
    assert cli(events, "--config", configured("deny"), "--fail-on-change")[0] == 1
    assert cli(written(events, [payload("/home/x")]), "--config", configured("deny"), "--fail-on-change")[0] == 0


def test_programs_get_one_document(cli, events, configured):
    code, told, _ = cli(events, "--config", configured("deny"), "--json")
    assert code == 0
    assert json.loads(told)["changes"]["decisions"] == 3


def test_an_interrupted_run_ends_like_one(cli, events, configured, monkeypatch):
    def stopped(self, pool):
        self.stop = True

    monkeypatch.setattr(session._Replay, "through", stopped)
    code, told, _ = cli(events, "--config", configured("deny"))
    assert code == 130
    assert "interrupted" in told


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["gone.jsonl"], "cannot be read"),
        (["--module", "a"], "write the policy and its file"),
        (["--module", "a=b", "--module", "a=c"], "names a policy twice"),
        (["--since", "soon"], "is no time"),
        (["--jobs", "0"], "write a number from 1"),
        (["--with", "gone.toml", "EVENTS"], "does not exist"),
        (["--module", "nobody=x.wasm", "EVENTS"], "no policy of that name"),
    ],
)
def test_what_is_wrong_is_one_line(cli, events, configured, args, why):
    args = [events if arg == "EVENTS" else arg for arg in args]
    code, told, errors = cli(*args, "--config", configured("deny"))
    assert code == (1 if "--with" in args else 2)
    assert told == ""
    assert why in errors
    assert errors.count("\n") == 1


def test_since_is_a_moment_and_its_word(cli, events, configured, monkeypatch):
    asked = []
    monkeypatch.setattr(session, "run", lambda wanted, _: asked.append(wanted) or {"complete": True})
    monkeypatch.setattr("wasmguard.workshop.replay.told.told", lambda _: [])
    assert cli(events, "--since", "2026-11-22T09:30", "--config", configured("deny"))[0] == 0
    assert asked[0].since == "2026-11-22T09:30"
    assert asked[0].moment > 1.79e12
