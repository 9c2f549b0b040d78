"""The hostile suite: every case ends as it must, in every kind of cell and behind a hook, and a harmless policy beside
it is answered rightly after each."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from time import perf_counter

import pytest

from tests.serve.host import SERVE
from wasmguard.agents import claude
from wasmguard.hostile.case import GUESTS, Bounded, Refused
from wasmguard.hostile.proving import Ground, busy, event_of, refusal, refusal_flaw, tool_of
from wasmguard.hostile.suite import CASES, GROUPS
from wasmguard.limits import DEFAULT
from wasmguard.own_home import home_in

ASKED = [case for case in CASES if case.evaluated]
REFUSED = [case for case in CASES if isinstance(case.must, Refused)]
BOMBS = [case for case in CASES if isinstance(case.must, Bounded)]
WAYS = ["thread", "process"]
DIFFERS = re.compile(r"out of time|its cell died|gave no answer in")
"""A fault of the clock is not reproducible, and a cell has less memory than a thread: nothing else may differ."""
AGAIN = 3  # times that a busy machine is given
AT_ONCE = 2  # processes: more of them would measure each other
LATE = 1.0  # seconds for one evaluation on a busy machine; 0.5 on a quiet one
SCANNED = 0.05  # seconds for what the scan refuses


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    """The ground of each group, locked side by side: a child that compiles takes a tenth of a second."""
    folder = tmp_path_factory.mktemp("hostile")
    with home_in(str(folder)), ThreadPoolExecutor(AT_ONCE) as pool:
        made = dict(
            zip(GROUPS, pool.map(lambda group: Ground(str(folder / group), GROUPS[group]), GROUPS), strict=True)
        )
        yield made
        for ground in made.values():
            ground.close()


@pytest.fixture(scope="module")
def outcomes(grounds):
    """What comes of a case, one way: asks it as often as it wants to be asked, and the control afterwards."""

    asked = {}

    def ask(case, way):
        if (tool_of(case), way) not in asked:
            asked[tool_of(case), way] = first(case, way)
        return asked[tool_of(case), way]

    def first(case, way):
        ground, times, flaws = grounds[case.group], [], []
        for _ in range(case.times):
            decision, flaw, seconds = tried(ground, case, way)
            times.append(seconds)
            flaws.append(flaw)
        return decision, next(filter(None, flaws), ""), max(times), ground.controlled(case, way)

    return ask


def tried(ground, case, way):
    """What comes of a case, its flaw, and the seconds that it took."""
    for _ in range(AGAIN):
        begun = perf_counter()
        decision = ground.decided(case, way)
        seconds, flaw = perf_counter() - begun, ground.flaw(case, decision)
        if seconds < LATE and not busy(flaw):
            break
    return decision, flaw, seconds


@pytest.fixture(scope="module")
def hooks(grounds):
    """What a hook process answers to each case of a group, and how long it takes."""

    def run(case):
        command = [sys.executable, "-I", "-c", SERVE, "serve", "--config", grounds[case.group].config_of(case)]
        event = json.dumps(event_of(case)).encode()
        for _ in range(AGAIN):
            begun = perf_counter()
            done = subprocess.run(command, input=event, capture_output=True, timeout=40, check=False)
            seconds = perf_counter() - begun
            if seconds < LATE and not busy(done.stdout.decode()):
                break
        return done, seconds

    @cache
    def answers(group):
        cases = grounds[group].cases
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(map(tool_of, cases), pool.map(run, cases), strict=True))

    return lambda case: answers(case.group)[tool_of(case)]


def said(decision):
    """Everything that two cells must agree on."""
    verdicts = [verdict.replaced(microseconds=0.0, answer=b"") for verdict in decision.verdicts]
    return decision.effect, decision.rewrite, decision.context, verdicts


def test_the_suite_is_as_large_as_it_says():
    assert len(GROUPS) == 14
    assert all(len(cases) >= 20 for cases in GROUPS.values())
    assert len(CASES) >= 250


def test_every_case_has_a_name_of_its_own_that_fits_a_policy():
    names = [tool_of(case) for case in CASES]
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9][A-Za-z0-9._-]{0,63}", name)] == []


def test_every_guest_that_is_written_out_is_used_and_says_what_must_happen():
    files = {name.removesuffix(".wat") for name in os.listdir(GUESTS)}
    used = {text for case in CASES if case.module for text in _constants(case.module)} | {"parrot"}
    assert files <= used
    for name in files - {"parrot"}:
        with open(os.path.join(GUESTS, f"{name}.wat"), encoding="utf-8") as file:
            assert re.match(r";; .+\. Must: .+\.\n", file.readline()), name


def _constants(function):
    return [cell.cell_contents for cell in function.__closure__ or () if isinstance(cell.cell_contents, str)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ASKED, ids=tool_of)
def test_a_hostile_guest_ends_as_it_must_and_the_next_one_is_answered(outcomes, case, way):
    _, flaw, seconds, controlled = outcomes(case, way)
    assert flaw == ""
    assert controlled
    assert seconds < LATE


@pytest.mark.parametrize("order", [1, 2, 3])
def test_in_whatever_order_they_come_each_ends_as_it_must(grounds, order):
    """What one of them left behind would meet another neighbour in each order."""
    shuffled = sorted(ASKED, key=lambda case: sha256(f"{order} {tool_of(case)}".encode()).digest())
    flaws = {tool_of(case): tried(grounds[case.group], case, "process")[1] for case in shuffled}
    assert {name: flaw for name, flaw in flaws.items() if flaw} == {}
    assert all(grounds[case.group].controlled(case, "process") for case in shuffled[:20])


@pytest.mark.parametrize("case", ASKED, ids=tool_of)
def test_both_kinds_of_cell_say_the_same(outcomes, case):
    thread, process = said(outcomes(case, "thread")[0]), said(outcomes(case, "process")[0])
    assert thread == process or DIFFERS.search(f"{thread} {process}")


@pytest.mark.parametrize("case", ASKED, ids=tool_of)
def test_a_hook_says_the_same_and_nothing_else(outcomes, hooks, case):
    done, seconds = hooks(case)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)
    expected = claude.render(claude.from_mapping(event_of(case)), outcomes(case, "thread")[0])
    if DIFFERS.search(f"{answer} {expected}"):
        answer, expected = (found["hookSpecificOutput"]["permissionDecision"] for found in (answer, expected))
    assert answer == expected
    assert done.stdout.isascii()
    assert seconds < 2 * LATE  # an interpreter starts first


@pytest.mark.parametrize("case", REFUSED, ids=tool_of)
def test_a_hostile_module_is_refused_by_whom_it_must_be(case):
    by, words, seconds = refusal(case)
    assert refusal_flaw(case, by, words) == ""
    assert seconds < (SCANNED if by == "scan" else DEFAULT.compile_wall + 1)


@pytest.fixture(scope="module")
def bombs():
    """What became of each bomb; two of them at a time, because each takes seconds."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(map(tool_of, BOMBS), pool.map(refusal, BOMBS), strict=True))


@pytest.mark.parametrize("case", BOMBS, ids=tool_of)
def test_a_compile_bomb_ends_within_the_limits_of_the_compiler(bombs, case):
    by, words, seconds = bombs[tool_of(case)]
    assert by in ("", "compiler")
    assert refusal_flaw(case, by, words) == ""
    assert seconds < DEFAULT.compile_wall + 1  # the child has to start and to be killed
