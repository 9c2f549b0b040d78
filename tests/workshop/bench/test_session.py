"""A run does what was asked for, and ends in order, whoever ends it."""

import os
import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import jsonschema
import pytest

from wasmguard.errors import UsageError
from wasmguard.sandbox.call import CoreGuest
from wasmguard.workshop.bench import baseline, peers, session
from wasmguard.workshop.bench.schema import schema
from wasmguard.workshop.bench.session import Wanted, in_order, run
from wasmguard.workshop.bench.variant import LIBRARY, OURS, PEER, Variant
from wasmguard.workshop.undisturbed import passing_folder

SILENT = SimpleNamespace(phase=lambda _words: None, share=lambda _done: None)
SHORT = Wanted(subjects=("builtin:tool-gate",), paths=(LIBRARY,), seconds=0.2)
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
signalled = pytest.mark.skipif(len(ENDING) < 2, reason="no such signals")


@pytest.fixture
def usual():
    """As a process begins, and afterwards as it was."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_by_default_nothing_but_the_null_policy_runs_in_this_process(monkeypatch):
    """It says what measuring costs; whoever wrote the others may be anybody."""
    ran, run_it = [], CoreGuest.run

    def noted(guest, *given, **named):
        ran.append(guest)
        return run_it(guest, *given, **named)

    monkeypatch.setattr(CoreGuest, "run", noted)
    document = run(Wanted(subjects=("builtin:tool-gate",), seconds=0.2), SILENT)
    assert document["complete"]
    assert document["policies"][0]["split"]["carry"] > 0
    assert len({id(guest) for guest in ran}) == 1
    assert document["measuring"]


@signalled
@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_closes_what_is_open_and_its_number_is_the_exit_code(number):
    closed = []

    def run():
        with in_order(), passing_folder("x-") as folder:
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)  # once more while things are closed: they are
                closed.append(folder)

    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 128 + number
    assert [os.path.lexists(folder) for folder in closed] == [False]
    assert signal.getsignal(number) is signal.SIG_DFL


@signalled
@pytest.mark.usefixtures("usual")
def test_a_signal_that_is_ignored_goes_on_being_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with in_order():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@signalled
@pytest.mark.usefixtures("usual")
def test_in_another_thread_signals_are_left_as_they_are():
    def run():
        with in_order():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert seen == [signal.SIG_DFL]


@pytest.fixture
def measuring(own_home, monkeypatch):
    """What was handed to `measured`, which measures nothing, and does what it is told instead."""
    calls = []

    def put(instead=lambda **_given: {}):
        monkeypatch.setattr(
            session, "measured", lambda variants, *_seconds, **given: calls.append(variants) or instead(**given)
        )
        return calls

    return put


def test_a_run_is_what_its_schema_says_with_all_sizes(own_home):
    document = run(SHORT, SILENT)
    jsonschema.validate(document, schema())
    assert document["complete"]
    assert [row["id"] for row in document["rows"]] == ["library/null policy", "library/tool-gate"]
    for row in document["sizes"]["rows"]:
        assert [one["event"] for one in row["by_event"]] == [0, 1, 2, 3, 4]


def test_sizes_are_not_measured_for_who_asked_about_something_else(own_home):
    assert run(SHORT.replaced(events="builtin:rewrites"), SILENT)["sizes"] is None


def test_ctrl_c_leaves_what_was_there_by_then(measuring):
    def interrupted(**_given):
        raise KeyboardInterrupt

    measuring(interrupted)
    document = run(SHORT, SILENT)
    jsonschema.validate(document, schema())
    assert not document["complete"]
    assert (document["rows"], [entry["name"] for entry in document["policies"]]) == ([], ["tool-gate"])


def test_ctrl_c_before_a_policy_was_looked_at_leaves_a_whole_document_too(own_home, monkeypatch):
    def interrupted(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "split", interrupted)
    document = run(SHORT, SILENT)
    jsonschema.validate(document, schema())
    assert document["policies"][0]["split"] is None


def test_a_baseline_of_something_else_is_refused_before_anything_is_timed(measuring, monkeypatch):
    calls = measuring()
    kept = run(SHORT.replaced(events="builtin:rewrites"), SILENT)
    calls.clear()
    monkeypatch.setattr(baseline, "read", lambda _path: kept)
    with pytest.raises(UsageError, match="make a new one"):
        run(SHORT.replaced(baseline="figures.json"), SILENT)
    assert not calls


def test_two_versions_are_not_measured_as_a_chain(measuring):
    calls = measuring()
    two = SHORT.replaced(subjects=("builtin:tool-gate", "builtin:tool-gate"))
    run(two.replaced(compare=False, events="builtin:rewrites"), SILENT)
    assert [variant.subject for variant in calls.pop()][-1] == "chain"
    run(two.replaced(compare=True), SILENT)
    assert [variant.subject for variant in calls.pop()] == ["null policy", "tool-gate", "tool-gate-2"]


@pytest.mark.parametrize("kind", [PEER, OURS])
def test_a_peer_that_fails_at_a_rate_is_left_out_and_ours_is_not(own_home, monkeypatch, kind):
    def ask(_event):
        raise RuntimeError("it fell over")

    @contextmanager
    def found(*_given):
        yield [Variant(path="peer", subject="somebody", kind=kind, events=(0,), ask=ask)], []

    monkeypatch.setattr(peers, "variants", found)
    wanted = SHORT.replaced(rate=500.0, with_peers=True)
    if kind == OURS:
        with pytest.raises(RuntimeError):
            run(wanted, SILENT)
        return
    document = run(wanted, SILENT)
    assert "`somebody`: it fell over" in document["missing"]
    assert "peer/somebody" not in [row["id"] for row in document["rows"]]
