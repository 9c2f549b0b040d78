"""Plans, events and pools, for what decides again."""

import pytest

from wasmguard.event import Event
from wasmguard.lock import prepare
from wasmguard.workshop.rerun import process
from wasmguard.workshop.rerun.asked import Asked
from wasmguard.workshop.rerun.pool import Pool

STATE = {"grants.state": '"1 KiB"'}


def write(path="/task/x", session="a", **more):
    """A Write, as an agent would send it."""
    fields = {"session_id": session, "cwd": "/task", "tool_input": {"file_path": path, "content": "x"}, **more}
    name = "PreToolUse"
    return Event(name=name, agent="claude", fields={"hook_event_name": name, "tool_name": "Write", **fields}, time=1)


def asked(key, event=None, *, plan="p", **more):
    return Asked(key=key, plan=plan, event=event or write(), **more)


@pytest.fixture
def planned(configured):
    """The plan of a configuration with these guests."""
    return lambda *names, **extra: prepare(str(configured(*names, **extra)), repin=False).plan


@pytest.fixture
def pool(planned):
    """A pool for one plan, called `p`; closed at the end."""
    opened = []

    def make(*names, jobs=1, **extra):
        opened.append(Pool({"p": planned(*names, **extra)}, jobs))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def sabotaged(monkeypatch):
    """Processes in which *program* runs where an event is decided: `event` is the event, `path` its file. Instead of
    outcomes they tell the bytes *telling*, an expression."""

    def spoil(program="pass", telling=""):
        before = (
            "import os, time\n"
            "from wasmguard.workshop.rerun import deciding, worker\n"
            "honest = deciding.Deciding.decision\n"
            "def decision(self, event, states, aside=frozenset()):\n"
            "    path = event.input.get('file_path', '')\n"
            f"    {program}\n"
            "    return honest(self, event, states, aside)\n"
            "deciding.Deciding.decision = decision\n"
        )
        if telling:
            before += "from wasmguard.workshop.rerun.forms import frame\nfrom wasmguard.guest.codec import packed\n"
            before += f"worker._tell = lambda channel, _: channel.sendall({telling})\n"
        first, last = process._SPAWNED.split("from ", 1)
        monkeypatch.setattr(process, "_SPAWNED", f"{first}\n{before}\nfrom {last}")

    return spoil
