"""The side that decides: whatever a cell does, every event is answered in time, and the next one by a new cell."""

import gc
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import wasmtime

from tests.sandbox.cells import (
    PASS,
    PATIENT,
    REQUEST,
    Embedding,
    children,
    gone,
    left_since,
    lying,
    natively,
    processes,
    running,
    state,
)
from wasmguard.errors import CacheError, CellDied, GuestFault, HostError, NotAtOnce, OutOfFuel, OutOfTime
from wasmguard.limits import DEFAULT, HARD_MAX, MIB, ROOMY
from wasmguard.lock import lock
from wasmguard.sandbox import at_once as pace
from wasmguard.sandbox import process
from wasmguard.sandbox.process import ProcessGuest

BOUND = 2.0  # seconds: the deadline is half of one; what is more is the machine's


@pytest.fixture(scope="module")
def native(assembled):
    """What a cell is told about the guest `tests/guests/<name>.wat`, and its code."""
    made = {}

    def of(name, limits=DEFAULT):
        if name not in made:
            made[name] = natively(assembled(name), limits)
        spec, code = made[name]
        return spec.replaced(limits=limits, answer=limits.answer), lambda: code

    return of


@pytest.fixture
def cells():
    """Makes cells, and ends them."""
    made = []

    def make(*given, **options):
        made.append(processes(*given, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def lies(monkeypatch):
    """From now on cells do what a program says; `lies(None)`: they are honest again."""
    honest = process._spawned

    def lie(program):
        how = honest if program is None else lambda **_: lying(program)
        monkeypatch.setattr(process, "_spawned", how)

    return lie


@pytest.fixture(scope="module")
def embedding(tmp_path_factory, assembled):
    """Programs that embed a guard with a policy that passes, one that denies, and one that loops."""
    folder = tmp_path_factory.mktemp("embedding")
    policies = {"pass": "Write", "deny": "Bash", "loop_evaluate": "Loop"}
    blocks = []
    for name, tool in policies.items():
        (folder / f"{name}.wasm").write_bytes(assembled(name))
        blocks.append(f'[[policy]]\nname = "{name.replace("_", "-")}"\nmodule = "{name}.wasm"\ntools = ["{tool}"]\n')
    blocks[-1] += "limits.fuel = 1_000_000_000\n"  # so that its clock ends it
    (folder / "wasmguard.toml").write_text("".join(blocks))
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.delenv(variable, raising=False)
        patch.setenv("HOME", str(folder / "home"))
        lock(str(folder / "wasmguard.toml"), repin=False)
    return Embedding(folder / "wasmguard.toml", folder / "home")


# --- a hostile cell -------------------------------------------------------------------------------------------------
LIES = {
    "says nothing": "asked(); time.sleep(60)",
    "never reads": "time.sleep(60)",
    "is stopped": "os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
    "is stopped when asked": "asked(); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
    "reads drop by drop": "while True: channel.recv(1); time.sleep(0.05)",
    "answers drop by drop": "for byte in head(asked()) * 10: channel.sendall(bytes([byte])); time.sleep(0.05)",
    "answers drop by drop after its head": (
        "channel.sendall(head(asked(), length=60_000))\nwhile True: channel.sendall(b'x'); time.sleep(0.05)"
    ),
    "answers half a head": "channel.sendall(head(asked())[:20]); time.sleep(60)",
    "answers half an answer": "channel.sendall(head(asked()) + PASS[:5]); time.sleep(60)",
    "closes before it is asked": "channel.close(); time.sleep(60)",
    "closes when asked": "asked(); channel.close(); time.sleep(60)",
    "closes after half a head": "channel.sendall(head(asked())[:20]); channel.close(); time.sleep(60)",
    "closes after half an answer": "channel.sendall(head(asked()) + PASS[:5]); channel.close(); time.sleep(60)",
    "leaves": "asked(); os._exit(0)",
    "leaves with a code": "asked(); os._exit(7)",
    **{
        f"dies of {name}": f"asked(); os.kill(os.getpid(), signal.{name}); time.sleep(60)"
        for name in ("SIGSEGV", "SIGABRT", "SIGKILL", "SIGSYS", "SIGTERM")
    },
    "answers without being asked": "channel.sendall((head(bytes(8)) + PASS) * 3); time.sleep(60)",
    "guesses the number": "channel.sendall(b''.join(head(bytes([n] * 8)) + PASS for n in range(256))); time.sleep(60)",
    "answers twice": "n = asked(); channel.sendall((head(n) + PASS) * 2); time.sleep(60)",
    "answers something else": "asked(); channel.sendall(head(b'another!') + PASS); time.sleep(60)",
    "announces a giant answer": "channel.sendall(head(asked(), length=2**32 - 1) + bytes(1 << 20)); time.sleep(60)",
    "announces a byte too much": "channel.sendall(head(asked(), length=2**16 + 1) + bytes(2**16 + 1)); time.sleep(60)",
    "announces less than it sends": "channel.sendall(head(asked(), length=3) + PASS); time.sleep(60)",
    "announces a giant text": "channel.sendall(head(asked(), kind=5, length=2**31)); time.sleep(60)",
    "burned more than there was": "channel.sendall(head(asked(), fuel=2**63) + PASS); time.sleep(60)",
    "burned one too much": "channel.sendall(head(asked(), fuel=20_000_001) + PASS); time.sleep(60)",
    "did not measure what an answer took": "channel.sendall(head(asked(), fuel=2**64 - 1) + PASS); time.sleep(60)",
    "fails in no known way": "channel.sendall(head(asked(), kind=6) + PASS); time.sleep(60)",
    "fails in the last way": "channel.sendall(head(asked(), kind=255) + PASS); time.sleep(60)",
}


UNASKED = "closes before it is asked", "answers without being asked", "guesses the number"
"""They may be seen before anybody is asked."""


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.replace(" ", "-"))
def test_a_cell_that_lies_ends_and_the_next_event_is_answered_by_another(cells, native, lies, lie):
    before = running()
    mine = cells()
    guest = mine.load(*native("pass"))
    lies(f"ready()\n{LIES[lie]}")
    mine.start()
    (pid,) = mine.pids()
    begun = time.monotonic()
    if lie in UNASKED:
        time.sleep(0.1)  # it is seen before anybody is asked: nobody's fault
        lies(None)
    else:
        with pytest.raises(CellDied, match="its cell "):
            guest.evaluate(REQUEST)
        lies(None)
        assert time.monotonic() - begun < BOUND
    assert guest.evaluate(REQUEST)[0] == PASS
    assert pid not in children()
    assert state(pid) == ""
    mine.close()
    assert left_since(before) == (set(), set())


@pytest.mark.parametrize("size", [300_000, 4_000_000])
@pytest.mark.parametrize("lie", ["never reads", "reads drop by drop", "is stopped", "closes before it is asked"])
def test_a_large_request_gains_a_cell_no_time(cells, native, lies, lie, size):
    guest = cells().load(*native("pass"))
    lies(f"ready()\n{LIES[lie]}")
    begun = time.monotonic()
    with pytest.raises(CellDied):
        guest.evaluate(bytes(size))
    assert time.monotonic() - begun < BOUND


BEFORE_IT_IS_READY = {
    "leaves": "os._exit(3)",
    "dies": "os.kill(os.getpid(), signal.SIGSEGV)",
    "does not read": "time.sleep(60)",
    "says nothing": "loaded(); time.sleep(60)",
    "says no JSON": "loaded(); channel.sendall((9).to_bytes(8, 'big') + b'{\"report\"'); time.sleep(60)",
    "says no UTF-8": "loaded(); channel.sendall((3).to_bytes(8, 'big') + b'\"\\xff\"'); time.sleep(60)",
    "says a list": "loaded(); channel.sendall((2).to_bytes(8, 'big') + b'[]'); time.sleep(60)",
    "says something deep": "loaded(); channel.sendall((10**6).to_bytes(8, 'big') + b'[' * 10**6); time.sleep(60)",
    "says something huge": "loaded(); channel.sendall((2**40).to_bytes(8, 'big') + bytes(1000)); time.sleep(60)",
    "says nothing of its guests": "loaded(); channel.sendall(frames.message({'report': {'a': 1}})); time.sleep(60)",
    "has no report": "loaded(); channel.sendall(frames.message({'guests': ['']})); time.sleep(60)",
    "has an empty report": "loaded(); channel.sendall(frames.ready({}, [''])); time.sleep(60)",
    "has a report that is a list": "loaded(); channel.sendall(frames.ready([1], [''])); time.sleep(60)",
    "has guests that are a text": "loaded(); channel.sendall(frames.ready({'a': 1}, 'x')); time.sleep(60)",
    "has guests that are numbers": "loaded(); channel.sendall(frames.ready({'a': 1}, [0])); time.sleep(60)",
    "has more guests": "loaded(); channel.sendall(frames.ready({'a': 1}, ['', ''])); time.sleep(60)",
    "has fewer guests": "loaded(); channel.sendall(frames.ready({'a': 1}, [])); time.sleep(60)",
    "has an error that is a number": "loaded(); channel.sendall(frames.ready({'error': 7}, [''])); time.sleep(60)",
    "cannot": "loaded(); channel.sendall(frames.ready({'error': 'no \\x1b[31mroom\\n'}, [''])); time.sleep(60)",
    "cannot load a guest": "loaded(); channel.sendall(frames.ready({'a': 1}, ['no \\x1b[31m\\u202eway'])); exactly(1)",
}


@pytest.mark.parametrize("lie", BEFORE_IT_IS_READY, ids=lambda lie: lie.replace(" ", "-"))
def test_a_cell_that_is_never_ready_is_an_error_of_the_host(cells, native, lies, monkeypatch, lie):
    before = running()
    monkeypatch.setattr(process, "READY", 0.5)
    mine = cells()
    guest = mine.load(*native("pass"))
    lies(BEFORE_IT_IS_READY[lie])
    for _ in range(4):  # and never counts as a death of the policy
        with pytest.raises(HostError) as caught:
            guest.evaluate(REQUEST)
        assert str(caught.value).isprintable()
    lies(None)
    monkeypatch.undo()
    mine.close()
    assert left_since(before) == (set(), set())
    again = cells()
    assert again.load(*native("pass")).evaluate(REQUEST)[0] == PASS


def test_an_answer_that_comes_late_is_nobodys_answer(cells, native, lies):
    """The second answer to one request, which arrives when the next one is already on its way."""
    guest = cells().load(*native("pass"))
    lies("ready(); n = asked(); passes(n)\nasked()\npasses(n); time.sleep(60)")
    assert guest.evaluate(REQUEST)[0] == PASS
    with pytest.raises(CellDied, match="broke the protocol"):
        guest.evaluate(REQUEST)


def test_a_cell_that_speaks_between_two_events_is_replaced_before_the_next(cells, native, lies):
    mine = cells()
    guest = mine.load(*native("deny"))
    lies("ready(); n = asked(); passes(n); time.sleep(0.1); passes(n); time.sleep(60)")
    assert guest.evaluate(REQUEST)[0] == PASS
    lies(None)
    time.sleep(0.3)
    assert b"deny" in guest.evaluate(REQUEST)[0]


def test_a_cell_that_died_between_two_events_is_nobodys_fault(cells, native):
    mine = cells()
    guest = mine.load(*native("pass"))
    for _ in range(5):
        assert guest.evaluate(REQUEST)[0] == PASS
        (pid,) = mine.pids()
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)


def test_what_a_cell_says_about_a_failure_is_cleaned_and_only_quoted(cells, native, lies):
    guest = cells().load(*native("pass"))
    lies(
        "ready()\nfor kind in (2, 5):\n"
        " said = b'\\x1b[2J\\xff\\xfe' + '\\u202e\"evil\\n'.encode() + b'x' * 500\n"
        " channel.sendall(head(asked(), kind=kind, first=3, second=3, length=len(said)) + said)\n"
        "time.sleep(60)"
    )
    for _ in range(2):
        with pytest.raises(GuestFault) as caught:
            guest.evaluate(REQUEST)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700


@pytest.mark.parametrize("kind", range(1, 6))
def test_no_number_in_a_failure_breaks_its_sentence(cells, native, lies, kind):
    guest = cells().load(*native("pass"))
    lies(
        f"ready()\nfor n in (0, 1, 4, 5, 255, 2**31, 2**63, 2**64 - 1):\n"
        f" channel.sendall(head(asked(), kind={kind}, first=n, second=n, length=0))\ntime.sleep(60)"
    )
    for _ in range(8):
        with pytest.raises(GuestFault) as caught:
            guest.evaluate(REQUEST)
        assert str(caught.value).isprintable()


# --- asked at once --------------------------------------------------------------------------------------------------
def at_once(guest, request=REQUEST, tries=200):
    """What *guest* says at once; a busy machine may take longer than a loop would wait."""
    for _ in range(tries):
        try:
            return guest.evaluate(request, at_once=True)
        except NotAtOnce:
            time.sleep(0.02)
    raise AssertionError("never at once")


@pytest.fixture
def unpaused(monkeypatch):
    """What did not come at once is tried again soon."""
    monkeypatch.setattr(process, "BUSY", 0.01)
    monkeypatch.setattr(pace, "PAUSE", 0.01)


def test_a_cell_that_is_ready_and_free_answers_at_once(cells, native, unpaused):
    mine = cells()
    guest = mine.load(*native("pass"))
    assert at_once(guest.evaluate(REQUEST) and guest) == guest.evaluate(REQUEST)
    faulty = cells().load(*native("unreachable"))
    with pytest.raises(GuestFault) as later:
        faulty.evaluate(REQUEST)
    with pytest.raises(GuestFault) as now:
        at_once(faulty)
    assert (str(now.value), now.value.fuel) == (str(later.value), later.value.fuel)


def test_who_asks_at_once_starts_no_cell_and_waits_for_none_to_get_ready(cells, native):
    mine = cells()
    guest = mine.load(*native("pass"))
    for begin in (lambda: None, mine.begin):
        begin()
        before, begun = mine.pids(), time.monotonic()
        with pytest.raises(NotAtOnce):
            guest.evaluate(REQUEST, at_once=True)
        assert time.monotonic() - begun < BOUND
        assert mine.pids() == before
    assert guest.evaluate(REQUEST)[0] == PASS


def test_who_asks_at_once_waits_for_no_cell_that_is_at_work(cells, native):
    mine = cells(1)
    busy, guest = mine.load(*native("loop_evaluate", PATIENT.replaced(fuel=10**9))), mine.load(*native("pass"))
    mine.start()

    def ask():
        with suppress(GuestFault):
            busy.evaluate(REQUEST)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        time.sleep(0.1)
        begun = time.monotonic()
        with pytest.raises(NotAtOnce):
            guest.evaluate(REQUEST, at_once=True)
        assert time.monotonic() - begun < 0.2
        assert asking.is_alive()
    finally:
        asking.join()


def test_a_guest_that_a_cell_does_not_have_is_not_asked_at_once(cells, native):
    mine = cells()
    first = mine.load(*native("pass"))
    mine.start()
    later, gone_ = mine.load(*native("deny")), cells()
    spec, _ = native("pass")
    broken = gone_.load(spec, refused)
    gone_.start()
    alive = mine.pids() + gone_.pids()
    for guest in (later, broken):
        with pytest.raises(NotAtOnce):
            guest.evaluate(REQUEST, at_once=True)
    assert mine.pids() + gone_.pids() == alive
    assert not any(gone(pid, 0.1) for pid in alive)
    assert first.evaluate(REQUEST)[0] == PASS


def test_what_needs_more_than_little_keeps_its_cell_and_comes_again_with_everything(cells, native, unpaused):
    mine = cells()
    loops, passes = mine.load(*native("loop_evaluate", PATIENT)), mine.load(*native("pass"))
    mine.start()
    pids = mine.pids()
    for _ in range(3):
        with pytest.raises(NotAtOnce):
            loops.evaluate(REQUEST, at_once=True)
    assert at_once(passes)[0] == PASS
    assert mine.pids() == pids
    with pytest.raises(OutOfFuel) as caught:
        loops.evaluate(REQUEST)
    assert caught.value.fuel == PATIENT.fuel


@pytest.mark.parametrize(("kind", "limits"), [("component_pass", DEFAULT), ("pass", ROOMY)])
def test_components_and_large_memories_are_never_asked_at_once(cells, assembled, kind, limits):
    spec, code = natively(assembled(kind), limits)
    guest = cells(kind=spec.kind, reservation=limits.memory, stack=limits.stack).load(spec, lambda: code)
    guest.evaluate(REQUEST)
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)


AT_ONCE_LIES = {
    "burned more than little": "channel.sendall(head(asked(), fuel=150_001) + PASS); time.sleep(60)",
    "fails in a way after the last": "channel.sendall(head(asked(), kind=7, length=0)); time.sleep(60)",
}


@pytest.mark.parametrize("lie", {**LIES, **AT_ONCE_LIES}, ids=lambda lie: lie.replace(" ", "-"))
def test_a_cell_that_lies_at_once_is_killed_and_the_question_goes_to_another(cells, native, lies, lie):
    """No fault yet, whatever it was: nothing is counted. And nobody waited until the cell was dead."""
    before = running()
    mine = cells()
    guest = mine.load(*native("pass", DEFAULT.replaced(answer=MIB)))
    program = {**LIES, **AT_ONCE_LIES}[lie].replace("kind=6", "kind=66")  # the last of its kinds is one more at once
    lies(f"ready()\n{program}")
    mine.start()
    (pid,) = mine.pids()
    begun = time.monotonic()
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)
    lies(None)
    assert time.monotonic() - begun < BOUND
    assert gone(pid) or lie in UNASKED
    assert guest.evaluate(REQUEST)[0] == PASS
    assert not guest._deaths
    assert state(pid) == ""
    mine.close()
    assert left_since(before) == (set(), set())


def test_after_a_reply_that_did_not_come_nobody_asks_at_once_for_a_while(cells, native, lies, monkeypatch):
    monkeypatch.setattr(process, "BUSY", 60.0)
    mine = cells()
    one, other = mine.load(*native("pass")), mine.load(*native("deny"))
    lies("ready(); asked(); time.sleep(60)")
    mine.start()
    with pytest.raises(NotAtOnce):
        one.evaluate(REQUEST, at_once=True)
    lies(None)
    assert other.evaluate(REQUEST)[0]
    with pytest.raises(NotAtOnce):
        other.evaluate(REQUEST, at_once=True)
    later = time.monotonic() + process.BUSY
    monkeypatch.setattr(process, "monotonic", lambda: later)
    assert at_once(other)[0]


def test_a_cell_that_says_not_at_once_though_it_has_everything_breaks_the_protocol(cells, native, lies):
    guest = cells().load(*native("pass"))
    lies("ready()\nchannel.sendall(head(asked(), kind=6, first=11, length=0)); time.sleep(60)")
    with pytest.raises(CellDied, match="broke the protocol"):
        guest.evaluate(REQUEST)


def test_a_cell_that_always_says_not_at_once_gains_nothing(cells, native, lies):
    guest = cells().load(*native("pass"))
    says = "for first in (10, 11): channel.sendall(head(asked(), kind=6, first=first, length=0))"
    lies(f"ready()\n{says}\npasses(asked())")
    guest._cells.start()
    for _ in range(3):  # the third is not even tried
        with pytest.raises(NotAtOnce):
            guest.evaluate(REQUEST, at_once=True)
    assert guest.evaluate(REQUEST)[0] == PASS


def test_a_broken_policy_is_broken_at_once_too(cells, native, lies):
    one = cells().load(*native("pass"))
    lies(DIES_FOR_ONE)
    for _ in range(process.DEATHS):
        with pytest.raises(CellDied, match="ended with code 1"):
            one.evaluate(b"die")
    with pytest.raises(CellDied, match="it is broken"):
        one.evaluate(b"live", at_once=True)


def test_a_signal_that_raises_while_a_cell_is_asked_at_once_spoils_no_later_answer(embedding):
    said = embedding.run("""
armed = []
def interrupt(*_):
    if armed:
        armed.clear()
        raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
import wasmguard.sandbox.process as process
from wasmguard.errors import NotAtOnce
decide(), decide("Bash")
guests = {b"pass": guard.cells.guest("pass", None, None), b"deny": guard.cells.guest("deny", None, None)}
interrupted = wrong = 0
until = time.monotonic() + 4
while time.monotonic() < until:
    try:
        armed.append(True)
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + time.monotonic() % 0.003)
        for _ in range(10):
            for word, guest in guests.items():
                try:
                    wrong += word not in guest.evaluate(b"x", at_once=True)[0]
                except NotAtOnce:
                    wrong += word not in guest.evaluate(b"x")[0]
        armed.clear()
    except KeyboardInterrupt:
        interrupted += 1
gc.collect()
print(interrupted > 20, wrong, len(guard.cells.pids()) <= 2, len(children()) <= 3)
""")
    assert said == ["True", "0", "True", "True"]


# --- deaths ---------------------------------------------------------------------------------------------------------
DIES_FOR_ONE = """
guests = loaded()
channel.sendall(frames.ready({"isolation": "full"}, [""] * guests))
while True:
    guest, size, number = frames.asked(exactly(frames.HEAD))
    what = exactly(size)
    if guest == 0 and what == b"die":
        os._exit(1)
    passes(number)
"""


def test_three_deaths_in_a_row_break_a_policy_and_no_other(cells, native, lies):
    mine = cells()
    one, other = mine.load(*native("pass")), mine.load(*native("deny"))
    lies(DIES_FOR_ONE)
    for _ in range(process.DEATHS):
        with pytest.raises(CellDied, match="ended with code 1"):
            one.evaluate(b"die")
        assert other.evaluate(b"live")[0] == PASS  # which does not make up for it
    with pytest.raises(CellDied, match="3 times in a row: it is broken: fix or replace it"):
        one.evaluate(b"live")
    assert other.evaluate(b"live")[0] == PASS


def test_a_broken_policy_is_asked_again_after_a_while(cells, native, lies, monkeypatch):
    monkeypatch.setattr(process, "HEALS", 0.2)
    one = cells().load(*native("pass"))
    lies(DIES_FOR_ONE)
    for _ in range(2):
        with pytest.raises(CellDied, match="ended with code 1"):
            one.evaluate(b"die")
    for _ in range(2):
        with pytest.raises(CellDied, match="ended with code 1"):
            one.evaluate(b"die")
        with pytest.raises(CellDied, match="it is broken"):
            one.evaluate(b"live")
        time.sleep(0.25)
    assert one.evaluate(b"live")[0] == PASS


def test_an_answer_makes_up_for_deaths(cells, native, lies):
    one = cells().load(*native("pass"))
    lies(DIES_FOR_ONE)
    for _ in range(4):
        for _ in range(process.DEATHS - 1):
            with pytest.raises(CellDied, match="ended with code 1"):
                one.evaluate(b"die")
        assert one.evaluate(b"live")[0] == PASS


@pytest.mark.parametrize(("clock", "seconds"), [(50, 0.5), (100, 0.5), (500, 2.5), (1_000, 5.0), (HARD_MAX.clock, 5.0)])
def test_the_deadline_follows_the_clock_between_half_a_second_and_five(native, clock, seconds):
    spec, _ = native("pass", DEFAULT.replaced(clock=clock))
    assert ProcessGuest(None, 0, spec).deadline == seconds


# --- guests that cannot be loaded -----------------------------------------------------------------------------------
def refused():
    raise CacheError("its code is gone: run `wasmguard lock`")


def test_a_guest_that_cannot_be_loaded_costs_no_other_its_cell(cells, native):
    mine = cells()
    (spec, _), good = native("pass"), mine.load(*native("deny"))
    gone_ = mine.load(spec, refused)
    foreign = mine.load(spec, lambda: (b"\x7fELF no code of ours",))
    wasi = mine.load(spec.replaced(wasi=("fd_write",)), refused)
    assert good.evaluate(REQUEST)
    before = mine.pids()
    for _ in range(3):
        for broken, why in ((gone_, "its code is gone"), (foreign, "another engine"), (wasi, "its code is gone")):
            with pytest.raises(HostError, match=why):
                broken.evaluate(REQUEST)
        assert good.evaluate(REQUEST)
    assert mine.pids() == before


def test_a_guest_whose_code_comes_back_is_asked_again(cells, native):
    mine = cells()
    spec, code = native("pass")
    there = []
    guest = mine.load(spec, lambda: code() if there else refused())
    with pytest.raises(HostError):
        guest.evaluate(REQUEST)
    there.append(True)
    assert guest.evaluate(REQUEST)[0] == PASS


def test_a_guest_that_comes_later_is_loaded_by_a_new_cell(cells, native):
    mine = cells()
    first = mine.load(*native("pass"))
    assert first.evaluate(REQUEST)[0] == PASS
    second = mine.load(*native("deny"))
    assert b"deny" in second.evaluate(REQUEST)[0]
    assert first.evaluate(REQUEST)[0] == PASS


def test_sixty_policies_live_in_one_cell(cells, native):
    mine = cells()
    guests = [mine.load(*native(name)) for name in ("pass", "deny", "ask") for _ in range(20)]
    said = [guest.evaluate(REQUEST)[0] for guest in guests]
    assert [b"pass" in s for s in said] == [True] * 20 + [False] * 40
    assert len(mine.pids()) == 1


# --- what can happen to the process that decides --------------------------------------------------------------------
def killing(cells, *when):
    """Kills the cell that there is, so many seconds from now each."""
    timers = [threading.Timer(seconds, lambda: os.kill(cells.pids()[0], signal.SIGKILL)) for seconds in when]
    for timer in timers:
        timer.start()
    return timers


def test_a_cell_that_is_killed_while_it_is_asked_is_nobodys_fault_and_the_question_goes_to_another(cells, native):
    mine = cells()
    loops = mine.load(*native("loop_evaluate", DEFAULT.replaced(fuel=10**15, clock=1_000)))
    mine.start()
    first, (timer,) = mine.pids(), killing(mine, 0.2)
    with pytest.raises(OutOfTime):  # what it always comes to
        loops.evaluate(REQUEST)
    timer.join()
    assert mine.pids() != first
    assert not loops._deaths


def test_a_question_whose_cells_are_killed_again_and_again_is_a_fault_and_the_next_is_answered(
    cells, native, monkeypatch
):
    monkeypatch.setattr(process, "AGAIN", 1)
    mine = cells()
    spec, code = native("loop_evaluate", DEFAULT.replaced(fuel=10**15, clock=4_000))
    loops, passes = mine.load(spec, code), mine.load(*native("pass"))
    mine.start()
    timers = killing(mine, 0.2, 3)
    with pytest.raises(CellDied, match="died by signal 9"):
        loops.evaluate(REQUEST)
    for timer in timers:
        timer.join()
    assert passes.evaluate(REQUEST)[0] == PASS


@pytest.fixture
def killed_at_birth(monkeypatch):
    """All cells that were started; of those, so many as it is called with are killed at once."""
    born, honest = [], process._spawned

    def kill(number):
        def spawned(**how):
            born.append(honest(**how))
            if len(born) <= number:
                os.kill(born[-1].pid, signal.SIGKILL)
            return born[-1]

        monkeypatch.setattr(process, "_spawned", spawned)
        return born

    return kill


@pytest.mark.parametrize("first", [lambda cells, _: cells.start(), lambda _, guest: guest.evaluate(REQUEST)])
def test_cells_that_are_killed_before_they_are_ready_are_replaced(cells, native, killed_at_birth, first):
    born = killed_at_birth(process.AGAIN)
    mine = cells()
    guest = mine.load(*native("pass"))
    first(mine, guest)
    assert len(born) == process.AGAIN + 1
    assert guest.evaluate(REQUEST)[0] == PASS


def test_if_every_cell_is_killed_there_is_an_end(cells, native, killed_at_birth):
    born = killed_at_birth(99)
    guest = cells().load(*native("pass"))
    with pytest.raises(HostError, match="died by signal 9 before it was ready"):
        guest.evaluate(REQUEST)
    assert len(born) == process.AGAIN + 1


def test_cells_that_are_dropped_end_at_once(cells, native):
    mine = processes()
    guest = mine.load(*native("pass"))
    guest.evaluate(REQUEST)
    (pid,) = mine.pids()
    gc.disable()
    try:
        del mine, guest
        assert state(pid) == ""
    finally:
        gc.enable()


def test_closed_cells_ask_nobody_and_start_nothing(cells, native):
    mine = cells()
    guest = mine.load(*native("pass"))
    guest.evaluate(REQUEST)
    mine.close()
    mine.close()
    with pytest.raises(HostError, match="closed"):
        guest.evaluate(REQUEST)
    assert mine.pids() == []


def test_closing_waits_for_nobody_and_leaves_nothing_behind(cells, native):
    mine = cells()
    guest = mine.load(*native("loop_evaluate", PATIENT))
    mine.start()
    ended = []

    def ask():
        try:
            guest.evaluate(REQUEST)
        except (GuestFault, HostError) as error:
            ended.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    mine.close()
    asking.join()
    assert ended[0] in (OutOfFuel, HostError)
    assert mine.pids() == []


def test_more_callers_than_cells_all_get_their_own_answers(cells, native, unpaused):
    """Eight threads, two cells, and a ninth thread that kills cells all the while."""
    mine = cells(2)
    guests = {b"pass": mine.load(*native("pass")), b"deny": mine.load(*native("deny"))}
    wrong, died, over = [], [], threading.Event()

    def ask(word, guest):
        for turn in range(200):
            try:
                with suppress(NotAtOnce):
                    if word not in guest.evaluate(REQUEST, at_once=turn % 2 == 0)[0]:
                        wrong.append(word)
            except (CellDied, HostError):  # the latter if it was not ready yet
                died.append(word)
                guest._deaths = 0

    def kill():
        while not over.wait(0.05):
            for pid in mine.pids()[:1]:
                os.kill(pid, signal.SIGKILL)

    threads = [threading.Thread(target=ask, args=pair) for _ in range(4) for pair in guests.items()]
    killer = threading.Thread(target=kill)
    for thread in (*threads, killer):
        thread.start()
    for thread in threads:
        thread.join(60)
    over.set()
    killer.join()
    time.sleep(0.1)  # the last one that was killed is dead
    assert not wrong
    assert len(died) < 800
    assert len(mine.pids()) <= 2
    assert all(guest.evaluate(REQUEST) for guest in guests.values())


TAKES_ALL = """
(module (memory (export "memory") 1)
  (data (i32.const 16) "\\81\\a6effect\\a4pass")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32)
    (drop (memory.grow (i32.shr_u (i32.add (local.get 0) (i32.const 65536)) (i32.const 16)))) (i32.const 65536))
  (func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0x10_0000000d)))
"""


@pytest.mark.parametrize(("event", "memory"), [(64 * MIB, 256 * MIB), (16 * MIB, 32 * MIB), (4 * MIB, 16 * MIB)])
def test_the_largest_event_that_an_owner_may_allow_is_answered(cells, event, memory):
    limits = DEFAULT.replaced(memory=memory, event=event, clock=2_000)
    spec, code = natively(bytes(wasmtime.wat2wasm(TAKES_ALL)), limits)
    mine = cells(2, event=event, reservation=memory)
    guest = mine.load(spec, lambda: code)
    for _ in range(3):
        assert guest.evaluate(bytes(event))[0] == PASS
        assert guest.evaluate(REQUEST)[0] == PASS


def test_the_portable_implementation_lives_in_processes_too(cells, native):
    mine = cells(portable=True)
    assert mine.load(*native("pass")).evaluate(REQUEST)[0] == PASS
    with pytest.raises(OutOfFuel):
        mine.load(*native("loop_evaluate", PATIENT)).evaluate(REQUEST)


# --- programs that embed a guard ------------------------------------------------------------------------------------
def test_an_exception_out_of_a_signal_spoils_no_later_answer(embedding):
    said = embedding.run("""
armed = []
def interrupt(*_):
    if armed:
        armed.clear()
        raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
decide(), decide("Bash")
interrupted = 0
until = time.monotonic() + 4
while time.monotonic() < until:
    try:
        armed.append(True)
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + time.monotonic() % 0.003)
        for _ in range(10):
            decision = decide()
            assert decision.effect is Effect.PASS, decision.reason
            decision = decide("Bash")
            assert decision.effect is Effect.DENY
            assert decision.reason.startswith('policy "deny"'), decision.reason
        armed.clear()
    except KeyboardInterrupt:
        interrupted += 1
decision = decide()
assert decision.effect is Effect.PASS, decision.reason
gc.collect()
print(interrupted > 20, len(guard.cells.pids()) <= 2, len(children()) <= 3)
""")
    assert said == ["True", "True", "True"]


def test_a_decision_inside_a_decision_waits_for_nobody(embedding):
    """In a signal handler, while every cell is at work, and in a handler inside that one."""
    said = embedding.run("""
import wasmguard.sandbox.turns as turns
depth, said = [], []
def inside(*_):
    depth.append(1)
    if len(depth) < 6:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        said.append(decide("Loop").effect)
        said.append(decide("Bash").effect)
signal.signal(signal.SIGALRM, inside)
busy = [threading.Thread(target=decide, args=("Loop",)) for _ in range(6)]
for thread in busy:
    thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.02)
said.append(decide("Loop").effect)
for thread in busy:
    thread.join()
print(set(said) == {Effect.DENY}, len(said) > 4, len(guard.cells.pids()) <= max(2, os.cpu_count()))
""")
    assert said == ["True", "True", "True"]


def test_signals_that_keep_coming_give_a_cell_no_time(embedding):
    said = embedding.run("""
decide()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
os.kill(guard.cells.pids()[0], signal.SIGSTOP)
begun = time.monotonic()
decision = guard.decide(EVENT)
print(time.monotonic() - begun < 2, decision.effect is Effect.DENY, "no_answer" in decision.reason.replace(" ", "_"))
print(decide().effect is Effect.PASS)
signal.setitimer(signal.ITIMER_REAL, 0)
""")
    assert said == ["True"] * 4


def test_a_broken_pipe_does_not_end_who_made_it_deadly(embedding):
    said = embedding.run("""
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
decide()
from wasmguard.sandbox.child import Child
Child.usable = property(lambda self: True)  # so that it is written to
for pid in guard.cells.pids():
    os.kill(pid, signal.SIGABRT)
    gone(pid)
print(guard.decide(EVENT).effect is Effect.DENY)
print(decide().effect is Effect.PASS)
""")
    assert said == ["True", "True"]


def test_both_sides_of_a_fork_decide(embedding):
    """While other threads decide: what they held means nothing in the child."""
    said = embedding.run("""
import warnings
warnings.simplefilter("ignore")
decide()
over = []
def busy():
    while not over:
        decide(), decide("Loop")
threads = [threading.Thread(target=busy) for _ in range(4)]
for thread in threads:
    thread.start()
codes = []
def fork():
    for _ in range(4):
        time.sleep(0.03)
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            ours = [decide().effect, decide("Bash").effect, decide("Loop").effect]
            os._exit(0 if ours == [Effect.PASS, Effect.DENY, Effect.DENY] else 1)
        codes.append(os.waitpid(pid, 0)[1])
fork()
forking = threading.Thread(target=fork)
forking.start()
forking.join()
over.append(True)
for thread in threads:
    thread.join()
print(codes == [0] * 8, decide().effect is Effect.PASS)
""")
    assert said == ["True", "True"]


def test_a_program_that_waits_for_all_children_or_for_none_is_served(embedding):
    said = embedding.run("""
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
for how in (reap, signal.SIG_IGN):
    signal.signal(signal.SIGCHLD, how)
    for _ in range(3):
        print(decide().effect is Effect.PASS)
        (pid,) = guard.cells.pids()
        os.kill(pid, signal.SIGSTOP)
        print(guard.decide(EVENT).effect is Effect.DENY, gone(pid))
        print(decide().effect is Effect.PASS)
        (pid,) = guard.cells.pids()
        os.kill(pid, signal.SIGKILL)
        print(gone(pid))
    guard.close()
    guard = Guard.load(sys.argv[1])
reap()
print(children() == set())
""")
    assert set(said) == {"True"}


def test_cells_outlive_the_thread_that_started_them(embedding):
    said = embedding.run("""
pids = set()
def once():
    assert decide().effect is Effect.PASS
    pids.update(guard.cells.pids())
for _ in range(5):
    thread = threading.Thread(target=once)
    thread.start()
    thread.join()
time.sleep(0.1)
print(len(pids), decide().effect is Effect.PASS)
""")
    assert said == ["1", "True"]


def test_an_event_loop_goes_on(embedding):
    said = embedding.run("""
import asyncio
async def main():
    tools = ["Write", "Bash"] * 20
    made = await asyncio.gather(*(guard.adecide({**EVENT, "tool_name": tool}) for tool in tools))
    print([d.effect for d in made] == [Effect.PASS, Effect.DENY] * 20)
asyncio.run(main())
""")
    assert said == ["True"]


def test_the_interpreter_ends_with_live_cells_and_leaves_none(embedding):
    said = embedding.run("""
decide()
print(*guard.cells.pids())
started = threading.Thread(target=decide, args=("Loop",), daemon=True)
started.start()
time.sleep(0.05)
print(*guard.cells.pids())
""")
    assert all(gone(int(pid)) for pid in said)


@pytest.mark.parametrize("starts", ["decide()", "t = threading.Thread(target=decide); t.start(); t.join()"])
def test_cells_vanish_with_a_parent_that_is_killed(embedding, starts):
    said = embedding.run(f"""
child = os.fork()
if child == 0:
    guard = Guard.load(sys.argv[1])
    {starts}
    print(*guard.cells.pids(), flush=True)
    threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    decide("Loop")
    os._exit(1)
print(os.waitpid(child, 0)[1])
""")
    assert said[-1] == str(int(signal.SIGKILL))
    assert len(said) == 2
    assert gone(int(said[0]))


def test_closed_standard_descriptors_are_no_ones_channel(embedding):
    said = embedding.run("""
out = os.dup(1)
guard.close()
for number in (0, 1, 2):
    os.close(number)
guard = Guard.load(sys.argv[1])
made = [decide().effect, decide("Bash").effect]
os.write(out, str(made == [Effect.PASS, Effect.DENY]).encode())
os._exit(0)
""")
    assert said == ["True"]


def test_a_program_without_descriptors_left_denies_and_recovers(embedding):
    said = embedding.run("""
import resource
guard.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
guard = Guard.load(sys.argv[1])
taken = []
try:
    while True:
        taken.append(open(os.devnull))
except OSError:
    pass
decision = guard.decide(EVENT)
print(decision.effect is Effect.DENY)
taken.clear()
print(decide().effect is Effect.PASS)
""")
    assert said == ["True", "True"]


def test_a_hundred_guards_one_after_the_other_leave_nothing(embedding):
    said = embedding.run("""
guard.close()
before = descriptors()
for number in range(100):
    guard = Guard.load(sys.argv[1])
    if number % 10 == 0:
        decide()
    if number % 20:
        guard.close()
del guard
print(children() == set(), descriptors() == before)
""")
    assert said == ["True", "True"]


def test_a_cell_at_rest_takes_no_processor_time(embedding):
    said = embedding.run("""
def ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
decide(), decide("Loop")
pids = [os.getpid(), *guard.cells.pids()]
time.sleep(1.3)  # its clock goes on for a while
before = [ticks(pid) for pid in pids]
time.sleep(1.5)
print(*(ticks(pid) - was for pid, was in zip(pids, before)))
""")
    assert max(int(ticks) for ticks in said) <= 15  # of 150; ticks of 10 ms


def test_a_guard_that_is_closed_while_threads_decide_leaves_nothing(embedding):
    said = embedding.run("""
for _ in range(5):
    guard = Guard.load(sys.argv[1])
    mine, made = guard, []
    def work():
        while not mine.closed:
            made.append(mine.decide(EVENT).effect)
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    mine.close()
    for thread in threads:
        thread.join()
    print(mine.cells.pids() == [], set(made) <= {Effect.PASS, Effect.DENY})
time.sleep(0.05)
print(children() == set())
""")
    assert set(said) == {"True"}


def test_deaths_at_the_same_time_are_one(cells, native, lies):
    """A machine that stood still for half a second ends the cells of all callers: that breaks no policy."""
    mine = cells(size=4)
    guest = mine.load(*native("pass"))
    lies("ready()\nasked(); time.sleep(60)")
    begin = threading.Barrier(4)

    def ask(_):
        begin.wait(20)
        with pytest.raises(CellDied):
            guest.evaluate(REQUEST)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    lies(None)
    assert guest.evaluate(REQUEST)[0] == PASS
    mine.close()


def test_an_answer_that_comes_just_after_its_deadline_counts(cells, native, lies):
    """The time may have been taken from both sides."""
    mine = cells()
    guest = mine.load(*native("pass"))
    late = process.SHORTEST + 0.02
    lies(f"ready()\nn = asked(); time.sleep({late}); channel.sendall(head(n) + PASS); time.sleep(60)")
    mine.start()
    assert guest.evaluate(REQUEST)[0] == PASS
    mine.close()
