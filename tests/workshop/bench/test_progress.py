"""Progress is told to people at a terminal and to nobody else, and costs nothing where it is not told."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from wasmguard.workshop.bench import progress as module
from wasmguard.workshop.bench.progress import Progress

HERE = Path(module.__file__).parent
PAINTERS = {"table", "table_paper", "progress"}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def told(stream):
    with Progress(stream) as progress:
        progress.phase("compiling [red]x[/] \x1b[2J")
        progress.share(0.5)
        progress.phase("measuring, each in turn")
        progress.share(0.01)
        progress.share(1.0)
    return stream.getvalue()


def test_a_terminal_is_told_phases_in_words():
    said = told(Terminal())
    assert "compiling [red]x[/]" in said
    assert "measuring, each in turn" in said


def test_names_in_phases_steer_nothing():
    assert "\x1b[2J" not in told(Terminal())


@pytest.mark.parametrize("ending", [None, KeyboardInterrupt])
def test_nothing_is_left_of_it(ending):
    stream = Terminal()
    try:
        with Progress(stream) as progress:
            progress.phase("measuring")
            if ending:
                raise ending
    except KeyboardInterrupt:
        pass
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1  # the cursor is back
    assert stream.getvalue().endswith("\x1b[2K")  # the line is empty


def test_what_is_no_terminal_is_told_nothing():
    assert told(io.StringIO()) == ""


def test_a_terminal_that_cannot_go_back_is_told_nothing(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert told(Terminal()) == ""


def test_no_thread_draws_it():
    import threading

    before = threading.active_count()
    with Progress(Terminal()) as progress:
        progress.phase("measuring")
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("seconds", "done", "said"),
    [(12.2, 0.4, "12 of 30 s"), (3.0, 0.0, "3 s"), (30.0, 1.0, "30 of 30 s"), (0.2, 0.9, "")],
)
def test_the_end_is_guessed_when_there_is_something_to_guess_from(seconds, done, said):
    assert module._took(seconds, done) == said


def test_standard_output_stays_whose_it_is():
    before = sys.stdout, sys.stderr
    with Progress(Terminal()) as progress:
        progress.phase("measuring")
        assert (sys.stdout, sys.stderr) == before


def test_nobody_who_does_not_paint_imports_rich():
    names = sorted(
        path.stem for path in HERE.glob("*.py") if path.stem not in {*PAINTERS, "table_figures", "table_verdicts"}
    )
    lines = [f"import wasmguard.workshop.bench.{name}" for name in names if name != "__init__"]
    lines += [
        "from wasmguard.workshop.bench.progress import Progress",
        "with Progress(open('/dev/null', 'w')) as p: p.phase('x')",
    ]
    lines += ["import sys", "assert not any(name.split('.')[0] == 'rich' for name in sys.modules)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
