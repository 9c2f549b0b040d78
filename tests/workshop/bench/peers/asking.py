"""Events that tell whether somebody carries out the small guard, and how a peer is begun for a test."""

import json
from contextlib import contextmanager

import pytest

from wasmguard.workshop.bench.variant import Given

INPUTS = [
    ("Bash", {"command": "rm -rf /tmp/x"}),
    ("Bash", {"command": "cd src &&\nrm -rf build\n", "description": "cleans", "timeout": 1000}),
    ("Bash", {"description": "späte Änderung", "command": "echo " + "x" * 40_000 + "; rm -rf"}),
    ("Bash", {"command": "rm -r build; rm -Rf other; echo rm  -rf"}),
    ("Bash", {"command": ""}),
    ("Bash", {"file_path": "/etc/passwd", "command": "ls /etc"}),
    ("Write", {"file_path": "/etc/hosts", "content": "127.0.0.1 here\n" * 5_000}),
    ("Write", {"content": "rm -rf /", "file_path": "/home/user/project/a.py"}),
    ("Write", {"file_path": "/etcetera", "content": ""}),
    ("Edit", {"file_path": "/etc", "old_string": "a", "new_string": "b", "replace_all": True}),
    ("Edit", {"file_path": "etc/hosts", "edits": [{"old": None, "new": 1.5}, [1, -1, 2**40]]}),
    ("Read", {"file_path": "/etc/passwd"}),
    ("WebFetch", {"url": "https://example.org", "prompt": "rm -rf", "command": "rm -rf"}),
    ("mcp__files__write", {"file_path": "/etc/passwd"}),
    ("Write", {"file_path": "/etc/"}),
    ("Bash", {"command": "rm -rf"}),
]


def given(tool, tool_input, **more):
    fields = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": tool_input, "session_id": "s", **more}
    return Given(name=tool, fields=fields, raw=json.dumps(fields).encode())


EVENTS = [given(tool, tool_input) for tool, tool_input in INPUTS]


@contextmanager
def begun(peer, folder):
    if lacking := peer.lacking():
        pytest.skip(lacking)
    folder.mkdir(exist_ok=True)
    with peer.start(str(folder)) as ask:
        yield ask
