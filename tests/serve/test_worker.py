"""A worker as a process, asked through real sockets: most tests with a guard that does what its event says."""

import json
import os
import re
import resource
import select
import signal
import socket
import struct
import time
from contextlib import suppress
from functools import partial

import pytest

from tests.serve.host import wire
from wasmguard import link
from wasmguard.errors import WasmguardError
from wasmguard.lock import lock
from wasmguard.serve import clients, worker
from wasmguard.serve.board import Board
from wasmguard.serve.callback import schemas
from wasmguard.serve.standing import Reload, Standing, Told
from wasmguard.serve.talk import METRICS, PERMISSION, SCHEMA, FrameTalk, Question
from wasmguard.value import Value

PATIENCE = 10  # seconds for anything to happen


class Plan(Value):
    config: str = "/home/u/wasmguard.toml"
    digest: str = "d"
    policies: tuple = ()


class Pretended:
    """A guard whose events say what it does: `sleep SECONDS`, `large BYTES`, `raise`; it answers with them."""

    def __init__(self, config):
        self.last, self.reload, self.plan, self.config = Told(), Reload(), Plan(), config
        self.answers = self.followed = 0

    def reply(self, raw, context):
        act, _, value = raw[:40].partition(b" ")
        if act == b"sleep":
            time.sleep(float(value))
        if act == b"raise":
            raise MemoryError
        if act == b"die":
            os._exit(9)
        self.answers += 1
        said = raw if act != b"large" else b"x" * int(value)
        home = context.get("HOME", "")
        self.last = Told(time=self.answers, event="PreToolUse", effect="deny", rewrote=True, reason=home)
        return link.ANSWERED, said, b"why"

    def permission(self, raw, context):
        self.last = Told(time=1, event="can-use-tool", effect="allow", faulted=True)
        return link.ANSWERED, b"may run: " + raw, b""

    def follow(self):
        self.followed += 1
        self.reload = Reload(time=self.followed, old="old", new="new")
        raise WasmguardError("what is wrong with it is in `reload`")

    def pids(self):
        return [os.getpid()]

    def flush(self):
        pass

    def close(self):
        pass


class OneQuestion(FrameTalk):
    """Takes every connection for a request to be measured, or for what else is asked over HTTP only."""

    def question(self):
        question = super().question()
        kind = {b"permission": PERMISSION, b"schema": SCHEMA}.get(question.payload, METRICS) if question else None
        return question and Question(kind=kind, payload=question.payload, context={}, last=True)


class Daemon:
    """Workers whose master is this process."""

    def __init__(self, folder):
        self.path, self.pids = str(folder / "s"), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.other = socket.create_server(("127.0.0.1", 0))
        self.other.setblocking(False)
        self.board = Board(2)
        self.channels = []

    def start(self, standing=Pretended, config="config", before=lambda: None):
        number = len(self.pids)
        pid = os.fork()
        if pid == 0:
            try:
                before()
                listeners = [(self.listener, partial(FrameTalk, "/s")), (self.other, partial(OneQuestion, "/s"))]
                worker.work(listeners, self.board, number, str(config), facts={"socket": self.path}, standing=standing)
            finally:
                os._exit(99)
        self.pids.append(pid)
        until = time.monotonic() + PATIENCE
        while self.board.seats[number].pid != pid:
            assert time.monotonic() < until
            time.sleep(0.002)
        return self

    def client(self):
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(PATIENCE)
        channel.connect(self.path)
        self.channels.append(channel)
        return channel

    def ended(self, number=0):
        """The exit code of a worker, as soon as it is gone."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pids[number], os.WNOHANG)
            if pid:
                self.pids[number] = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        raise AssertionError("the worker does not end")

    def seen(self, name, at_least=1):
        """Wait until a counter of the first worker is so high."""
        until = time.monotonic() + PATIENCE
        while self.board.seats[0].number(name) < at_least:
            assert time.monotonic() < until
            time.sleep(0.002)

    def close(self):
        for channel in (*self.channels, self.listener, self.other):
            channel.close()
        for pid in filter(None, self.pids):
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    yield made
    made.close()


def asking(event=b"{}", **context):
    return link.question(link.EVENT, link.with_context(context, event, "/s"))


def heard(channel):
    """The next answer that comes out of *channel*."""
    head = exactly(channel, link.ANSWER)
    rest = int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big")
    return link.told(head + exactly(channel, rest))


def exactly(channel, size):
    got = bytearray()
    while len(got) < size:
        part = channel.recv(min(1 << 20, size - len(got)))
        if not part:
            raise EOFError
        got += part
    return bytes(got)


def asked(daemon, event=b"{}", **context):
    with daemon.client() as channel:
        channel.sendall(asking(event, **context))
        return heard(channel)


def status(daemon):
    code, answer, _ = link.ask(daemon.path, link.STATUS, seconds=PATIENCE)
    assert code == link.ANSWERED
    return json.loads(answer)


def closed(channel):
    try:
        return channel.recv(1) == b""
    except ConnectionError:
        return True


# what is asked, and what is answered --------------------------------------------------------------------------------


def test_an_event_is_answered_and_counted(daemon):
    daemon.start()
    assert asked(daemon, b"hello", HOME="/home/u") == (link.ANSWERED, b"hello", b"why")
    said = status(daemon)
    assert (said["events"], said["denied"], said["rewritten"], said["faulted"]) == (1, 1, 1, 0)
    assert said["last"]["reason"] == "/home/u"
    assert said["p50_us"] > 0


def test_one_connection_carries_many_questions_each_answered_in_turn(daemon):
    daemon.start()
    with daemon.client() as channel:
        for number in range(3):
            channel.sendall(asking(b"%d" % number))
            assert heard(channel)[1] == b"%d" % number
        channel.sendall(b"".join(asking(b"%d" % number) for number in range(300)))
        assert [heard(channel)[1] for _ in range(300)] == [b"%d" % number for number in range(300)]


def test_a_question_may_come_byte_by_byte(daemon):
    daemon.start()
    with daemon.client() as channel:
        for byte in asking(b"slow"):
            channel.sendall(bytes([byte]))
        assert heard(channel)[1] == b"slow"


def test_a_client_that_says_no_more_than_its_question_is_answered(daemon):
    daemon.start()
    with daemon.client() as channel:
        channel.sendall(asking(b"large 3000000"))
        channel.shutdown(socket.SHUT_WR)
        assert len(heard(channel)[1]) == 3_000_000
        assert closed(channel)


@pytest.mark.parametrize("size", [5_000_000, 60_000_000])
def test_large_events_and_large_answers_come_through(daemon, size):
    daemon.start()
    assert asked(daemon, b"x" * size)[1] == b"x" * size


def test_a_question_of_another_version_is_to_be_decided_elsewhere(daemon):
    daemon.start()
    frame = bytearray(asking())
    frame[4:20] = b"9.9.9".ljust(16, b"\0")
    with daemon.client() as channel:
        channel.sendall(frame)
        assert heard(channel) == (link.ELSEWHERE, b"", b"")
    assert status(daemon)["elsewhere"] == 1
    assert status(daemon)["events"] == 0


def test_the_status_tells_of_policies_facts_and_workers(daemon):
    daemon.start().start()
    said = status(daemon)
    assert said["socket"] == daemon.path
    assert said["config"] == Plan().config
    assert said["master"] == os.getpid()
    assert [row["pid"] for row in said["workers"]] == daemon.pids
    assert [row["cells"] for row in said["workers"]] == [[pid] for pid in daemon.pids]
    assert said["memory_kib"]["workers"] > 0


def test_who_may_ask_for_measures_gets_them_and_the_talk_ends(daemon):
    daemon.start()
    asked(daemon)
    with socket.create_connection(daemon.other.getsockname(), timeout=PATIENCE) as channel:
        channel.sendall(asking())
        text = heard(channel)[1].decode()
        assert closed(channel)
    assert re.search(r'^wasmguard_events_total\{effect="deny"\} 1$', text, re.MULTILINE)


def test_a_callbacks_question_is_answered_and_counted_like_an_event(daemon):
    daemon.start()
    with socket.create_connection(daemon.other.getsockname(), timeout=PATIENCE) as channel:
        channel.sendall(asking(b"permission"))
        assert heard(channel)[:2] == (link.ANSWERED, b"may run: permission")
    daemon.seen("events")
    seat = daemon.board.seats[0]
    assert [seat.number(name) for name in ("allowed", "denied", "faulted", "rewritten")] == [1, 0, 1, 0]
    assert sum(seat.times) == 1


def test_the_schemas_are_given_out_and_are_no_event(daemon):
    daemon.start()
    with socket.create_connection(daemon.other.getsockname(), timeout=PATIENCE) as channel:
        channel.sendall(asking(b"schema"))
        code, answer, _ = heard(channel)
    assert (code, json.loads(answer)) == (link.ANSWERED, schemas())
    assert daemon.board.seats[0].number("events") == 0


def test_the_last_answer_arrives_though_its_client_still_sends(daemon):
    daemon.start()
    with socket.create_connection(daemon.other.getsockname(), timeout=PATIENCE) as channel:
        channel.sendall(asking() + b"x" * 20_000_000)
        assert heard(channel)[0] == link.ANSWERED
        assert closed(channel)


def test_to_be_stopped_is_answered_and_the_masters_business(daemon):
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(1))
    try:
        daemon.start()
        assert link.ask(daemon.path, link.STOP, seconds=PATIENCE) == (link.ANSWERED, b"{}\n", b"")
        until = time.monotonic() + PATIENCE
        while not came and time.monotonic() < until:
            time.sleep(0.002)
        assert came
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_last_decision_is_told_when_nobody_waits_and_when_somebody_always_does(daemon):
    def told(number):
        until = time.monotonic() + PATIENCE
        while (daemon.board.summary()["last"] or {}).get("time", 0) < number:
            assert time.monotonic() < until
            time.sleep(0.002)

    daemon.start()
    asked(daemon)
    told(1)
    with daemon.client() as channel:
        busy = [asking(b"sleep 0.15"), asking(), asking(f"sleep {2 * PATIENCE}".encode())]
        channel.sendall(b"".join(busy))  # in one piece: never nothing to do
        told(2)  # while it sleeps


def test_who_asks_how_it_is_hears_of_the_plan_that_is_in_force_now(daemon):
    daemon.start()
    said = json.loads(link.ask(daemon.path, link.STATUS, seconds=PATIENCE)[1])
    assert said["reload"]["new"] == "new"


# who is not heard ---------------------------------------------------------------------------------------------------


def test_somebody_else_is_not_heard(daemon):
    daemon.start(before=lambda: setattr(link, "peer_of", lambda _: os.geteuid() + 1))
    with daemon.client() as channel:
        assert closed(channel)
    daemon.seen("refused")


def test_whose_user_is_not_known_is_not_heard(daemon):
    def unknown(_):
        raise OSError

    daemon.start(before=lambda: setattr(link, "peer_of", unknown))
    with daemon.client() as channel:
        assert closed(channel)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, b"wg\x01\x01", asking()[:-1] + b""])
def test_garbage_and_half_questions_are_not_answered(daemon, garbage):
    daemon.start()
    with daemon.client() as channel:
        with suppress(BrokenPipeError):
            channel.sendall(garbage)
        with suppress(OSError):
            channel.shutdown(socket.SHUT_WR)
        assert closed(channel)
    assert asked(daemon)[0] == link.ANSWERED


def test_what_goes_wrong_with_one_connection_ends_that_one(daemon):
    daemon.start()
    with daemon.client() as one, daemon.client() as other:
        one.sendall(asking(b"raise"))
        assert closed(one)
        other.sendall(asking())
        assert heard(other)[0] == link.ANSWERED


def test_a_client_that_goes_away_takes_nobody_along(daemon):
    daemon.start()
    for number in range(50):
        channel = daemon.client()
        channel.sendall(asking(b"large 1000000")[: 20 + number])
        channel.close()
        channel = daemon.client()
        channel.sendall(asking(b"large 1000000"))
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        channel.close()
    assert asked(daemon)[0] == link.ANSWERED
    daemon.seen("accepted", 100)


# who waits ----------------------------------------------------------------------------------------------------------


def test_hundreds_of_clients_are_all_answered(daemon):
    daemon.start().start()
    channels = [daemon.client() for _ in range(400)]
    for turn in range(3):
        for number, channel in enumerate(channels):
            channel.sendall(asking(b"%d %d" % (turn, number)))
        for number, channel in enumerate(channels):
            assert heard(channel)[1] == b"%d %d" % (turn, number)
    said = status(daemon)
    assert said["events"] == 1_200
    assert said["clients"] >= 400


def test_connections_that_stay_are_dealt_out_among_workers(daemon):
    daemon.start().start()
    channels = []
    for _ in range(20):
        channels.append(daemon.client())
        for _ in range(3):
            channels[-1].sendall(asking())
            heard(channels[-1])
        time.sleep(0.003)  # nobody looks any more, all sleep
    assert min(row["clients"] for row in status(daemon)["workers"]) >= 5


def test_while_one_worker_decides_another_accepts(daemon):
    daemon.start().start()
    with daemon.client() as one:
        begun = time.monotonic()
        one.sendall(asking(b"sleep 1.5"))
        time.sleep(0.1)
        with daemon.client() as other:
            other.sendall(asking())
            heard(other)
        assert time.monotonic() - begun < 1.4
        heard(one)


def test_who_asks_much_at_once_waits_for_the_others(daemon):
    daemon.start()
    with daemon.client() as greedy, daemon.client() as modest:
        greedy.sendall(asking(b"sleep 0.02") * 100)
        heard(greedy)
        modest.sendall(asking(b"me"))
        assert heard(modest)[1] == b"me"
        greedy.setblocking(False)
        got = b""
        while select.select([greedy], [], [], 0)[0]:
            got += greedy.recv(1 << 20)
        assert got.count(link.MAGIC) < 50
        greedy.setblocking(True)


def test_who_does_not_read_its_answers_is_not_asked_for_more(daemon):
    daemon.start()
    with daemon.client() as deaf:
        deaf.settimeout(0.5)
        with pytest.raises(TimeoutError):
            deaf.sendall(asking(b"large 1000000") * 100_000)
        for _ in range(5):
            deaf.recv(100_000)
            assert asked(daemon)[0] == link.ANSWERED
        assert status(daemon)["events"] < 10


def test_large_questions_share_the_room_and_wait_in_line(daemon):
    daemon.start(before=lambda: setattr(clients, "ROOM", 10_000_000))
    large = asking(b"x" * 6_000_000)
    with daemon.client() as first, daemon.client() as second, daemon.client() as third:
        for channel in (first, second, third):
            channel.sendall(large[:1_000])
            time.sleep(0.05)
        second.settimeout(0.3)
        with pytest.raises(TimeoutError):  # nobody reads it
            second.sendall(large[1_000:])
        second.close()
        first.sendall(large[1_000:])
        assert len(heard(first)[1]) == 6_000_000
        third.sendall(large[1_000:])
        assert len(heard(third)[1]) == 6_000_000
    assert asked(daemon, b"x" * 20_000_000)[1] == b"x" * 20_000_000  # one is always let in


def test_half_a_question_holds_its_room_only_so_long(daemon):
    def before():
        clients.ROOM, clients.OVERDUE, worker.SWEEP = 10_000_000, 0.5, 0.1

    daemon.start(before=before)
    large = asking(b"x" * 6_000_000)
    with daemon.client() as lazy, daemon.client() as next_one:
        lazy.sendall(large[:1_000])
        time.sleep(0.1)
        next_one.sendall(large)
        assert len(heard(next_one)[1]) == 6_000_000
        assert closed(lazy)
    daemon.seen("overdue")


@pytest.mark.parametrize("begun", [b"w", asking()[:-1], link.question(link.EVENT, b"")[:23] + b"\x20"])
def test_half_a_question_that_nobody_ends_is_closed(daemon, begun):
    def before():
        clients.OVERDUE, worker.SWEEP = 0.3, 0.1

    daemon.start(before=before)
    with daemon.client() as idle, daemon.client() as half, daemon.client() as second:
        half.sendall(begun)
        second.sendall(asking() + begun)
        heard(second)
        assert closed(half)
        assert closed(second)
        idle.sendall(asking())
        assert heard(idle)[0] == link.ANSWERED


def test_who_never_reads_its_answer_is_closed(daemon):
    def before():
        clients.OVERDUE, worker.SWEEP = 0.3, 0.1

    daemon.start(before=before)
    with daemon.client() as deaf:
        deaf.sendall(asking(b"large 3000000"))
        daemon.seen("overdue")
        with pytest.raises(EOFError):
            heard(deaf)


def test_idle_connections_end_after_a_while(daemon):
    def before():
        clients.IDLE, worker.SWEEP = 0.3, 0.1

    daemon.start(before=before)
    with daemon.client() as idle:
        idle.sendall(asking())
        heard(idle)
        assert closed(idle)


def test_of_too_many_the_one_that_was_idle_longest_goes(daemon):
    daemon.start(before=lambda: setattr(clients, "MOST", 10))
    channels = []
    for _ in range(10):
        channels.append(daemon.client())
        channels[-1].sendall(asking())
        heard(channels[-1])
    channels[0].sendall(asking())  # active again
    heard(channels[0])
    assert asked(daemon)[0] == link.ANSWERED
    assert closed(channels[1])
    for channel in channels[:1] + channels[2:]:
        channel.sendall(asking())
        assert heard(channel)[0] == link.ANSWERED


def test_strangers_who_have_only_begun_keep_nobody_out(daemon):
    """Any user of this machine can open such connections, and every one that asks by URL would be locked out."""
    daemon.start(before=lambda: setattr(clients, "MOST", 5))
    with daemon.client() as begun:
        begun.sendall(asking()[:-1])
        strangers = [socket.create_connection(daemon.other.getsockname(), PATIENCE) for _ in range(12)]
        for stranger in strangers:
            stranger.sendall(link.MAGIC)
        daemon.seen("accepted", 13)
        for _ in range(6):
            assert asked(daemon)[0] == link.ANSWERED
        begun.sendall(asking()[-1:])
        assert heard(begun)[0] == link.ANSWERED
        assert closed(strangers[0])
        for stranger in strangers:
            stranger.close()


def test_where_all_have_begun_to_ask_another_is_refused(daemon):
    daemon.start(before=lambda: setattr(clients, "MOST", 3))
    channels = [daemon.client() for _ in range(3)]
    for channel in channels:
        channel.sendall(asking()[:-1])
    daemon.seen("accepted", 3)
    time.sleep(0.05)
    with daemon.client() as another:
        assert closed(another)
    for channel in channels:
        channel.sendall(asking()[-1:])
        assert heard(channel)[0] == link.ANSWERED


def test_without_descriptors_a_worker_waits_and_does_not_spin(daemon):
    def before():
        spare = [os.dup(0) for _ in range(8)]  # wherever they are: others may be open above the lowest free one
        for number in spare:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, max(spare) + 1))
        clients.SPARE = -100

    daemon.start(before=before)
    channels = [daemon.client() for _ in range(20)]
    for channel in channels:
        with suppress(BrokenPipeError):  # it was taken for an idle one, and made room for another
            channel.sendall(asking()[:-1])
    time.sleep(0.2)
    before_it = used(daemon.pids[0])
    time.sleep(1)
    assert used(daemon.pids[0]) - before_it < 0.3
    for channel in channels:
        channel.close()
    assert asked(daemon)[0] == link.ANSWERED


def used(pid):
    """Seconds of a processor that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_worker_uses_next_to_nothing(daemon):
    daemon.start()
    for _ in range(100):
        daemon.client()
    asked(daemon)
    time.sleep(0.1)
    before = used(daemon.pids[0])
    time.sleep(1)
    assert used(daemon.pids[0]) - before < 0.1


# how it ends --------------------------------------------------------------------------------------------------------


def test_when_told_to_end_it_answers_who_has_begun_and_leaves(daemon):
    daemon.start()
    with daemon.client() as idle, daemon.client() as half, daemon.client() as busy:
        idle.sendall(asking())
        heard(idle)
        daemon.seen("accepted", 3)
        busy.sendall(asking(b"sleep 0.3"))
        time.sleep(0.1)
        half.sendall(asking(b"last words")[:-3])  # not read yet when it is told
        os.kill(daemon.pids[0], signal.SIGTERM)
        assert heard(busy)[0] == link.ANSWERED
        assert closed(idle)
        half.sendall(asking(b"last words")[-3:])
        assert heard(half)[1] == b"last words"
        assert closed(half)
        assert daemon.ended() == 0
    assert daemon.board.seats[0].pid == 0


def test_when_told_to_end_it_waits_for_nobody_longer_than_it_may(daemon):
    daemon.start(before=lambda: setattr(worker, "FAREWELL", 0.5))
    with daemon.client() as half:
        half.sendall(asking()[:-1])
        daemon.seen("accepted")
        time.sleep(0.1)
        before = used(daemon.pids[0])
        os.kill(daemon.pids[0], signal.SIGTERM)
        time.sleep(0.4)
        assert used(daemon.pids[0]) - before < 0.2  # it sleeps meanwhile
        assert daemon.ended() == 0
        assert closed(half)


def test_a_worker_ends_with_its_master(daemon):
    daemon.board.master = 1  # as if the kernel had given the worker to another
    daemon.start(before=lambda: [setattr(worker, name, 0.1) for name in ("SWEEP", "SLEEP")])
    assert daemon.ended() == 0


def test_signals_to_the_whole_group_are_the_masters_business(daemon):
    daemon.start()
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(daemon.pids[0], number)
    assert asked(daemon)[0] == link.ANSWERED


def test_a_worker_that_dies_leaves_no_answer_and_another_goes_on(daemon):
    daemon.start().start()
    with pytest.raises((EOFError, ConnectionError)):
        asked(daemon, b"die")
    assert asked(daemon)[0] == link.ANSWERED


# with the real guard ------------------------------------------------------------------------------------------------


def test_the_real_guard_decides_and_follows_its_plan(daemon, configured):
    config = configured("deny")
    lock(str(config), repin=False)
    daemon.start(Standing, config)
    assert b'"deny"' in asked(daemon, wire())[1]
    (cell,) = status(daemon)["workers"][0]["cells"]
    assert os.path.exists(f"/proc/{cell}")
    assert status(daemon)["policies"][0]["name"] == "deny"
    configured("pass")
    lock(str(config), repin=False)
    assert asked(daemon, wire()) == (link.ANSWERED, b"{}\n", b"")
    said = status(daemon)
    assert said["reload"]["error"] == ""
    assert said["reload"]["old"] != said["reload"]["new"] == said["digest"]
    assert (said["denied"], said["passed"]) == (1, 1)
    os.kill(daemon.pids[0], signal.SIGTERM)
    assert daemon.ended() == 0
    assert not os.path.exists(f"/proc/{cell}")


def test_a_guard_that_cannot_be_loaded_is_the_masters_business(daemon, tmp_path):
    from wasmguard.errors import ConfigError

    with pytest.raises(ConfigError):
        worker.work([], daemon.board, 0, str(tmp_path / "nowhere.toml"))


def test_who_came_by_a_link_is_sent_elsewhere(daemon):
    daemon.start()
    payload = link.with_context({}, b"x", "/link/to/s")
    assert link.ask(daemon.path, link.EVENT, payload, seconds=PATIENCE) == (link.ELSEWHERE, b"", b"")
