import io

import pytest

from wasmguard.workshop.replay import progress as module
from wasmguard.workshop.replay.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, monkeypatch):
    monkeypatch.setattr(module, "OFTEN", 0)
    with Progress(stream) as progress:
        progress.phase("deciding")
        for share in (0.1, 0.5, 1.0):
            progress.share(share, int(share * 1000))
    return stream.getvalue()


def test_nothing_is_drawn_where_nobody_looks(monkeypatch):
    assert shown(io.StringIO(), monkeypatch) == ""


def test_a_dumb_terminal_is_spared(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Terminal(), monkeypatch) == ""


@pytest.mark.parametrize("bare", ["", "1"])
def test_a_terminal_sees_how_far_it_is(monkeypatch, bare):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", bare)
    told = shown(Terminal(), monkeypatch)
    assert "deciding" in told
    assert "500 events" in told
    assert "left" in told
