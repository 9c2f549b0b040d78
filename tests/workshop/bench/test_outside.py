"""The chain as an agent meets it: each path answers, and answers what the policies decide."""

import json
import os
import shutil
import socket
from contextlib import suppress

import pytest

from tests.serve.thin import BARE, compiled
from tests.workshop.bench.test_running import alive, descendants, gone
from wasmguard import link, plan
from wasmguard.errors import HostError
from wasmguard.guard import Guard
from wasmguard.lock import lock
from wasmguard.own_home import home_in
from wasmguard.value import Value
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import outside, running
from wasmguard.workshop.bench.variant import CHAIN, DAEMON, FLOOR, HTTP, LIBRARY, NATIVE, PATHS, SERVE, Given

POLICY = '[[policy]]\nname = "it"\nmodule = "builtin:path-redirect"\n'
POLICY += 'grants.rewrite."Write.file_path" = { within = "/sandbox" }\nlimits.event = 262144\n'
FLOORS = {
    "serve/chain": "floor/bare python",
    "daemon/python client": "floor/bare python",
    "daemon/round trip": "floor/socket echo",
    "native-client/native client": "floor//bin/true",
    "http/keep-alive": "floor/loopback echo",
    "http/new connection": "floor/loopback echo, new connection",
}
SPAWNED = {
    "serve/chain",
    "daemon/python client",
    "native-client/native client",
    "floor/bare python",
    "floor//bin/true",
}


ENDED = running.Ended(code=0, out=b"{}\n", err=b"")


class Bench(Value):
    """What variants are told of `wasmguard.workshop.bench.subjects.Bench`."""

    home: str
    config: str
    stateful: bool = False


def given(name, **fields):
    said = {"session_id": "s", "cwd": "/home/dev", "transcript_path": "/t", "hook_event_name": "PreToolUse", **fields}
    return Given(name=name, fields=said, raw=json.dumps(said).encode())


def write(path, content="N\n"):
    return given(f"Write {path}", tool_name="Write", tool_input={"file_path": path, "content": content})


REWRITTEN, PASSED, STOP, TOO_LONG = range(4)
EVENTS = [write("/home/dev/a.md"), write("/sandbox/a.md"), given("Stop", hook_event_name="Stop")]
EVENTS.append(write("/sandbox/large.md", "x" * 300_000))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("h"))
    config = os.path.join(home, "wasmguard.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(POLICY)
    with home_in(home):
        lock(config, repin=False)
        yield Bench(home=home, config=config)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The native client; empty if there is no compiler for it."""
    if shutil.which("cc") is None:
        return ""
    folder = tmp_path_factory.mktemp("native")
    return str(compiled(folder, *BARE) or compiled(folder))


@pytest.fixture(scope="module")
def ways(bench, native):
    """All variants by their names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook_command, "native_client", lambda: native)
        with outside.variants(bench, EVENTS, PATHS) as variants:
            yield {variant.id: variant for variant in variants}


@pytest.fixture
def answers(bench):
    return outside.Answers(plan.read(bench.config), EVENTS, {"HOME": bench.home}, stateful=False)


def test_each_path_has_its_variants_and_the_floor_beside_it(ways, native):
    expected = {way: floor for way, floor in FLOORS.items() if native or "native" not in way}
    assert {name: way.floor for name, way in ways.items() if way.kind == CHAIN} == expected
    assert {name for name, way in ways.items() if way.kind == FLOOR and not way.floor} == set(expected.values())
    assert {name for name, way in ways.items() if way.spawned} == SPAWNED & ways.keys()


def test_every_variant_says_what_is_in_its_time(ways):
    assert all(way.about and len(way.about) < 60 for way in ways.values())


@pytest.mark.parametrize("name", [*FLOORS, *dict.fromkeys(FLOORS.values())])
def test_a_variant_gets_the_right_answer_to_every_event(ways, name):
    if name not in ways:
        pytest.skip("there is no native client: no compiler for it")
    assert ways[name].events == tuple(range(len(EVENTS)))
    for place in ways[name].events:
        ways[name].ask(place)


def test_the_daemon_is_not_where_hooks_of_this_configuration_look_for_one(ways, bench):
    assert ways
    assert not os.path.lexists(link.socket_of(bench.config))


def test_a_hook_is_the_one_that_is_installed_but_for_the_socket_and_a_missing_configuration(ways, bench, monkeypatch):
    said = []
    monkeypatch.setattr(running, "spawned", lambda line, environ, raw: said.append((line, environ)) or ENDED)
    monkeypatch.setattr(hook_command, "native_client", lambda: "")
    for name in ("serve/chain", "daemon/python client"):
        ways[name].ask(PASSED)
    installed = hook_command.command(bench.config)
    (alone, environ), (asking, _) = said
    assert [word for word in alone if word not in installed] == [alone[6]], "the socket"
    assert [word for word in asking if word not in installed] == [asking[6], f"{bench.config}.not-there"]
    assert len(alone) == len(asking) == len(installed)
    assert not os.path.lexists(alone[6])
    assert environ.keys() == {"HOME", "PATH", "WASMGUARD_DAEMON"}


def test_what_policies_remember_is_forgotten_before_each_round(bench, monkeypatch):
    monkeypatch.setattr(outside, "forgotten", lambda locked: locked.config)
    with outside.variants(bench, EVENTS, [SERVE]) as variants:
        assert [variant.reset for variant in variants] == [bench.config, None]


def test_an_event_that_nobody_can_judge_is_not_measured(bench):
    unreadable = given("odd", tool_name="Write", tool_input=[])
    with pytest.raises(HostError, match="event `odd`: nobody could judge it: PreToolUse needs"):
        outside.Answers(plan.read(bench.config), [unreadable], {}, stateful=False)


def test_a_bug_of_ours_is_not_taken_for_what_policies_decide(bench, monkeypatch):
    monkeypatch.setattr(Guard, "_concerned", lambda *_: 1 / 0)
    with pytest.raises(HostError, match=r"nobody could judge it: internal error: ZeroDivisionError"):
        outside.Answers(plan.read(bench.config), EVENTS, {}, stateful=False)


def test_only_the_floors_that_a_path_needs_are_made_and_only_then_a_daemon(bench, monkeypatch):
    monkeypatch.setattr(running, "daemon", None)
    with outside.variants(bench, EVENTS, [LIBRARY, SERVE]) as variants:
        assert [variant.id for variant in variants] == ["serve/chain", "floor/bare python"]
    with outside.variants(bench, EVENTS, [LIBRARY]) as variants:
        assert variants == []


def test_where_there_is_no_native_client_it_is_said_to_be_missing(bench, monkeypatch):
    monkeypatch.setattr(hook_command, "native_client", lambda: "")
    assert outside.missing(PATHS) == ["`native-client`: this installation has none that runs here"]
    assert outside.missing([SERVE, DAEMON, HTTP]) == []
    with outside.variants(bench, EVENTS, [NATIVE]) as variants:
        assert variants == []


def test_nothing_is_left_of_it(bench):
    before, files = descendants(os.getpid()), set(os.listdir(bench.home))
    with suppress(KeyboardInterrupt), outside.variants(bench, EVENTS, [DAEMON, HTTP]):
        started = descendants(os.getpid()) - before
        raise KeyboardInterrupt
    assert len(started) >= 7, "master, worker, cell, leash, three floors"
    assert gone(started)
    assert not {name for name in set(os.listdir(bench.home)) - files if name.startswith("wasmguard-")}


def test_a_client_whose_daemon_is_gone_does_not_decide_by_itself_in_silence(bench, monkeypatch):
    pids = []
    up = running._up
    monkeypatch.setattr(running, "_up", lambda *given: pids.append(up(*given)) or pids[-1])
    with outside.variants(bench, EVENTS, [DAEMON, HTTP]) as variants:
        asked = {variant.id: variant for variant in variants if variant.kind == CHAIN}
        asked["http/keep-alive"].ask(PASSED)
        os.kill(pids[0].pid, 15)
        assert gone({pids[0].pid})
        for variant in asked.values():
            with pytest.raises(HostError):
                variant.ask(PASSED)
    assert not alive(pids[0].pid)


def posting_of(way):
    (found,) = (cell.cell_contents for cell in way.ask.__closure__ if isinstance(cell.cell_contents, outside.Posting))
    return found


def test_a_new_connection_is_not_kept(ways):
    for name in ("http/new connection", "floor/loopback echo, new connection"):
        ways[name].ask(PASSED)
        assert posting_of(ways[name])._channel is None


def test_a_connection_that_was_closed_meanwhile_is_made_anew_as_agents_do(ways):
    ask, posting = ways["http/keep-alive"].ask, posting_of(ways["http/keep-alive"])
    ask(PASSED)
    kept = posting._channel
    ask(PASSED)
    assert posting._channel is kept
    kept.shutdown(socket.SHUT_RDWR)
    ask(PASSED)
    assert posting._channel is not kept


def test_a_socket_does_not_lie_where_its_path_would_be_too_long(tmp_path):
    (deep := tmp_path / ("x" * 90)).mkdir()
    with outside.sockets_in(str(deep)) as folder:
        assert os.path.dirname(folder) == "/tmp"
    with outside.sockets_in("/tmp") as folder:
        assert len(os.path.join(folder, "daemon~")) < link.LONGEST_PATH


def test_the_first_answer_is_what_the_policies_decide_here(answers):
    answers.check(PASSED, 0, b"{}\n", b"")
    for place, answer in ((REWRITTEN, b"{}\n"), (PASSED, b'{"a":1}\n'), (PASSED, b"{}")):
        with pytest.raises(HostError, match="another answer than the policies give"):
            answers.check(place, 0, answer, b"")


@pytest.mark.parametrize("code", [2, -15, 401])
def test_another_code_than_nought_is_no_answer(answers, code):
    with pytest.raises(HostError, match=f"exit code or status {code}"):
        answers.check(PASSED, code, b"{}\n", b"")


def test_a_decision_comes_without_a_complaint(answers):
    with pytest.raises(HostError, match=r"another answer.*wasmguard: no memory"):
        answers.check(PASSED, 0, b"{}\n", b"wasmguard: no memory\n")


def test_an_event_over_the_limit_is_refused_and_always_in_the_same_words(answers):
    refusal = b'{"hookSpecificOutput":{"permissionDecision":"deny"}}\n'
    answers.check(TOO_LONG, 0, refusal, b"wasmguard: the event has too many bytes\n")
    answers.check(TOO_LONG, 0, refusal, b"")  # over HTTP there is no place for a complaint
    with pytest.raises(HostError, match="another answer"):
        answers.check(TOO_LONG, 0, b"{}\n", b"")


def test_policies_that_remember_may_answer_in_turn_but_must_decide(bench):
    answers = outside.Answers(plan.read(bench.config), EVENTS, {}, stateful=True)
    for answer in (b"{}\n", b'{"a":1}\n', b"{}\n"):
        answers.check(PASSED, 0, answer, b"")
    for answer, why in (
        (b"[]\n", "not one JSON object"),
        (b"{}", "not one JSON object"),
        (b"{}\n{}\n", "not one JSON object"),
        (b'{"reason":"wasmguard: internal error: KeyError"}\n', "nobody could decide"),
        (b'{"reason":"wasmguard could not decide: reinstall"}\n', "nobody could decide"),
    ):
        with pytest.raises(HostError, match=why):
            answers.check(PASSED, 0, answer, b"")
    with pytest.raises(HostError, match="a complaint"):
        answers.check(PASSED, 0, b'{"b":1}\n', b"wasmguard: no process\n")


def test_what_policies_decide_here_is_asked_of_them_in_a_jailed_process(bench, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Guard, "close", lambda guard, close=Guard.close: seen.append(guard.cells.isolation) or close(guard)
    )
    outside.Answers(plan.read(bench.config), EVENTS, {"HOME": bench.home}, stateful=False)
    assert seen == ["process"]
