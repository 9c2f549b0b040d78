"""The named points at which a hook is broken, in the order in which a hook comes by: as data.

A point of `LOCKING` is met where the configuration was never locked before, in a new home; the others where it was.
Not here: the daemon (`test_kills`) and the database of records (`tests/records/test_kills.py`).
"""

from typing import NamedTuple


class Point(NamedTuple):
    """Where a fault strikes; see `inject.arm`."""

    place: str
    name: str
    target: str
    when: str = "before"
    only: str = ""


STDERR, STDOUT = "given[0] == 2", "given[0] != 2"
STDIN, REPLY = "given[0] == 0", "given[0] != 0"
KEY, PLAN, CODE = "given[1] == 'key'", "given[1].endswith('.plan')", "given[1].endswith('.code')"

BEFORE_THE_ALARM = (
    Point("wall", "import the wall", "import wasmguard.serve.hook"),
    Point("wall", "take standard output away", "wasmguard.serve.hook:_own_stdout"),
    Point("wall", "expect signals", "wasmguard.serve.hook:_expect_signals"),
    Point("wall", "fork", "os:fork"),  # not before it, but every signal is blocked
)
"""What hangs here is ended by nobody but the client."""

WALL = (
    Point("wall", "expected signals", "wasmguard.serve.hook:_expect_signals", "after"),
    Point("wall", "read stdin", "wasmguard.serve.hook:_read", only=STDIN),
    Point("wall", "stdin was read", "wasmguard.serve.hook:_read", "after", STDIN),
    Point("wall", "look for a daemon", "wasmguard.serve.hook:_by_daemon"),
    Point("wall", "there is no daemon", "wasmguard.serve.hook:_by_daemon", "after"),
    Point("wall", "supervise", "wasmguard.serve.hook:_supervised"),
    Point("wall", "read the reply", "wasmguard.serve.hook:_read", only=REPLY),
    Point("wall", "the reply was read", "wasmguard.serve.hook:_read", "after", REPLY),
    Point("wall", "take the reply apart", "wasmguard.serve.hook:_unframed"),
    Point("wall", "write stdout", "wasmguard.serve.hook:_write", only=STDOUT),
    Point("wall", "half of stdout was written", "wasmguard.serve.hook:_write", "half", STDOUT),
    Point("wall", "stdout was written", "wasmguard.serve.hook:_write", "after", STDOUT),
)

AFTERWARDS = (
    Point("wall", "write stderr", "wasmguard.serve.hook:_write", only=STDERR),
    Point("wall", "start the daemon", "wasmguard.serve.hook:_start_daemon"),
)
"""The answer is out already: it stays what it is."""

DECIDING = (
    Point("deciding", "forked", "os:fork", "after"),
    Point("deciding", "decide", "wasmguard.serve.hook:_decided"),
    Point("deciding", "import what forks the cell", "import wasmguard.sandbox.ahead"),
    Point("deciding", "fork the cell", "wasmguard.sandbox.ahead:_forked"),
    Point("deciding", "the cell was forked", "wasmguard.sandbox.ahead:_forked", "after"),
    Point("deciding", "import what answers", "import wasmguard.serve.answer"),
    Point("deciding", "read the arguments", "wasmguard.serve.answer:parsed"),
    Point("deciding", "find the configuration", "wasmguard.places:config_file"),
    Point("deciding", "read the configuration", "wasmguard.plan:digest_of"),
    Point("deciding", "read the key", "wasmguard.sandbox.cache:_read", only=KEY),
    Point("deciding", "read the plan", "wasmguard.sandbox.cache:_read", only=PLAN),
    Point("deciding", "parse the plan", "wasmguard.plan:_parsed"),
    Point("deciding", "the plan was read", "wasmguard.plan:read", "after"),
    Point("deciding", "prepare cells", "wasmguard.plan:cells"),
    Point("deciding", "import what asks cells", "import wasmguard.sandbox.process"),
    Point("deciding", "check the module", "wasmguard.plan:unchanged"),
    Point("deciding", "read the cache", "wasmguard.sandbox.cache:_read", only=CODE),
    Point("deciding", "the cache was read", "wasmguard.sandbox.cache:_read", "after", CODE),
    Point("deciding", "write the load message", "wasmguard.sandbox.frames:message"),
    Point("deciding", "send the load message", "wasmguard.sandbox.process:Child.send"),
    Point("deciding", "import the guard", "import wasmguard.guard"),
    Point("deciding", "import the dialect", "import wasmguard.agents.claude"),
    Point("deciding", "make the guard", "wasmguard.guard:Guard.__init__"),
    Point("deciding", "encode settings", "wasmguard.policy:encode_settings"),
    Point("deciding", "parse the event", "wasmguard.agents.claude:parse"),
    Point("deciding", "find the policies", "wasmguard.guard:Guard._concerned"),
    Point("deciding", "encode the event", "wasmguard.policy:encode_event"),
    Point("deciding", "wait for the cell", "wasmguard.sandbox.process:Processes._ready"),
    Point("deciding", "the cell is ready", "wasmguard.sandbox.process:Processes._ready", "after"),
    Point("deciding", "send the request", "wasmguard.sandbox.frames:request"),
    Point("deciding", "receive the cell's reply", "wasmguard.sandbox.frames:reply"),
    Point("deciding", "decode", "wasmguard.policy:decode_answer"),
    Point("deciding", "gate", "wasmguard.policy:answered"),
    Point("deciding", "check a grant", "wasmguard.guest.grants:check_within"),
    Point("deciding", "rewrite", "wasmguard.event:Event.with_input"),
    Point("deciding", "settle", "wasmguard.chain:settle"),
    Point("deciding", "the chain is done", "wasmguard.guard:decided", "after"),
    Point("deciding", "render", "wasmguard.agents.claude:render"),
    Point("deciding", "say the rewritten input", "wasmguard.agents.claude:_specific"),
    Point("deciding", "encode the answer", "wasmguard.agents.claude:encode"),
    Point("deciding", "frame the reply", "wasmguard.serve.hook:_frame"),
    Point("deciding", "send the reply", "wasmguard.serve.hook:_write"),
    Point("deciding", "half of the reply was sent", "wasmguard.serve.hook:_write", "half"),
)

RECORDING = (
    Point("deciding", "note what is granted", "wasmguard.enforcement:Enforcement.noted"),
    Point("deciding", "record", "wasmguard.recorder:Recorder.keep"),
    Point("deciding", "append the record", "wasmguard.spool:Spool.append"),
    Point("deciding", "the record was appended", "wasmguard.spool:Spool.append", "after"),
)
"""It is decided, and nobody asked that it must be recorded."""

LEAVING = (
    Point("deciding", "the reply was sent", "wasmguard.serve.hook:_write", "after"),
    Point("deciding", "leave", "wasmguard.serve.hook:_leave"),
    Point("deciding", "close the guard", "wasmguard.guard:Guard.close"),
    Point("deciding", "end the cell", "wasmguard.sandbox.process:Child.end"),
)
"""The wall has the reply already: it stays what it is."""

OPEN_CELL = (
    Point("cell", "let go of descriptors", "os:closerange"),
    Point("cell", "import the cell's side", "import wasmguard.sandbox.inmate"),
    Point("cell", "forget the environment", "wasmguard.sandbox.inmate:forget"),
    Point("cell", "read the load message", "wasmguard.sandbox.inmate:_loaded"),
    Point("cell", "make the engine", "wasmguard.sandbox.engine:Engine.__init__"),
    Point("cell", "load the code", "wasmguard.sandbox.call:CoreGuest.__init__"),
    Point("cell", "warm the guest", "wasmguard.sandbox.call:CoreGuest.warm"),
    Point("cell", "jail", "wasmguard.sandbox.jail:enter"),
)
"""Before the jail closes."""

JAILED_CELL = (
    Point("cell", "Landlock is in force", "wasmguard.sandbox.jail:_landlock", "after"),
    Point("cell", "start the clock", "wasmguard.sandbox.cell:Cell.start_clocks"),
    Point("cell", "filter system calls", "wasmguard.sandbox.jail:_seccomp"),
    Point("cell", "jailed", "wasmguard.sandbox.jail:enter", "after"),
    Point("cell", "ready", "wasmguard.sandbox.inmate:_loaded", "after"),
    Point("cell", "read the request", "wasmguard.sandbox.inmate:_request"),
    Point("cell", "the request was read", "wasmguard.sandbox.inmate:_request", "after"),
    Point("cell", "instantiate", "wasmguard.sandbox.call:CoreGuest._asked"),
    Point("cell", "instantiated", "wasmguard.sandbox.call:export", only="given[3] == b'memory'"),
    Point("cell", "alloc", "wasmguard.sandbox.call:done", only="given[2] == 2"),
    Point("cell", "evaluate", "wasmguard.sandbox.call:done", only="given[2] == 3"),
    Point("cell", "evaluated", "wasmguard.sandbox.call:CoreGuest._left", "after"),
    Point("cell", "answer", "wasmguard.sandbox.frames:answered"),
)

LOCKING = (
    Point("deciding", "import what locks", "import wasmguard.lock"),
    Point("deciding", "read the configuration's text", "wasmguard.config:read_once", "after"),
    Point("deciding", "open the bundle", "wasmguard.lock:open_bundle"),
    Point("deciding", "scan", "wasmguard.lock:scan"),
    Point("deciding", "compile", "wasmguard.lock:compiled"),
    Point("deciding", "spawn the compiler", "wasmguard.sandbox.compile:_Child.__init__"),
    Point("deciding", "the compiler was spawned", "wasmguard.sandbox.compile:_Child.__init__", "after"),
    Point("deciding", "make a folder", "os:mkdir"),
    Point("deciding", "write the key", "wasmguard.sandbox.cache:_write", only=KEY),
    Point("deciding", "put the key in place", "os:link"),
    Point("deciding", "the key is in place", "os:link", "after"),
    Point("deciding", "write the code", "wasmguard.sandbox.cache:_write", only=CODE),
    Point("deciding", "put a file on the disk", "os:fsync"),
    Point("deciding", "put a file in place", "os:replace"),
    Point("deciding", "write the plan", "wasmguard.plan:write"),
    Point("deciding", "the plan was written", "wasmguard.plan:write", "after"),
    Point("compiler", "import the compiler", "import wasmguard.sandbox.compiler"),
    Point("compiler", "set the engine up", "wasmguard.sandbox.compiler:configuration"),
    Point("compiler", "check what was compiled", "wasmguard.sandbox.compiler:_check_core"),
)

BEHIND_THE_WALL = DECIDING + OPEN_CELL + JAILED_CELL + LOCKING
"""Whatever happens here, the wall is left to answer."""


def named(*names):
    """The points of these names."""
    known = BEFORE_THE_ALARM + WALL + AFTERWARDS + BEHIND_THE_WALL + LEAVING
    return [next(point for point in known if point.name == name) for name in names]
