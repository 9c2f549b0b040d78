"""Events that are answered in different ways, and what decides about them: `path-redirect`."""

import json
import os
from contextlib import contextmanager

from wasmguard.lock import lock
from wasmguard.own_home import home_in
from wasmguard.value import Value
from wasmguard.workshop.bench.variant import Given

POLICY = '[[policy]]\nname = "it"\nmodule = "builtin:path-redirect"\n'
POLICY += 'grants.rewrite."Write.file_path" = { within = "/sandbox" }\nlimits.event = 262144\n'


class Bench(Value):
    """What variants are told of `wasmguard.workshop.bench.subjects.Bench`."""

    home: str
    config: str
    stateful: bool = False


def given(name, **fields):
    said = {"session_id": "s", "cwd": "/home/dev", "transcript_path": "/t", "hook_event_name": "PreToolUse", **fields}
    return Given(name=name, fields=said, raw=json.dumps(said).encode())


def write(path, content="N\n"):
    return given(f"Write {path}", tool_name="Write", tool_input={"file_path": path, "content": content})


REWRITTEN, PASSED, STOP, TOO_LONG = range(4)
EVENTS = [write("/home/dev/a.md"), write("/sandbox/a.md"), given("Stop", hook_event_name="Stop")]
EVENTS.append(write("/sandbox/large.md", "x" * 300_000))


@contextmanager
def redirecting(home):
    """A bench whose home is the folder *home*."""
    config = os.path.join(home, "wasmguard.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(POLICY)
    with home_in(home):
        lock(config, repin=False)
        yield Bench(home=home, config=config)
