import json
import os

import pytest

from tests.workshop.replay.happened import payload, used, written
from wasmguard.errors import UsageError
from wasmguard.workshop.replay import sources
from wasmguard.workshop.replay.past import NO_LINE
from wasmguard.workshop.replay.sources import Reading, located


def read(*names, since=None):
    return list(Reading(located([str(name) for name in names]), since).pasts())


def paths(pasts):
    return [past.event.input["file_path"] for past in pasts if past.event]


def test_files_are_read_in_the_order_they_are_named(tmp_path):
    one, other = written(tmp_path / "b.jsonl", [payload("/1")]), written(tmp_path / "a.jsonl", [payload("/2")])
    assert paths(read(one, other)) == ["/1", "/2"]


def test_the_files_of_a_folder_are_read_in_the_order_of_their_paths(tmp_path):
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep" / "x.jsonl", [payload("/3")])
    written(tmp_path / "b.ndjson", [payload("/2")])
    (tmp_path / "a.json").write_text(json.dumps(payload("/1"), indent=2))
    (tmp_path / "notes.txt").write_text("no event")
    assert paths(read(tmp_path)) == ["/1", "/2", "/3"]


def test_a_json_file_may_hold_a_list(tmp_path):
    file = tmp_path / "all.json"
    file.write_text(json.dumps([payload("/1"), 5, payload("/2")]))
    pasts = read(file)
    assert paths(pasts) == ["/1", "/2"]
    assert pasts[1].why == NO_LINE
    assert pasts[2].where == f"{file}:3"


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    file = written(tmp_path / "a.jsonl", [payload("/1")])
    assert paths(read(file, file)) == ["/1"]


def test_what_is_known_to_be_older_is_left_out(tmp_path):
    file = written(tmp_path / "a.jsonl", [payload("/1", time=1000), payload("/2", time=2000), payload("/3")])
    assert paths(read(file, since=1500)) == ["/2", "/3"]


def test_transcripts_are_where_the_client_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "projects/p").mkdir(parents=True)
    written(tmp_path / "projects/p/s.jsonl", [used("/1")])
    (tmp_path / "projects/p/other.json").write_text("{}")
    pasts = read("transcripts")
    assert paths(pasts) == ["/1"]


def test_a_line_that_no_guard_would_read_is_malformed_and_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "HARD_MAX", sources.HARD_MAX.replaced(event=400))
    file = written(tmp_path / "a.jsonl", [payload("/1"), payload("/" + "x" * 5000), payload("/2")])
    pasts = read(file)
    assert paths(pasts) == ["/1", "/2"]
    assert (pasts[1].why, pasts[1].where) == (NO_LINE, f"{file}:2")


def test_a_last_line_without_its_end_counts(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(payload("/1")))
    assert paths(read(file)) == ["/1"]


def test_the_share_grows_to_the_end(tmp_path):
    file = written(tmp_path / "a.jsonl", [payload(f"/{n}") for n in range(10)])
    reading = Reading(located([str(file)]), None)
    shares = [reading.share for _ in reading.pasts()]
    assert shares == sorted(shares)
    assert reading.share == 1.0


@pytest.mark.parametrize("name", ["gone.jsonl", "gone", "gone/"])
def test_what_is_not_there_is_a_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match=r"cannot be read: no such file"):
        located([str(tmp_path / name)])


def test_a_folder_without_a_file_of_events_is_a_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match=r"no \.jsonl"):
        located([str(tmp_path)])


def test_another_kind_of_file_is_a_wrong_usage(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(UsageError, match=r"one of \.jsonl"):
        located([str(tmp_path / "a.csv")])


def test_a_file_that_goes_meanwhile_is_a_wrong_usage(tmp_path):
    file = written(tmp_path / "a.jsonl", [payload("/1")])
    found = located([str(file)])
    os.unlink(file)
    with pytest.raises(UsageError, match="cannot be read"):
        list(Reading(found, None).pasts())


def test_a_list_that_is_too_large_to_be_held_is_a_wrong_usage(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST", 10)
    (tmp_path / "a.json").write_text(json.dumps([payload()]))
    with pytest.raises(UsageError, match="one event a line"):
        read(tmp_path / "a.json")
