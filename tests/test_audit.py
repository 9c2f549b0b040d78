"""Records of acts: in the spool before whoever makes them goes on."""

import os
import stat
import threading

import pytest

from tests.recorded import waiting
from wasmguard import audit, spool

pytestmark = pytest.mark.usefixtures("own_home")


def test_an_act_is_kept_with_its_kind_and_time():
    audit.record("off", seconds=600, text="a\nb\u202e\ud800")
    audit.record("on")
    first, second = waiting()
    assert (first["kind"], first["seconds"], first["text"]) == ("off", 600, "a\nb\u202e\ud800")
    assert second["kind"] == "on"
    assert 0 <= second["time"] - first["time"] < 60_000


def test_no_two_records_have_the_same_id():
    for _ in range(200):
        audit.record("on")
    assert len({record["id"] for record in waiting()}) == 200


def test_what_nobody_can_write_down_is_refused_before_anything_is_written():
    with pytest.raises(TypeError, match="object"):
        audit.record("on", what=object())
    assert spool.waiting() == 0


def test_quietly_never_raises(monkeypatch):
    audit.quietly("refused", what=object())
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    audit.quietly("refused", why="x")


def test_records_of_many_writers_are_whole():
    def write(who):
        for _ in range(100):
            audit.record("on", text=str(who) * 2_000)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waiting()) == 400
    assert all(set(record["text"]) == {record["text"][0]} for record in waiting())


def test_the_file_is_the_owners_alone():
    audit.record("on")
    path = os.path.join(spool.folder(), spool.NAME)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
