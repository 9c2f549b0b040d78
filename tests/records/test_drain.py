"""From the spool into the database: exactly once, whatever is killed, broken or full."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from tests.records.appended import NOW, append, changed, decision, names, rows
from wasmguard import kept, places, spool
from wasmguard.errors import HostError
from wasmguard.guest.codec import packed
from wasmguard.lock import lock
from wasmguard.plan import identity
from wasmguard.records import database, drain, old_log
from wasmguard.records.chain import canonical, checked
from wasmguard.records.drain import Drained, drained
from wasmguard.records.prepared import Preparing
from wasmguard.records.segment import path_of

KILLS = int(os.environ.get("WASMGUARD_KILLS", "10"))
SMALL = {"segment": 1, "size": 2**40, "keep": 36_500}  # a segment for each drain


def bodies(where="1"):
    return [json.loads(body) for (body,) in rows(f"SELECT body FROM records WHERE {where} ORDER BY seq")]


def whole():
    return not list(checked())


def test_nothing_comes_of_nothing(own_home):
    assert drained() == Drained()
    assert not os.path.exists(spool.folder())


def test_what_waits_is_moved_in_its_order_and_no_longer_waits(own_home):
    append(*(decision(place) for place in range(5)))
    assert drained() == Drained(moved=5)
    assert [body["id"] for body in bodies()] == [decision(place)["id"].hex() for place in range(5)]
    assert not spool.waiting()
    assert drained() == Drained()
    assert whole()


def test_a_record_is_kept_as_it_is_with_what_was_remembered_beside_it(own_home):
    append(decision(1))
    drained()
    (said,) = bodies()
    wanted = json.loads(canonical(decision(1)))
    digests = {name: sha256(data).hexdigest() for name, data in (("given", b""), ("state", b"two"))}
    wanted["verdicts"][0].update(digests)
    assert said == wanted
    assert dict(rows("SELECT lower(hex(digest)), data FROM blobs")) == {
        digests["given"]: b"",
        digests["state"]: b"two",
    }


def test_each_verdict_says_which_module_and_settings_it_came_from(configured):
    plan = lock(str(configured("pass")), repin=False).plan
    assert kept.plan_of(identity(plan)) is not None
    said = [{"policy": "pass"}, {"policy": "wasmguard", "fault": "x"}]
    append(decision(1, plan=f"unknown {identity(plan)}", verdicts=said))
    drained()
    known, ours = bodies()[0]["verdicts"]
    assert known["module"] == plan.policies[0].sha256
    assert known["settings"] == sha256(b"{}").hexdigest()
    assert "module" not in ours


def test_what_comes_twice_is_there_once(own_home):
    append(decision(1), decision(2), decision(1))
    assert drained().moved == 2
    append(decision(2), decision(3))
    assert drained(SMALL).moved == 1
    append(decision(1), decision(3), decision(4))  # these are in an older segment
    assert drained(SMALL).moved == 1
    assert len(rows("SELECT seq FROM records")) == 4
    assert whole()


def test_a_file_that_was_moved_but_not_removed_changes_nothing_when_it_comes_again(own_home, monkeypatch):
    append(decision(1))
    append(decision(2))

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spool.Taken, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            drained()
    assert spool.waiting()
    append(decision(3))
    assert drained() == Drained(moved=1)
    assert not spool.waiting()
    assert whole()


@pytest.mark.parametrize("body", [b"", b"\xc1", packed([1]), packed(1), packed({"id": 1})[:-1]])
def test_what_is_no_record_is_a_damaged_one(own_home, body):
    spool.append(body)
    append(decision(1))
    assert drained() == Drained(moved=2, lost=1)
    assert [(said["kind"], said.get("bytes")) for said in bodies()] == [("damaged", len(body)), ("decision", None)]
    assert whole()


def test_a_damaged_frame_becomes_a_record_and_those_behind_it_are_found(own_home):
    append(decision(1), decision(2), decision(3))
    path = os.path.join(spool.folder(), spool.NAME)
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(path).write_bytes(data)
    assert drained() == Drained(moved=3, lost=1)
    assert [said["kind"] for said in bodies()] == ["decision", "damaged", "decision"]
    assert bodies("seq = 2")[0]["bytes"] == len(data) // 3


def test_each_damaged_frame_of_a_file_is_a_record_of_its_own(own_home, monkeypatch):
    monkeypatch.setattr(drain, "PORTION", 2)
    append(*(decision(place) for place in range(6)))
    path = Path(spool.folder()) / spool.NAME
    frames = path.read_bytes().split(spool.MAGIC)[1:]
    path.write_bytes(b"".join(spool.MAGIC + frame[: 40 if place % 2 else None] for place, frame in enumerate(frames)))
    assert drained() == Drained(moved=6, lost=3)
    assert whole()


def test_records_that_could_not_be_written_are_counted_as_lost(own_home):
    append({"v": 1, "id": bytes(10), "time": 1, "kind": "lost", "count": 7, "why": "full"})
    assert drained() == Drained(moved=1, lost=7)


@pytest.mark.parametrize("odd", [float("nan"), 2**64 - 1, -(2**63), {b"k": [b"\xff"]}, "\udcff\0", b"x", [None, True]])
def test_odd_values_are_kept_somehow_and_the_chain_holds(own_home, odd):
    append(decision(1, fields=odd, tool=odd, time=odd, us=odd, effect=odd, call=odd, session=odd, kind=odd, error=odd))
    append(decision(2, id=odd, verdicts=odd))
    append(decision(3, verdicts=[{"policy": odd, "reason": odd, "fuel": odd, "state": odd, "shadow": odd}, odd]))
    append(decision(4, fields=odd))
    assert drained().moved == 4
    assert whole()
    if odd != odd:  # noqa: PLR0124  # not a number
        assert bodies("seq = 4")[0]["inputs"] == "cut"


def test_what_is_counted_of_a_record_is_what_its_json_says(own_home):
    """Where that is not what the spool says: halves of a character become one, and bytes their digits."""
    halves, whole_one = "\ud83d\ude00", "\U0001f600"
    append(decision(1, tool=halves), decision(2, tool=whole_one))
    append(decision(3, tool="x", session="ff"), decision(4, tool="x", session=b"\xff", kind="lost"))
    assert drained().moved == 4
    assert rows("SELECT word, count(*) FROM lines JOIN words ON words.id = tool GROUP BY 1 ORDER BY 1") == [
        ("x", 2),
        (whole_one, 2),
    ]
    assert rows("SELECT count(*) FROM lines JOIN words ON words.id = session WHERE word = 'ff'") == [(2,)]
    assert whole()


def test_batches_and_their_portions_change_nothing(own_home, monkeypatch):
    monkeypatch.setattr(drain, "PORTION", 3)
    monkeypatch.setattr(drain, "PORTION_BYTES", 1500)
    monkeypatch.setattr(drain, "ROWS", 7)
    append(*(decision(place) for place in range(20)), decision(3), decision(21, fields={"text": "x" * 2000}))
    spool.append(b"none")
    assert drained() == Drained(moved=22, lost=1)
    ids = [body["id"] for body in bodies()]
    assert ids[:21] == [decision(place)["id"].hex() for place in (*range(20), 21)]
    assert whole()


def test_the_log_of_version_0_6_becomes_records_once(own_home):
    state = places.state_dir()
    os.makedirs(state, mode=0o700)
    log = os.path.join(state, old_log.NAME)
    Path(log).write_text(
        f'{{"time":{NOW},"kind":"off","why":"x"}}\n{{"time":1,"kind":"on"}}\n{{"time":1,"kind":"on"}}\n{{"half'
    )
    append(decision(1))
    assert drained() == Drained(moved=5, lost=1)
    assert not os.path.exists(log)
    assert [said["kind"] for said in bodies()] == ["off", "on", "on", "damaged", "decision"]
    assert (bodies()[0]["time"], bodies()[0]["why"]) == (NOW, "x")
    assert drained() == Drained()
    assert whole()


def test_who_is_killed_before_the_old_log_is_gone_leaves_nothing_twice(own_home, monkeypatch):
    os.makedirs(places.state_dir(), mode=0o700)
    log = Path(places.state_dir()) / old_log.NAME
    log.write_text('{"time":1,"kind":"on"}\n{"time":2,"kind":"off"}\n')
    append(decision(1))
    with monkeypatch.context() as patch:
        patch.setattr(database.Database, "bring_home", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drained()
    assert drained() == Drained(moved=1)
    assert [said["kind"] for said in bodies()] == ["on", "off", "decision"]


def test_who_finds_somebody_at_it_waits_and_leaves_it(own_home):
    append(decision(1))
    held = os.open(os.path.join(spool.folder(), "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert drained(wait=0.05) == Drained(left=True)
    threading.Timer(0.05, os.close, [held]).start()
    assert drained(wait=30) == Drained(moved=1)


def test_many_at_once_move_everything_once(own_home):
    append(*(decision(place) for place in range(50)))
    done = []
    threads = [threading.Thread(target=lambda: done.append(drained(wait=30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.moved for one in done) == [0, 0, 0, 50]
    assert whole()


def test_two_that_both_think_they_are_alone_write_nothing_twice(own_home):
    append(decision(1))
    drained()
    key = spool.key()

    def batch(*places):
        return [[Preparing().prepared(packed(decision(place))) for place in places]]

    with database.Database(spool.folder(), key) as one, database.Database(spool.folder(), key) as two:
        assert one.append(batch(2, 3)) == 2
        assert two.append(batch(3, 4)) == 1
        assert one.append(batch(4, 5)) == 1
        one.rotate()
        with pytest.raises(HostError, match="sealed by somebody else"):
            two.append(batch(6))
    assert len(rows("SELECT seq FROM records")) == 5
    assert whole()


def test_a_full_segment_is_sealed_and_the_next_goes_on(own_home):
    for place in range(3):
        append(decision(place))
        drained(SMALL)
    assert names() == ["000001.db", "000002.db", "000003.db", "lock"]
    assert rows("SELECT value FROM meta WHERE name = 'sealed'") == [(1,), (1,), (0,)]
    assert rows("SELECT seq FROM records") == [(1,), (2,), (3,)]
    assert whole()


def test_who_is_killed_before_a_full_segment_is_sealed_leaves_that_to_the_next(own_home, monkeypatch):
    append(decision(1))
    drained()
    append(decision(2))
    with monkeypatch.context() as patch:
        patch.setattr(database.Database, "_seal", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drained(SMALL)
    assert whole()
    assert drained(SMALL).moved == 1
    assert rows("SELECT value FROM meta WHERE name = 'sealed'") == [(1,), (0,)]
    assert whole()


def test_a_full_disk_stops_it_and_nothing_is_lost(own_home, monkeypatch):
    append(decision(1))
    drained()
    append(*(decision(place, fields={"text": "x" * 100_000}) for place in range(2, 9)))
    opened = database.Database._opened

    def cramped(self, number):
        segment = opened(self, number)
        segment.execute("PRAGMA max_page_count = 20")
        return segment

    with monkeypatch.context() as patch:
        patch.setattr(database.Database, "_opened", cramped)
        with pytest.raises(HostError, match="no room"):
            drained()
    assert rows("SELECT seq FROM records") == [(1,)]
    assert spool.waiting()
    assert whole()
    assert drained().moved == 7
    assert whole()


def test_a_segment_that_cannot_be_made_stops_it_and_nothing_is_lost(own_home, monkeypatch):
    append(decision(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(HostError, match="no space left on device: make room"):
            drained()
    assert drained().moved == 1


def test_a_folder_that_is_open_to_others_is_not_used(own_home):
    append(decision(1))
    os.chmod(spool.folder(), 0o755)
    with pytest.raises(HostError):
        drained()
    os.chmod(spool.folder(), 0o700)
    assert drained().moved == 1


@pytest.mark.parametrize("begin", [0, 100, 16_384])
def test_a_damaged_segment_stops_it_and_no_other_is_begun(own_home, begin):
    append(decision(1))
    drained()
    path = path_of(spool.folder(), 1)
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * 300_000)
    append(decision(2))
    with pytest.raises(HostError):
        drained(SMALL)
    assert spool.waiting()
    assert names()[0] == "000001.db"
    assert "000002.db" not in names()


def test_a_head_that_somebody_changed_stops_it(own_home):
    append(decision(1))
    drained()
    changed(path_of(spool.folder(), 1), ("UPDATE meta SET value = 0 WHERE name = 'head'",))
    append(decision(2))
    with pytest.raises(HostError, match="says something else"):
        drained()
    assert spool.waiting()


def test_the_detached_process_moves_what_waits_and_says_nothing(own_home):
    append(decision(1))
    run = [sys.executable, "-I", "-m", "wasmguard.records", "--state", places.state_dir()]
    done = subprocess.run(run, capture_output=True, timeout=60, check=False, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(bodies()) == 1
    changed(path_of(spool.folder(), 1), ("DELETE FROM meta",))
    append(decision(2))
    done = subprocess.run(run, capture_output=True, timeout=60, check=False, env={})
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert spool.waiting()
    done = subprocess.run([*run, "--more"], capture_output=True, timeout=60, check=False, env={})
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


def test_whoever_is_killed_when_nothing_that_was_kept_is_missing_or_there_twice(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(KILLS)], capture_output=True, timeout=60 + KILLS, check=True
    )
    said = json.loads(done.stdout)
    assert said.pop("told")
    assert said.pop("segments")
    assert said == {"missing": 0, "twice": 0, "broken": [], "failed": []}


def test_what_was_learned_in_a_batch_that_failed_is_forgotten(own_home):
    append(decision(1))
    drained()
    new = Preparing().prepared(packed(decision(2, tool="New", fields={"text": "x" * 200_000})))
    with database.Database(spool.folder(), spool.key()) as one:
        assert one.append([[Preparing().prepared(packed(decision(3)))]]) == 1
        one._last.execute("PRAGMA max_page_count = 20")
        with pytest.raises(HostError, match="no room"):
            one.append([[new]])
        one._last.execute("PRAGMA max_page_count = 1000000")
        assert one.append([[new]]) == 1
    assert whole()
