import os

import pytest

from wasmguard import places
from wasmguard.workshop.replay import kept as keeping
from wasmguard.workshop.replay.kept import Kept
from wasmguard.workshop.replay.sources import Source
from wasmguard.workshop.replay.tally import Tally

PLACE = {"number": 4000, "seq": 0, "since": None, "until": None}


@pytest.fixture
def run(own_home):
    return lambda stamp=(1, 2, 3), since="", plans=("p",): Kept([Source(path="/f", stamp=stamp)], since, plans)


def folder():
    return os.path.join(places.cache_dir(), "replays")


def test_what_was_found_is_found_again(run):
    tally = Tally()
    tally.counts["events"] = 7
    run().write(PLACE, tally, now=True)
    place, found = run().found()
    assert place == PLACE
    assert found.data() == tally.data()


def test_another_file_moment_or_policy_is_another_run(run):
    run().write(PLACE, Tally(), now=True)
    assert run(stamp=(1, 2, 4)).found() is None
    assert run(since="2h").found() is None
    assert run(plans=("q",)).found() is None


def test_it_is_written_once_in_a_while(run, monkeypatch):
    kept = run()
    kept.write(PLACE, Tally())
    assert kept.found() is None
    monkeypatch.setattr(keeping, "OFTEN", 0)
    kept.write(PLACE, Tally())
    assert kept.found() is not None


def test_what_somebody_else_wrote_is_nothing(run):
    kept = run()
    kept.write(PLACE, Tally(), now=True)
    (name,) = os.listdir(folder())
    path = os.path.join(folder(), name)
    assert os.stat(path).st_mode & 0o077 == 0
    with open(path, "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"x")
    assert kept.found() is None


def test_a_run_that_is_over_leaves_nothing(run):
    kept = run()
    kept.write(PLACE, Tally(), now=True)
    kept.forget()
    kept.forget()
    assert os.listdir(folder()) == []


def test_old_ones_go_and_the_newest_stay(run, monkeypatch):
    monkeypatch.setattr(keeping, "MOST", 3)
    for number in range(6):
        run(since=f"{number}").write(PLACE, Tally(), now=True)
    for number, name in enumerate(sorted(os.listdir(folder()))):
        os.utime(os.path.join(folder(), name), (10**9 if number == 0 else 2 * 10**9,) * 2)
    run(since="other").clean()
    assert len(os.listdir(folder())) == 3


def test_a_cache_that_cannot_be_written_stops_nothing(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    run().write(PLACE, Tally(), now=True)
    assert run().found() is None
    run().clean()
