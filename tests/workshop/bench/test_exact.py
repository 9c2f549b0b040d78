"""Fuel, memory and sizes are exact: the same every time, whatever a policy remembers, and in the guard's own words."""

import copy
import json
import os
from types import SimpleNamespace

import jsonschema
import pytest
import wasmtime

from tests.sandbox.cells import children, lying
from tests.workshop.trying import MANIFEST, asks
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.errors import HostError
from wasmguard.event import Event
from wasmguard.limits import KIB
from wasmguard.sandbox import process
from wasmguard.sandbox.watched import Seen
from wasmguard.workshop.bench import exact as module
from wasmguard.workshop.bench.exact import Judged, exact
from wasmguard.workshop.bench.schema import schema
from wasmguard.workshop.bench.subjects import opened
from wasmguard.workshop.bench.variant import Given
from wasmguard.workshop.trial import tried

REMEMBERS = """(module
  ;; Remembers in a byte how often it was asked, and turns as many rounds: its fuel says what it remembered.
  (memory (export "memory") 1)
  (data (i32.const 16) "\\81\\a5state\\c4\\01\\00")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $request i32) (param $length i32) (result i64)
    (local $end i32) (local $left i32)
    (local.set $end (i32.add (local.get $request) (local.get $length)))
    (if (i32.eq (i32.load16_u (i32.sub (local.get $end) (i32.const 3))) (i32.const 0x01c4))
      (then (i32.store8 (i32.const 25) (i32.load8_u (i32.sub (local.get $end) (i32.const 1))))))
    (i32.store8 (i32.const 25) (i32.add (i32.load8_u (i32.const 25)) (i32.const 1)))
    (local.set $left (i32.load8_u (i32.const 25)))
    (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i64.const 0x10_0000000a)))"""
STATE = asks(state='{ max = 64, scope = "session" }')
PROJECT = "/home/dev/project"


def given(name, **fields):
    whole = {"session_id": "s", "cwd": PROJECT, "hook_event_name": "PreToolUse", "tool_use_id": "t", **fields}
    return Given(name=name, fields=whole, raw=json.dumps(whole).encode())


def write(path, content="N\n"):
    return given(f"Write {path}", tool_name="Write", tool_input={"file_path": path, "content": content})


MOVED, STAYS = write("/home/dev/new.txt"), write("/sandbox/home/dev/new.txt")
BASH = given("Bash", tool_name="Bash", tool_input={"command": "git status"})
STOP = given("Stop", hook_event_name="Stop")
EVENTS = [MOVED, STAYS, BASH, STOP]


@pytest.fixture(scope="module")
def benched(tmp_path_factory, assembled):
    """The targets of one bench, by name: everything here asks them."""
    folder = tmp_path_factory.mktemp("bundles")

    def bundle(name, data, more=""):
        made = folder / name
        made.mkdir()
        (made / "policy.wasm").write_bytes(data)
        (made / "manifest.toml").write_text(MANIFEST.format(name=name, more=more))
        for path in made.iterdir():
            os.chmod(path, 0o644)
        return str(made)

    bundles = [bundle(name, assembled(name)) for name in ("deny", "unreachable", "component_counter", "loop_evaluate")]
    bundles.append(bundle("remembers", bytes(wasmtime.wat2wasm(REMEMBERS)), STATE))
    with opened(["builtin:path-redirect", "builtin:path-redirect", *bundles], None, "") as bench:
        yield {target.name: target for target in bench.targets}


@pytest.fixture(scope="module")
def entries(benched):
    """The entry of each policy about `EVENTS`."""
    return {name: exact(target, EVENTS) for name, target in benched.items()}


def test_no_guest_runs_in_the_process_that_looks_and_no_cell_is_left(benched, entries, never_here):
    before = children()
    for name in ("path-redirect", "component_counter", "unreachable", "remembers"):
        assert exact(benched[name], EVENTS)["decisions"] == entries[name]["decisions"]
        assert children() <= before
    assert not never_here


def test_where_there_are_no_processes_fuel_and_memory_are_the_same(benched, entries, monkeypatch):
    monkeypatch.delattr(os, "fork")
    for name in ("path-redirect", "component_counter", "unreachable"):
        here, there = exact(benched[name], EVENTS), entries[name]
        assert (here["fuel"], here["memory"], here["answers"]) == (there["fuel"], there["memory"], there["answers"])


def test_a_guest_whose_cells_die_has_no_fuel_and_no_memory(benched, monkeypatch):
    monkeypatch.setattr(process, "_spawned", lambda **_: lying("ready(); asked(); os._exit(1)"))
    entry = exact(benched["deny"], [BASH] * 5)
    assert (entry["fuel"]["events"], entry["memory"], entry["effects"]["fault"]) == ([None] * 5, None, 5)


def test_a_time_that_cannot_be_taken_again_counts_as_it_was_taken():
    """After three deaths in a row no cell is asked any more."""
    told = []
    dies = SimpleNamespace(seen=told, watched=[SimpleNamespace(evaluate=lambda _: None)])
    seen = Seen(request=b"x", instantiate=3, evaluate=4)
    one = Judged(event=None, decision=None, verdicts=(), seen=(seen,))
    assert module._slowest([one], dies) == 7
    dies.watched[0].evaluate = lambda _: told.append(seen.replaced(evaluate=6))
    assert module._slowest([one], dies) == 9


def test_an_entry_is_what_the_schema_of_the_document_says(entries):
    for entry in entries.values():
        jsonschema.validate({**json.loads(json.dumps(entry)), "split": None}, schema()["$defs"]["policy"])


def test_fuel_is_that_of_the_whole_decision_and_shares_are_those_of_one_evaluation(entries):
    """Who rewrites is asked again: the fuel of a move is that of both times."""
    with tried("builtin:path-redirect") as trial:
        asked = [trial.ask(trial.request(one.fields | {"time": module.TIME}, trial.settings)) for one in EVENTS[:2]]
    moved, stays = (said.fuel for said in asked)
    entry = entries["path-redirect"]
    assert entry["fuel"] == {"events": [moved + stays, stays, None, None], "min": stays, "median": stays} | {
        "max": moved + stays
    }
    assert entry["used"]["fuel"] * entry["limits"]["fuel"] == pytest.approx(max(moved, stays))


def test_everything_is_the_same_in_another_run_but_for_the_times(benched, entries):
    for name in ("remembers", "component_counter"):
        again, before = exact(benched[name], EVENTS), copy.deepcopy(entries[name])
        for entry in (again, before):
            entry.pop("load", None)
            entry["used"].pop("clock", None)
        assert again == before


def test_what_a_policy_remembers_begins_empty_and_events_come_in_their_order(benched, entries):
    first, second, third, fourth = exact(benched["remembers"], [BASH] * 4)["fuel"]["events"]
    assert first < second < third
    assert fourth - third == third - second
    assert entries["remembers"]["fuel"]["events"] == [first, second, third, None]


def test_fuel_that_differs_from_one_time_to_the_next_is_an_error_that_names_the_event(benched, monkeypatch):
    monkeypatch.setattr(module, "begin_anew", lambda _: None)
    with pytest.raises(HostError, match=r"`remembers`: `Write /home/dev/new\.txt` came to .* fuel and then .*"):
        exact(benched["remembers"], EVENTS)


def test_a_fault_is_counted_with_the_fuel_that_it_burned(entries):
    entry = entries["unreachable"]
    assert entry["effects"] == dict.fromkeys(module.EFFECTS, 0) | {"fault": 3}
    assert all(type(fuel) is int for fuel in entry["fuel"]["events"][:3])
    assert entry["faults"] == ["trapped in wasmguard_evaluate: unreachable code reached"] * 3 + [None]
    assert entry["answers"][0].startswith("deny: trapped in wasmguard_evaluate")


def test_who_burns_all_fuel_has_used_all_of_it(entries):
    assert entries["loop_evaluate"]["used"]["fuel"] == pytest.approx(1, abs=0.001)
    assert entries["loop_evaluate"]["effects"]["fault"] == 3


def test_an_answer_has_a_word_a_text_and_a_digest_that_knows_no_name(entries):
    entry, twin = entries["path-redirect"], entries["path-redirect-2"]
    assert entry["effects"] == dict.fromkeys(module.EFFECTS, 0) | {"pass": 1, "rewrite": 1}
    assert entry["answers"] == ["rewrite `file_path` to `/sandbox/home/dev/new.txt`", "pass", None, None]
    assert entry["decisions"] == twin["decisions"]
    assert len({*entry["decisions"][:2]}) == 2
    assert entries["deny"]["answers"][0].startswith("deny")


def test_memory_is_seen_or_found_and_told_as_a_share_of_its_limit(entries):
    assert (entries["deny"]["memory"], entries["component_counter"]["memory"]) == (64 * KIB, 128 * KIB)
    for entry in entries.values():
        assert entry["used"]["memory"] == entry["memory"] / entry["limits"]["memory"]


def test_sizes_are_those_of_the_module_as_it_was_named(benched, entries):
    target, entry = benched["path-redirect"], entries["path-redirect"]
    assert (entry["module"], entry["bytes"]) == ("builtin:path-redirect", len(target.bundle.module))
    assert entry["compile"] == target.told.seconds > 0
    assert entry["used"]["module"] == entry["bytes"] / entry["limits"]["module"]


def test_a_policy_that_is_asked_about_nothing_has_no_figures_but_its_sizes(benched):
    entry = exact(benched["path-redirect"], [STOP])
    assert (entry["fuel"], entry["memory"]) == ({"min": None, "median": None, "max": None, "events": [None]}, None)
    assert (entry["decisions"], entry["used"]["fuel"], entry["used"]["clock"]) == ([None], 0, 0)
    assert entry["load"] > 0


def test_what_the_guard_itself_refuses_burned_nothing_and_is_no_answer_of_the_policys(benched):
    settings = os.path.join(os.environ["HOME"], ".claude", "settings.json")
    entry = exact(benched["path-redirect"], [write(settings)])
    assert (entry["fuel"]["events"], sum(entry["effects"].values())) == ([None], 0)
    assert entry["answers"][0].startswith("deny: ")
    assert entry["answers"][0].startswith("deny: ")


def test_a_guard_that_fails_is_an_error_and_no_figure(benched, monkeypatch):
    monkeypatch.setattr(module.Asked, "_refusal", lambda *_: 1 / 0)
    with pytest.raises(HostError, match="ZeroDivisionError"):
        exact(benched["deny"], EVENTS)


def judged(*verdicts, event=None):
    event = event or Event(name="PreToolUse", agent="claude", fields=MOVED.fields)
    return Judged(event=event, decision=settle(verdicts), verdicts=verdicts, seen=())


def test_fuel_that_was_not_measured_once_is_not_known_for_the_decision():
    known, unknown = Verdict(policy="p", fuel=7), Verdict.failed("p", "out of time")
    assert (judged(known, known).fuel, judged(known, unknown).fuel, judged().fuel) == (14, None, None)


def test_an_answer_in_words_names_what_changes_and_is_cut():
    changed = {"content": 2, "file_path": "/home/dev/new.txt"}
    asking = judged(Verdict(policy="p", effect=Effect.ASK, reason="why", rewrite=changed))
    assert asking.answer == "ask: why; rewrite `content` to `2`"
    telling = judged(Verdict(policy="p", output={"a": "b"}, context="c"))
    assert telling.answer == 'rewrite the output to `{"a": "b"}`; add `c`'
    assert len(judged(Verdict(policy="p", effect=Effect.DENY, reason="x" * 2_000)).answer) == module.WORDS


@pytest.mark.parametrize(
    "change",
    [
        {"effect": Effect.ASK},
        {"effect": Effect.DENY, "reason": "why"},
        {"rewrite": {"a": 1}},
        {"output": "o"},
        {"context": "c"},
        {"effect": Effect.DENY, "interrupt": True},
        {"effect": Effect.DENY, "fault": "f"},
    ],
)
def test_every_part_of_an_answer_is_in_its_digest(change):
    plain = {"policy": "p", "effect": change.get("effect", Effect.PASS)} if len(change) > 1 else {"policy": "p"}
    assert judged(Verdict(**{**plain, **change})).digest != judged(Verdict(**plain)).digest
    other = judged(Verdict(**{**plain, **change, "policy": "q", "fuel": 5, "microseconds": 1.0}))
    assert other.digest == judged(Verdict(**{**plain, **change})).digest
