"""The hook broken at every named point (`points`), in four ways and some more: the answer is a deny.

Every answer is read as Claude Code reads it (`tests.agents.claude_rules`). Without a fault the call would go on,
rewritten, so whatever fails open is seen. After each fault nobody may be left, what is in the home must be whole, and
the next hook in the same home decides as if nothing had been.

What no hook can answer, because nobody is left to answer: SIGKILL of the wall, and a hang of the wall before it has set
its alarm. There the client's `onFailure: "block"` is all there is (`tests/e2e/test_faults.py`).

Each case is a test of its own, but four of them run at the same time, ahead of the test that looks at what came of it.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.agents.claude_rules import validate
from tests.faults import points, watch
from tests.faults.inject import SIGNALS, Mark, program
from tests.faults.points import Point, named
from tests.serve.host import HOOK, ROOT, SECRET, SERVE, Answer, Host, wire
from wasmguard.errors import CacheError
from wasmguard.event import STOPPING
from wasmguard.limits import HARD_MAX
from wasmguard.sandbox import process
from wasmguard.sandbox.cache import KEY, Vault
from wasmguard.serve import hook

FOUR = ("exception", "SIGKILL", "hang", "ENOSPC")
HANGS = ("hang", "deaf", "SIGSTOP")
MOVED = {"file_path": "/sandbox/moved", "content": "x"}
OBSERVED = "PostToolUse"
AT_ONCE = 4  # hooks
DEADLINES = (0.5, 4, 16)  # seconds of a hook that hangs; one that was too busy to reach its point is tried again
LOCKING_DEADLINES = (1, 4, 16)
TOLERANCE = 1.5  # seconds after the deadline
PATIENCE = 25  # seconds until a hook that gives no answer is ended
PROGRAM = (sys.executable, "-I", "-c")
COMPLETE = re.compile(r"key|[0-9a-f]{32}\.plan|[0-9a-f]{40}\.code|[0-9a-f]{64}\.wasm")

MOVES = """
[[policy]]
name = "moves"
module = "rewrite_constant.wasm"
tools = ["Moved"]
grants.rewrite."Moved.file_path" = { within = "/sandbox" }
"""
CONFIG = f"""{MOVES}
[[policy]]
name = "refuses"
module = "deny.wasm"
tools = ["Refused"]

[[policy]]
name = "lenient"
module = "pass.wasm"
tools = ["Lenient"]
on_fault = "ask"

[[policy]]
name = "watches"
module = "pass.wasm"
events = ["PermissionRequest", "UserPromptSubmit", {", ".join(f'"{name}"' for name in sorted(STOPPING))}, "PostToolUse"]
"""


class Case(NamedTuple):
    """One hook, and the fault that it meets."""

    point: Point
    kind: str
    event: str = "PreToolUse"
    tool: str = "Moved"
    values: tuple = ()
    """Further attributes to set: module, name and value of each."""
    patience: float = PATIENCE

    @property
    def raw(self):
        about = {"tool_name": self.tool} if self.event in ("PreToolUse", "PermissionRequest") else {}
        return wire(self.event, **about)

    @property
    def locks(self):
        return self.point in points.LOCKING

    @property
    def hangs(self):
        return self.kind in HANGS

    def fault(self, mark, deadline):
        """The arguments of `inject.arm`; hooks that hang have a *deadline* of that many seconds."""
        values = {"wasmguard.serve.hook": {"DEADLINE": deadline, "REFUSAL": 1} if self.hangs else {}}
        for module, name, value in self.values:
            values.setdefault(module, {})[name] = value
        about = {"mark": str(mark), "kind": self.kind, "values": values, "outside": self.kind in SIGNALS}
        return {**self.point._asdict(), **about}

    def __str__(self):
        more = [self.event] * (self.event != "PreToolUse") + [self.tool] * (self.tool != "Moved")
        return "-".join([self.point.place, self.point.name, self.kind, *more])


class Result(NamedTuple):
    """What came of a case."""

    answer: Answer
    seconds: float
    deadline: float
    left: list
    """The processes that had to be ended."""
    struck: bool
    before: dict
    after: dict
    """The files in the home: what each is, and when it was written."""
    next: Answer | None
    """What the next hook in the same home says, with what is in that home then. None if it was not asked."""
    later: dict


class Bench:
    """A host, and the faults that are tried on it."""

    def __init__(self, folder, guests):
        self.folder, self.host = folder, Host(folder, CONFIG, **guests)
        self.unlocked = self.host.configured("unlocked", MOVES, **guests)
        self._pool, self._results = ThreadPoolExecutor(AT_ONCE), {}

    def begin(self, cases):
        """Start with *cases*; what comes of each is asked later."""
        for number, case in enumerate(cases):
            self._results[case] = self._pool.submit(self._tried, case, f"case-{number}")

    def __getitem__(self, case):
        return self._results[case].result()

    def close(self):
        self._pool.shutdown(cancel_futures=True)

    def _tried(self, case, name):
        for deadline in LOCKING_DEADLINES if case.locks else DEADLINES:
            result = self._struck(case, deadline, f"{name}-{deadline}")
            if result.struck:
                break
        return result

    def _struck(self, case, deadline, name):
        config, home = self.host.config, self.host.home
        if case.locks:
            config, home = self.unlocked, self.folder / name
            home.mkdir()
        file, before = self.folder / f"{name}.mark", contents(home)
        mark, text = Mark(file), program(case.fault(file, deadline))
        struck = [str(case.patience), str(file), str(int(SIGNALS.get(case.kind, 0)))]
        answer, ended, left = self._hook(case.raw, config, home, [*struck, *PROGRAM, text])
        after, following = contents(home), None
        if after != before or case.kind == "SIGKILL":  # where nothing changed, one of four kinds will do
            following = self._next(config, home)
        seconds, later = (ended - mark.begun) / 1e9, contents(home)
        return Result(answer, seconds, deadline, left, bool(mark.process), before, after, following, later)

    def _next(self, config, home):
        """What a hook says that nobody breaks; a busy machine may break the time limit of a policy, but not always."""
        for _ in range(3):
            answer, _, _ = self._hook(wire(tool_name="Moved"), config, home, [str(PATIENCE), "", "0", *PROGRAM, SERVE])
            if moved(answer):
                break
        return answer

    def _hook(self, raw, config, home, how):
        """The answer to *raw*, when the hook ended, and whom it left behind; *how* is for `watch`."""
        report = self.folder / f"{threading.get_ident()}.json"
        done = subprocess.run(
            [sys.executable, "-I", "-S", watch.__file__, str(report), *how, "serve", "--config", str(config)],
            input=raw,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": SECRET},
            cwd=self.folder,
            capture_output=True,
            check=True,
        )
        said = json.loads(report.read_text(encoding="utf-8"))
        return Answer(said["code"], done.stdout, done.stderr), said["ended"], said["left"]


def contents(home):
    """Every file in *home*: whether it is `whole`, `damaged` or `temporary`, and when it was written."""
    state = home / ".local/state/wasmguard"
    vaults = {home / ".cache/wasmguard/vault": ".code", state / "plans": ".plan", state / "kept": ".plan"}

    def state_of(path):
        if not COMPLETE.fullmatch(path.name):
            return "temporary" if path.name.startswith(".") else "unknown"
        if path == state / "key":
            return "whole" if path.stat().st_size == KEY else "damaged"
        if path.suffix == ".wasm":
            return "whole" if sha256(path.read_bytes()).hexdigest() == path.stem else "damaged"
        try:
            assert path.suffix == vaults[path.parent]
            Vault(str(path.parent), str(state)).read(path.name)
        except CacheError:
            return "damaged"
        return "whole"

    records = state / "records"  # each hook adds to them
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.parent != records]
    return {str(path.relative_to(home)): (state_of(path), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def bench(request, tmp_path_factory, assembled):
    made = Bench(
        tmp_path_factory.mktemp("bench"), {name: assembled(name) for name in ("pass", "deny", "rewrite_constant")}
    )
    mine = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    made.begin(dict.fromkeys(item.callspec.params["case"] for item in mine if "case" in item.callspec.params))
    yield made
    made.close()


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in cases])


def met(bench, case):
    """What came of *case*, after what must hold whatever the answer is."""
    result = bench[case]
    assert result.struck, result
    assert result.left == [], result
    if case.hangs and case.patience == PATIENCE:
        assert result.seconds < result.deadline + TOLERANCE, result
    if not case.locks:
        assert result.after == result.before, result
    states = {state for state, _ in result.after.values()}
    assert states <= ({"whole", "temporary"} if case.hangs or case.kind == "SIGKILL" else {"whole"}), result
    assert {state for state, _ in result.later.values()} <= {"whole"}, result  # also what nobody could clear away
    assert result.next is None or moved(result.next), result
    return result.answer


def moved(answer):
    return answer.code == 0 and validate("PreToolUse", answer.out).input == MOVED


def blocked(answer, name="PreToolUse"):
    """Whether the client blocks, and can say why."""
    if answer.code == 2:
        return bool(answer.err.strip())
    return answer.code == 0 and validate(name, answer.out).does == "blocked" and answer.out.count(b"\n") == 1


# A call that would have gone on.


@each(
    Case(point, kind)
    for point in (*points.BEFORE_THE_ALARM, *points.WALL, *points.BEHIND_THE_WALL)
    for kind in FOUR
    if not (kind == "SIGKILL" and point.place in ("wall", "cell"))
    and not (kind == "hang" and point in points.BEFORE_THE_ALARM)
)
def test_the_answer_to_a_fault_is_a_deny(bench, case):
    assert blocked(met(bench, case)), bench[case]


def test_enough_points_are_tried_in_all_four_ways():
    """Security bar: at 20 named points and more."""
    assert len({point.name for point in points.BEHIND_THE_WALL}) >= 80
    assert len(set(points.WALL + points.BEHIND_THE_WALL)) == len(points.WALL + points.BEHIND_THE_WALL)


STRANGE = named("the reply was read", "read the plan", "decode", "render", "let go of descriptors", "jail", "evaluate")


@each(
    Case(point, kind)
    for point in STRANGE
    for kind in ("no memory", "exit", "interrupt", "SIGSEGV", "SIGSTOP", "deaf", "gone")
    if point.place != "wall" or kind in ("no memory", "exit", "interrupt")
)
def test_the_answer_to_a_strange_fault_is_a_deny(bench, case):
    assert blocked(met(bench, case)), bench[case]


@each(Case(point, kind) for point in points.AFTERWARDS for kind in ("exception", "hang", "ENOSPC"))
def test_a_fault_after_the_answer_changes_nothing(bench, case):
    assert moved(met(bench, case)), bench[case]


@each(Case(point, kind) for point in points.RECORDING for kind in FOUR if kind == "exception" or point.when == "before")
def test_what_cannot_be_recorded_is_answered_as_decided_by_whoever_is_still_there(bench, case):
    answer = met(bench, case)
    assert moved(answer) if case.kind in ("exception", "ENOSPC") else blocked(answer), answer


@each(
    Case(point, kind)
    for point in points.LEAVING
    for kind in FOUR
    if not (kind == "hang" and point.name == "the reply was sent")
)
def test_a_fault_after_the_reply_changes_nothing(bench, case):
    assert moved(met(bench, case)), bench[case]


@each([Case(point, "hang") for point in named("the reply was sent")])
def test_a_reply_counts_when_its_end_is_seen(bench, case):
    assert blocked(met(bench, case)), bench[case]


@each(Case(point, "SIGKILL") for point in points.OPEN_CELL + points.JAILED_CELL)
def test_a_cell_that_somebody_killed_is_replaced(bench, case):
    """A verdict is a pure function: nobody need be denied for that (`wasmguard.sandbox.process`, rule 3)."""
    assert moved(met(bench, case)), bench[case]


# A call that would have been denied, or whose policy may be lenient.


@each(
    Case(point, kind, tool="Refused")
    for point in named("read the plan", "the cell is ready", "gate", "send the reply", "evaluate")
    for kind in FOUR
)
def test_a_deny_stays_a_deny(bench, case):
    assert blocked(met(bench, case)), bench[case]


@each(
    Case(point, kind, tool="Lenient")
    for point in named("instantiate", "evaluate")
    for kind in FOUR
    if kind != "SIGKILL"
)
def test_where_its_owner_said_so_a_fault_of_the_cell_asks(bench, case):
    """The only loosening there is. A hang leaves no time to ask here, and denies."""
    answer = met(bench, case)
    assert validate("PreToolUse", answer.out).does in ("asks", "blocked"), answer


# Other events.

ELSEWHERE = named("read the cache", "decode", "render", "evaluate")


def elsewhere(*events):
    return [
        Case(point, kind, event, "Passed")
        for event in events
        for point in ELSEWHERE
        for kind in FOUR
        if not (kind == "SIGKILL" and point.place == "cell")
    ]


@each(elsewhere("PermissionRequest", "UserPromptSubmit"))
def test_every_gate_is_closed_by_a_fault(bench, case):
    assert blocked(met(bench, case), case.event), bench[case]


@each(elsewhere(*sorted(STOPPING)))
def test_no_fault_keeps_an_agent_running(bench, case):
    answer = met(bench, case)
    assert (answer.code, answer.out) == (0, b"{}\n"), answer


@each(elsewhere(OBSERVED))
def test_where_nothing_can_be_stopped_a_fault_says_nothing_wrong(bench, case):
    answer = met(bench, case)
    assert (answer.code, validate(OBSERVED, answer.out).does) == (0, "no opinion"), answer


# What the hook cannot answer.


@each(Case(point, "SIGKILL") for point in points.BEFORE_THE_ALARM + points.WALL + points.AFTERWARDS)
def test_a_wall_that_was_killed_has_failed_and_leaves_nobody_behind(bench, case):
    """`onFailure: "block"` is for this. What it had said by then is what was decided."""
    answer = met(bench, case)
    assert answer.code == -9, answer
    assert bench[case].next.out.startswith(answer.out), answer


@each(Case(point, "hang", patience=3) for point in points.BEFORE_THE_ALARM)
def test_a_wall_that_hangs_before_its_alarm_is_left_to_the_client(bench, case):
    answer = met(bench, case)
    assert (answer.code, answer.out) == (None, b""), answer


# Deadlines.


@each(
    Case(point, "hang", values=(("wasmguard.sandbox.process", "READY", 0.5), ("wasmguard.serve.hook", "DEADLINE", 20)))
    for point in named("import the cell's side", "load the code", "jail", "jailed", "instantiate", "evaluated")
)
def test_a_cell_that_hangs_is_given_up_before_the_hook_is(bench, case):
    """So the answer can say what it was."""
    answer = met(bench, case)
    assert "cell" in validate("PreToolUse", answer.out).reason, answer


def test_to_say_no_a_second_time_has_a_deadline_too(bench):
    """The first no could not be written, both deadlines are used up, and the name of the event is hard to find."""
    program = f"""{HOOK}
import time
from wasmguard.serve import answer
hook.DEADLINE = hook.REFUSAL = 1
hook._decided = answer.refusal = lambda *_: time.sleep(20)
hook.main(sys.argv[2:])"""
    begun = time.monotonic()
    assert bench.host.hook(wire(), program=program, redirected=">/dev/full").code == 2
    assert time.monotonic() - begun < 15


def test_every_deadline_ends_before_the_one_above_it():
    (client,) = re.findall(r'"timeout": (\d+)', Path(ROOT, "README.md").read_text(encoding="utf-8"))
    assert hook.DEADLINE + hook.REFUSAL + TOLERANCE < int(client) == 30
    assert int(client) > hook.DEADLINE + 2 * hook.REFUSAL  # where the first no could not be written
    assert process.READY < hook.DEADLINE
    assert 5 * HARD_MAX.clock / 1000 < hook.DEADLINE
