"""Figures that were kept: when they may be compared, and what fails."""

import copy
import json
import os

import pytest

from tests.workshop.bench.timed import row, rows
from wasmguard.errors import HostError, UsageError
from wasmguard.workshop.bench.baseline import FUEL, comparable, held, read, saved

EVENTS = ("Bash", "Write", "Stop")


def document(**changes):
    made = {
        "wasmguard_bench": 1,
        "version": "0.6.0",
        "complete": True,
        "machine": {"processor": "one", "wasmtime": "50.0.1"},
        "events": {"source": "builtin:mix", "digest": "d1", "list": [{"name": name} for name in EVENTS]},
        "policies": [policy()],
        "rows": rows(),
    }
    return made | changes


def policy(fuel=(1000, 2000, None), faults=("", "", None), decisions=("a", "b", None), **changes):
    made = {
        "name": "gate",
        "limits": {"fuel": 20_000_000, "memory": 16_777_216, "clock": 100, "module": 4_194_304},
        "fuel": {"events": list(fuel)},
        "faults": list(faults),
        "decisions": list(decisions),
        "memory": 65536,
        "bytes": 5000,
    }
    return made | changes


def check(now=None, before=None, again=None):
    return held(now or document(), before or document(), again, "figures.json")


def verdict(told):
    (one,) = told["time"]
    return one["verdict"]


# --- fuel and answers ------------------------------------------------------------------------------------------------


def test_nothing_got_worse_if_nothing_changed():
    told = check()
    assert told["ok"]
    assert (told["fuel"], told["answers"], told["notes"]) == ([], [], [])
    assert told["baseline"] == "figures.json"
    assert verdict(told) == "same"


@pytest.mark.parametrize(("fuel", "ok"), [(1020, True), (1021, False), (1100, False), (10_000, False)])
def test_an_event_that_burns_over_two_percent_more_fails(fuel, ok):
    told = check(document(policies=[policy(fuel=(fuel, 2000, None))]))
    assert told["ok"] is ok
    assert told["fuel"] == [
        {"policy": "gate", "event": "Bash", "before": 1000, "after": fuel, "change": round(fuel / 1000 - 1, 6)}
    ]
    assert any("burns more" in note for note in told["notes"]) is not ok
    assert FUEL == 0.02


def test_one_event_that_burns_more_fails_although_another_burns_less():
    told = check(document(policies=[policy(fuel=(1100, 100, None))]))
    assert not told["ok"]
    assert any("burns less: -95.0%" in note for note in told["notes"])


def test_less_fuel_is_told():
    told = check(document(policies=[policy(fuel=(900, 2000, None))]))
    assert told["ok"]
    assert told["notes"] == ["`gate` burns less: -10.0% fuel at the most"]


def test_a_fault_where_there_was_an_answer_fails():
    now = policy(fuel=(1000, None, None), faults=("", "stopped by its clock", None), decisions=("a", "x", None))
    told = check(document(policies=[now]))
    assert not told["ok"]
    assert "`gate` FAILS where it answered: `Write`" in told["notes"]


def test_a_fault_that_was_one_before_does_not_fail_and_another_event_s_does():
    before = document(policies=[policy(faults=("trapped", "", None))])
    assert check(before, before)["ok"]
    swapped = policy(faults=("", "trapped", None), decisions=("x", "y", None))
    assert not check(document(policies=[swapped]), before)["ok"]


def test_a_fault_about_an_event_that_nobody_was_asked_about_is_no_new_one():
    told = check(document(policies=[policy(faults=("", "", "trapped"), decisions=("a", "b", "c"))]))
    assert told["ok"]
    assert told["answers"] == [{"policy": "gate", "event": "Stop"}]


def test_another_answer_is_told_loudly_and_does_not_fail():
    told = check(document(policies=[policy(decisions=("a", "x", None))]))
    assert told["ok"]
    assert told["answers"] == [{"policy": "gate", "event": "Write"}]
    assert any("ANSWERS OTHERWISE" in note and "`Write`" in note for note in told["notes"])


def test_more_memory_and_a_larger_module_are_told():
    told = check(document(policies=[policy() | {"memory": 131072, "bytes": 4000}]))
    assert told["ok"]
    assert told["notes"] == [
        "`gate` takes more for memory: 65_536 bytes then, 131_072 now",
        "`gate` takes less for its module: 5_000 bytes then, 4_000 now",
    ]


# --- time ------------------------------------------------------------------------------------------------------------


def test_what_is_slower_each_time_it_is_measured_fails():
    told = check(document(rows=rows(time=170)), again=lambda: rows(time=160))
    assert not told["ok"]
    assert verdict(told) == "slower"


def test_what_was_slower_only_once_does_not_fail():
    told = check(document(rows=rows(time=170)), again=lambda: rows(time=100))
    assert told["ok"]
    assert verdict(told) == "noise"


def test_what_is_faster_is_told_and_does_not_fail():
    told = check(document(rows=rows(time=60)))
    assert told["ok"]
    assert verdict(told) == "faster"


def test_a_row_that_the_baseline_does_not_have_is_told():
    now = [*rows(), row("gate", "policy", 9.0, "library/null policy", path="library")]
    told = check(document(rows=now))
    assert told["notes"] == ["not in the baseline, so not compared: `library/gate`"]


# --- what may be compared --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"machine": {"processor": "one", "wasmtime": "51.0.0"}}, "wasmtime 50.0.1 and this is 51.0.0"),
        ({"events": document()["events"] | {"digest": "d2"}}, "other events, of `builtin:mix`"),
        ({"policies": [policy(name="door")]}, "other policies: `gate` then, `door` now"),
        ({"policies": [policy(), policy(name="door")]}, "other policies: `gate` then, `gate`, `door` now"),
        ({"policies": [policy(limits={"fuel": 1})]}, "other limits of `gate`"),
    ],
)
def test_what_was_measured_otherwise_is_refused_and_it_is_said_why(changes, why):
    with pytest.raises(UsageError) as refused:
        check(document(**changes))
    assert why in str(refused.value)
    assert "make a new one with `--save figures.json`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_on_another_machine_what_is_exact_is_compared_and_times_are_not():
    other = {"processor": "two", "wasmtime": "50.0.1"}
    told = check(document(rows=rows(time=900), machine=other, policies=[policy(fuel=(1500, 2000, None))]))
    assert told["time"] == []
    assert not told["ok"]
    assert any("another machine (`one`, this is `two`)" in note for note in told["notes"])
    assert check(document(rows=rows(time=900), machine=other))["ok"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_what_is_saved_is_what_is_read(tmp_path):
    path = str(tmp_path / "figures.json")
    saved(path, document())
    assert read(path) == document()
    assert held(document(), read(path), None)["ok"]


def test_a_real_document_can_be_saved_and_compared(tmp_path):
    with open(os.path.join(os.path.dirname(__file__), "sample.json"), encoding="utf-8") as file:
        sample = json.load(file)
    path = str(tmp_path / "figures.json")
    saved(path, sample)
    told = held(sample, read(path), None, path)
    assert told["ok"]
    assert told["fuel"] == []
    assert {one["verdict"] for one in told["time"]} == {"same"}


def test_figures_replace_what_was_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("before")
    with pytest.raises(ValueError, match="JSON compliant"):
        saved(str(path), document(rows=[float("nan")]))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["figures.json"]
    saved(str(path), document())
    assert read(str(path)) == document()


def test_a_link_stays_one(tmp_path):
    (tmp_path / "kept.json").write_text("before")
    (tmp_path / "link.json").symlink_to("kept.json")
    saved(str(tmp_path / "link.json"), document())
    assert (tmp_path / "link.json").is_symlink()
    assert read(str(tmp_path / "kept.json")) == document()


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match="is no file"):
            saved(str(path), document())
    assert not (tmp_path / "pipe").is_file()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HostError, match="no such file or directory"):
        saved(str(tmp_path / "none" / "figures.json"), document())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("\x00", "is no JSON"),
        ('{"wasmguard_bench": NaN}', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no figures of `wasmguard bench`"),
        ('{"a": 1}', "holds no figures of `wasmguard bench`"),
        ('{"wasmguard_bench": 2}', "has format 2, and this version reads 1"),
        ('{"wasmguard_bench": 1}', "was interrupted"),
        ('{"wasmguard_bench": 1, "complete": true}', "is damaged"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused_in_one_line(tmp_path, data, why):
    path = tmp_path / "figures.json"
    path.write_text(data)
    with pytest.raises(UsageError) as refused:
        read(str(path))
    assert f"baseline `{path}`: {why}" in str(refused.value)
    assert "--save" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(UsageError, match="does not exist: make it with `--save"):
        read(str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match="cannot be read: is a directory"):
        read(str(tmp_path))


@pytest.mark.parametrize("key", ["machine", "events", "policies", "rows"])
def test_a_document_that_lost_a_part_is_damaged(tmp_path, key):
    lost = document()
    del lost[key]
    saved(str(tmp_path / "figures.json"), lost)
    with pytest.raises(UsageError, match="is damaged"):
        read(str(tmp_path / "figures.json"))


def test_a_document_with_a_broken_part_is_damaged(tmp_path):
    for place, wrong in (("policies", [7]), ("rows", [{"id": 1}]), ("events", []), ("machine", {})):
        broken = copy.deepcopy(document()) | {place: wrong}
        saved(str(tmp_path / "figures.json"), broken)
        with pytest.raises(UsageError, match="is damaged"):
            read(str(tmp_path / "figures.json"))


def broken(place, **changes):
    """The document with one entry of a list changed, which it was measured with."""
    whole = copy.deepcopy(document())
    whole[place][-1].update(changes)
    return whole


@pytest.mark.parametrize(
    "hostile",
    [
        broken("policies", fuel={"events": ["x", "y", None]}),
        broken("policies", fuel={"events": [10**400, 1, None]}),
        broken("policies", fuel={"events": [-1, 1, None]}),
        broken("policies", memory=True),
        broken("policies", bytes="many"),
        broken("policies", faults=[3, "", None]),
        broken("policies", name=["tool-gate"]),
        broken("rows", quiet_of_rounds=[-1.0] * 20),
        broken("rows", id={}),
    ],
)
def test_numbers_and_texts_of_another_type_than_ours_are_damage(tmp_path, hostile):
    (tmp_path / "figures.json").write_text(json.dumps(hostile))
    with pytest.raises(UsageError, match="is damaged"):
        read(str(tmp_path / "figures.json"))


def test_a_number_without_end_is_damage(tmp_path):
    data = json.dumps(broken("rows", quiet_of_rounds=[0.5] * 20)).replace("0.5", "1e400")
    (tmp_path / "figures.json").write_text(data)
    with pytest.raises(UsageError, match="is damaged"):
        read(str(tmp_path / "figures.json"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_no_baseline_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(UsageError, match="is no file"):
            read(str(path))


def test_words_of_a_baseline_steer_no_terminal(tmp_path):
    evil = "\x1b[31mevil\x07" + "x" * 5000
    machine = {**document()["machine"], "wasmtime": evil}
    for now in (document() | {"machine": machine}, document(policies=[policy(name=evil)])):
        with pytest.raises(UsageError) as refused:
            comparable(document(), now, "figures.json")
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1000
    told = check(None, document() | {"machine": {**document()["machine"], "processor": evil}})
    assert all(note.isprintable() and len(note) < 500 for note in told["notes"])
