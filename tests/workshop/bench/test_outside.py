"""The chain as an agent meets it: each path answers, and answers what the policies decide."""

import os
import shutil
from contextlib import suppress

import pytest

from tests.serve.thin import BARE, compiled
from tests.workshop.bench.processes import alive, descendants, gone, knows_children
from tests.workshop.bench.redirected import EVENTS, PASSED, redirecting
from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import daemon, outside, spawning
from wasmguard.workshop.bench.variant import CHAIN, DAEMON, FLOOR, HTTP, LIBRARY, NATIVE, PATHS, SERVE

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


ENDED = spawning.Ended(code=0, out=b"{}\n", err=b"")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with redirecting(str(tmp_path_factory.mktemp("h"))) as made:
        yield made


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


def test_each_path_has_its_variants_and_the_floor_beside_it(ways, native):
    expected = {way: floor for way, floor in FLOORS.items() if native or "native" not in way}
    assert {name: way.floor for name, way in ways.items() if way.kind == CHAIN} == expected
    assert {name for name, way in ways.items() if way.kind == FLOOR and not way.floor} == set(expected.values())
    assert {name for name, way in ways.items() if way.spawned} == SPAWNED & ways.keys()


def test_every_variant_says_what_is_in_its_time(ways):
    assert all(way.about and len(way.about) < 60 for way in ways.values())


@pytest.mark.parametrize(
    "name",
    [  # CI's end-to-end part has the native client, and skips nothing
        pytest.param(name, marks=pytest.mark.e2e) if "native" in name else name
        for name in (*FLOORS, *dict.fromkeys(FLOORS.values()))
    ],
)
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
    monkeypatch.setattr(spawning, "spawned", lambda line, environ, raw: said.append((line, environ)) or ENDED)
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


def test_only_the_floors_that_a_path_needs_are_made_and_only_then_a_daemon(bench, monkeypatch):
    monkeypatch.setattr(daemon, "running", None)
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


@knows_children
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
    up = daemon._up
    monkeypatch.setattr(daemon, "_up", lambda *given: pids.append(up(*given)) or pids[-1])
    with outside.variants(bench, EVENTS, [DAEMON, HTTP]) as variants:
        asked = {variant.id: variant for variant in variants if variant.kind == CHAIN}
        asked["http/keep-alive"].ask(PASSED)
        os.kill(pids[0].pid, 15)
        assert gone({pids[0].pid})
        for variant in asked.values():
            with pytest.raises(HostError):
                variant.ask(PASSED)
    assert not alive(pids[0].pid)
