"""Who is asked, what becomes of those who cannot be, and what is left of all of them at the end."""

import os
from contextlib import contextmanager

import pytest

from tests.workshop.bench.peers.asking import given
from wasmguard.errors import HostError
from wasmguard.workshop.bench import peers
from wasmguard.workshop.bench.peers import callback, lineup, ours
from wasmguard.workshop.bench.peers.lineup import DESTROYS, TRIALS
from wasmguard.workshop.bench.peers.peer import Peer, denied

GIVEN = [given("Read", {"file_path": "/x"}), given("Bash", {"command": "rm -rf x"}), given("Bash", {"command": "ls"})]
STOP = given("Bash", {"command": "ls"}).replaced(fields={"hook_event_name": "Stop"})


def peer(name="it", says=denied, lacking="", end=lambda: None, **more):
    @contextmanager
    def start(folder):
        with open(os.path.join(folder, "file"), "w", encoding="utf-8") as file:
            file.write("left behind")
        yield lambda given: says(given.fields)
        end()

    return Peer(name=name, about="in words", lacking=lambda: lacking, start=start, **more)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The variants and what is missing, of these peers."""

    @contextmanager
    def of(*peers_there, events=(STOP, *GIVEN)):
        monkeypatch.setattr(lineup, "PEERS", peers_there)
        with peers.variants(events, str(tmp_path)) as found:
            yield found
        assert os.listdir(tmp_path) == []

    return of


def test_all_of_them_are_asked_about_the_same_events(asked):
    with asked(peer("one"), peer("two", spawned=True)) as (variants, missing):
        assert [(one.id, one.kind, one.spawned, one.about) for one in variants] == [
            ("peer/one", "peer", False, "in words"),
            ("peer/two", "peer", True, "in words"),
        ]
        assert all(one.events == (1, 2, 3) for one in variants)
        assert missing == []
        for one in variants:
            for place in one.events:
                one.ask(place)


def test_every_peer_has_a_name_of_its_own():
    names = [one.name for one in lineup.PEERS]
    assert len(names) == len(set(names))


def test_the_trials_tell_a_guard_from_one_that_always_says_the_same():
    assert {denied(trial.fields) for trial in TRIALS} == {True, False}


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (peer(lacking="`it` is not on the path"), "`it`: `it` is not on the path"),
        (peer(says=lambda _: False), f"`it`: `it` gives a wrong answer about `{DESTROYS.name}`: measure without it"),
        (peer(says=lambda _: False, own=True), "`it`: it lets `rm -rf /` pass, so it is not at work"),
        (peer(says=lambda fields: fields["nothing"]), "`it`: 'nothing'"),
    ],
)
def test_who_cannot_be_asked_is_left_out_with_why(asked, one, why):
    with asked(one, peer("other")) as (variants, missing):
        assert [variant.subject for variant in variants] == ["other"]
        assert missing == [why]


def test_who_does_not_start_is_left_out(asked):
    def start(_):
        raise HostError("no room")

    with asked(Peer(name="it", about="", lacking=lambda: "", start=start)) as (variants, missing):
        assert (variants, missing) == ([], ["`it`: no room"])


def test_an_answer_that_changes_later_is_seen(asked):
    said = iter([True] * (len(TRIALS) + len(GIVEN)))
    forgets = peer(own=True, says=lambda _: next(said, False))
    with asked(forgets) as ((variant,), _), pytest.raises(HostError, match="wrong answer about `Bash`"):
        variant.ask(2)


def test_each_is_ended_at_the_end(asked):
    ended = []
    with asked(peer("one", end=lambda: ended.append(1)), peer("two", end=lambda: ended.append(2))):
        assert ended == []
    assert ended == [2, 1]


def test_without_a_tool_call_nobody_is_asked(asked):
    with asked(*callback.PEERS, events=[STOP]) as (variants, missing):
        assert variants == []
        assert missing == ["peers: no event is `PreToolUse`, and no other is known to all of them"]


def test_an_event_about_which_not_all_have_a_word_costs_nobody_the_others(asked):
    broken = given("Bash", {"command": ["rm -rf"]}).replaced(name="broken")
    with asked(*callback.PEERS, *ours.PEERS[:1], events=[broken, *GIVEN]) as (variants, missing):
        assert [variant.events for variant in variants] == [(1, 2, 3)] * 2
        assert missing == ["peers: not asked about `broken`: its input is broken"]


def test_a_guard_that_is_here_and_cannot_be_measured_is_named(asked, monkeypatch):
    monkeypatch.setattr(lineup, "program", lambda name: f"/bin/{name}")
    with asked(peer()) as (_, missing):
        assert [line.partition(":")[0] for line in missing] == ["`dcg`", "`cupcake`", "`agentjail`"]
