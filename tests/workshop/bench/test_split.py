"""The parts of a decision come to the decision, whatever it is made of."""

import json
import os
from itertools import count

import pytest
import wasmtime

from tests.sandbox.cells import children
from tests.workshop.bench.test_exact import BASH, EVENTS, MOVED, REMEMBERS, STATE, STAYS, STOP
from tests.workshop.trying import MANIFEST
from wasmguard.agents import claude
from wasmguard.errors import HostError
from wasmguard.guard import SLOTS
from wasmguard.plan import cells as cells_of
from wasmguard.sandbox import process, watched
from wasmguard.sandbox.isolation import THREAD
from wasmguard.sandbox.watching import WatchedCells
from wasmguard.workshop.bench import split as module
from wasmguard.workshop.bench.split import Times, split, told
from wasmguard.workshop.bench.subjects import opened
from wasmguard.workshop.bench.variant import PARTS

FIRST_FIVE = PARTS[:5]


def times(**taken):
    """Nanoseconds of each pass; what is not said took none."""
    return Times(**{name: taken.get(name, [] if name == "carry" else [0]) for name in Times._fields})


ONE = {"encode": [3_000], "decode": [2_000], "decision": [91_000]}
ONE |= {"watched": [182_000], "instantiate": [10_000], "evaluate": [30_000], "carry": [120_000]}
"""Watched, everything takes twice as long."""
SIX = {"encode": 3, "instantiate": 5, "evaluate": 15, "decode": 2, "gate": 6, "carry": 60}


def test_the_parts_come_to_the_decision():
    figures = told([times(**ONE)])
    assert figures == SIX
    assert sum(figures.values()) == 91


def test_each_event_has_the_same_weight_however_often_it_was_taken():
    other = {name: [2 * taken for taken in once] * 9 for name, once in ONE.items()}
    figures = told([times(**ONE), times(**other)])
    assert figures == {part: 1.5 * taken for part, taken in SIX.items()}
    assert sum(figures.values()) == (91 + 182) / 2


def test_of_the_passes_it_is_the_middle_one_that_counts():
    noisy = {name: [once[0], 10**9, once[0], 0, once[0]] for name, once in ONE.items()}
    assert told([times(**noisy)]) == told([times(**ONE)])


def test_what_watching_costs_is_in_no_figure():
    """Of a watched decision only the proportions count, however slow it is."""
    names = ("watched", "instantiate", "evaluate", "carry")
    slow = ONE | {name: [1_000 * taken for taken in ONE[name]] for name in names}
    assert told([times(**slow)]) == told([times(**ONE)])


def test_a_difference_that_is_nothing_but_noise_is_nothing():
    assert told([times(**ONE | {"decision": [4_000], "watched": [8_000]})])["gate"] == 0


def test_without_processes_there_is_no_carry():
    figures = told([times(**ONE | {"carry": []})])
    assert (figures["carry"], figures["gate"]) == (None, 66)
    assert sum(figures[part] for part in FIRST_FIVE) == 91


@pytest.fixture(scope="module")
def benched(tmp_path_factory, assembled):

    folder = tmp_path_factory.mktemp("bundles")

    def bundle(name, data, manifest):
        made = folder / name
        made.mkdir()
        (made / "policy.wasm").write_bytes(data)
        (made / "manifest.toml").write_text(manifest)
        for path in made.iterdir():
            os.chmod(path, 0o644)
        return str(made)

    plain = {name: MANIFEST.format(name=name, more="") for name in ("rego", "traps")}
    bundles = [
        bundle("remembers", wasmtime.wat2wasm(REMEMBERS), MANIFEST.format(name="remembers", more=STATE)),
        bundle("rego", assembled("opa_pass"), plain["rego"].replace("abi = 1", 'abi = "opa"')),
        bundle("traps", assembled("unreachable"), plain["traps"]),
    ]
    with opened(["builtin:path-redirect", *bundles], None, "") as bench:
        yield {target.name: target for target in bench.targets}


@pytest.fixture
def threaded():
    """The plan of a target, and a guard whose guest is in this process, on which clocks are put."""
    made = []

    def make(target):
        cells = cells_of(target.plan, slots=SLOTS, isolation=THREAD)
        made.append(module._NotingGuard(target.plan, cells))
        return target.plan, made[-1], cells

    yield make
    for guard in made:
        guard.close()


@pytest.mark.parametrize("name", ["path-redirect", "remembers", "rego", "traps"])
def test_every_part_of_a_decision_is_told_and_nothing_is_left_running(benched, name, never_here):
    """And no guest runs in the process that measures."""
    before = children()
    figures = split(benched[name], EVENTS, 0.05)
    assert tuple(figures) == PARTS
    assert all(taken >= 0 for taken in figures.values())
    assert figures["encode"] > 0 < figures["evaluate"]
    assert figures["carry"] > 0
    assert json.loads(json.dumps(figures)) == figures
    assert children() <= before


def test_a_policy_that_is_asked_about_nothing_has_no_parts(benched):
    assert split(benched["path-redirect"], [STOP], 0.05) == dict.fromkeys(PARTS)


def test_where_there_are_no_processes_the_rest_is_told(benched, monkeypatch):
    monkeypatch.delattr(os, "fork")
    figures = split(benched["path-redirect"], [STAYS], 0.01)
    assert (figures["carry"], figures["evaluate"] > 0) == (None, True)
    assert all(figures[part] >= 0 for part in FIRST_FIVE)


def test_where_no_process_can_be_jailed_that_is_an_error_and_nothing_runs_here(benched, monkeypatch, never_here):
    def refuse(**_):
        raise OSError(0, "no")

    monkeypatch.setattr(process, "_spawned", refuse)
    with pytest.raises(HostError, match="cannot start a cell"):
        split(benched["path-redirect"], [STAYS], 0.01)
    assert not never_here


def test_who_rewrites_is_asked_by_hand_as_often_as_in_a_decision_and_with_the_same_requests(
    benched, threaded, monkeypatch
):
    """A clock that says 1, 2, 3, …: each step takes a nanosecond, and each round has all of them."""
    own, guard, cells = threaded(benched["path-redirect"])
    moved, stays = module._asked_about(guard, [MOVED, STAYS, BASH])
    assert [event.input["file_path"] for event, _ in moved.rounds] == [
        "/home/dev/new.txt",
        "/sandbox/home/dev/new.txt",
    ]
    assert len(stays.rounds) == 1
    ticks = count(1)
    for part in (module, watched):
        monkeypatch.setattr(part, "perf_counter_ns", lambda: next(ticks))
    by_hand = module._ByHand(own, cells)
    watching = module._WatchingGuard(own, watching_cells(own))
    for one, rounds in ((moved, 2), (stays, 1)):
        by_hand.ask(one.rounds, one.times)
        assert (one.times.encode, one.times.decode) == ([rounds],) * 2
        watching.watch(one.fields, one.times)
        assert (one.times.instantiate, one.times.evaluate) == ([2 * rounds],) * 2
        assert one.times.watched[0] > 4 * rounds
    watching.close()


def watching_cells(own):
    """Watched cells in this process."""
    return WatchedCells(own.made["library"], own.setups, slots=SLOTS, event=own.event, isolation=THREAD)


def test_a_guard_that_told_what_its_policies_are_asked_asks_its_own_again(benched, threaded):
    _, guard, _ = threaded(benched["path-redirect"])
    own = guard.policies
    module._asked_about(guard, [MOVED])
    assert guard.policies == own
    assert guard._concerned(claude.from_mapping(MOVED.fields)) == own


def test_a_policy_that_remembers_is_asked_by_hand_with_what_it_remembered_then(benched, threaded):
    asked = module._asked_about(threaded(benched["remembers"])[1], [BASH] * 3)
    assert [state for one in asked for _, state in one.rounds] == [None, b"\x01", b"\x02"]


def test_what_a_policy_remembers_begins_anew_with_each_way_and_pass(benched, monkeypatch):
    decided = []
    taken = module._taken
    monkeypatch.setattr(module, "_taken", lambda guard, fields: decided.append(guard) or taken(guard, fields))
    asked = []
    anew = module.begin_anew
    monkeypatch.setattr(module, "begin_anew", lambda locked: asked.append(len(decided)) or anew(locked))
    split(benched["remembers"], [BASH] * 2, 0.0)
    assert asked[:4] == [0, 0, 2, 4]  # before anything is known, then before each way of two events


def test_what_stands_before_a_policy_in_rego_belongs_to_encode_and_decode(benched, threaded, monkeypatch):
    own, guard, cells = threaded(benched["rego"])
    (one,) = module._asked_about(guard, [BASH])
    by_hand, ticks = module._ByHand(own, cells), count(1)
    requests = []
    monkeypatch.setattr(by_hand, "_guest", Spy(by_hand._guest, requests))
    for name in ("as_input", "as_answer"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, real=real: (next(ticks), real(*given))[1])
    monkeypatch.setattr(module, "perf_counter_ns", lambda: next(ticks))
    by_hand.ask(one.rounds, one.times)
    assert json.loads(requests[0])["event"]["tool_name"] == "Bash"
    assert (one.times.encode, one.times.decode) == ([2], [2])


class Spy:
    """A guest that keeps what it is asked."""

    def __init__(self, guest, requests):
        self.guest, self.requests = guest, requests

    def evaluate(self, request):
        self.requests.append(request)
        return self.guest.evaluate(request)


def test_a_fault_ends_the_steps_and_its_time_is_kept(benched, threaded, monkeypatch):
    own, guard, cells = threaded(benched["traps"])
    (one,) = module._asked_about(guard, [BASH])
    ticks = count(1)
    monkeypatch.setattr(module, "perf_counter_ns", lambda: next(ticks))
    module._ByHand(own, cells).ask(one.rounds, one.times)
    assert (one.times.encode, one.times.decode) == ([1], [0])


@pytest.mark.parametrize(
    ("time", "passes"), [((0, 0), 1), ((0, 100), module.LEAST), ((20, 0), 20)], ids=["late", "few", "enough"]
)
def test_there_are_a_few_passes_if_there_is_time_and_one_in_any_case(monkeypatch, benched, threaded, time, passes):
    """On a clock on which each pass takes a second."""
    gone = []
    monkeypatch.setattr(module, "monotonic", lambda: float(len(gone)))
    turns = module._Turns([None], None, threaded(benched["traps"])[1], None)
    turns._ways = (gone.append,)
    turns.taken(*time)
    assert len(gone) == passes


def test_each_way_goes_through_all_events_without_a_pause_and_another_one_begins_each_pass(benched, threaded):
    gone = []
    turns = module._Turns("ab", None, threaded(benched["traps"])[1], None)
    turns._ways = tuple(lambda one, way=way: gone.append(way + one) for way in "123")
    turns.taken(0, float("inf"))
    assert " ".join(gone) == "1a 1b 2a 2b 3a 3b 2a 2b 3a 3b 1a 1b 3a 3b 1a 1b 2a 2b"
