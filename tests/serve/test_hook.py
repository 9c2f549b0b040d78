"""The hook as its client meets it: a process that gets one event and owes one answer, whatever happens to it.

Every answer is read as Claude Code reads it: exit code 2 blocks, and the reason is standard error; with exit code 0 the
client's own rules apply (`claude_rules`). Behind everything else the tool runs, so everything else fails the test.

The policies of `wasmguard.toml` are asked by the tool's name: one lets the calls of `Passed` pass, one denies those
of `Refused`, one rewrites those of `Moved`, and for those of `Slow` two take half a second or more.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.agents.claude_rules import validate
from tests.serve.host import HOOK, INPUT, ROOT, SECRET, SERVE, Host, ended, event, send, wire
from wasmguard import link, places, plan, switch
from wasmguard.agents import claude
from wasmguard.event import GATING, STOPPING
from wasmguard.guest.outputs import NOTICE
from wasmguard.lock import lock

MOVED = {"file_path": "/sandbox/moved", "content": "x"}
OBSERVED = ("SessionStart", "Notification", "SomethingNew")  # nobody knows the last one
QUIET = (*sorted(STOPPING), *OBSERVED)

CONFIG = """
[[policy]]
name = "agrees"
module = "pass.wasm"
tools = ["Passed"]

[[policy]]
name = "refuses"
module = "deny.wasm"
tools = ["Refused"]

[[policy]]
name = "moves"
module = "rewrite_constant.wasm"
tools = ["Moved"]
grants.rewrite."Moved.file_path" = { within = "/sandbox" }

[[policy]]
name = "thinks-long"
module = "loop_evaluate.wasm"
tools = ["Slow"]
limits = { fuel = 1_000_000_000, clock = "2 s" }
on_fault = "ask"

[[policy]]
name = "thinks-on"
module = "loop_evaluate.wasm"
tools = ["Slow"]
limits = { fuel = 1_000_000_000, clock = "2 s" }
on_fault = "ask"
"""
QUIET_NAMES = ", ".join(f'"{name}"' for name in QUIET)
ONE = f"""[[policy]]
name = "only"
module = "only.wasm"
events = ["PreToolUse", "UserPromptSubmit", {QUIET_NAMES}]
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory, assembled):
    guests = {name: assembled(name) for name in ("pass", "deny", "rewrite_constant", "loop_evaluate")}
    return Host(tmp_path_factory.mktemp("host"), CONFIG, **guests)


def reason_of(answer, name="PreToolUse"):
    """Why the client blocks; fails if it does not."""
    if answer.code == 2:
        assert answer.err.strip(), answer
        return answer.err.decode()
    assert answer.code == 0, answer
    outcome = validate(name, answer.out)
    assert outcome.does == "blocked", answer
    return outcome.reason


def said_nothing(answer):
    return (answer.code, answer.out, answer.err) == (0, b"{}\n", b"")


# What it answers when all is well.


def test_a_pass_is_two_braces_and_a_line_feed(host):
    answer = host.hook(wire())
    assert said_nothing(answer), answer


def test_a_deny_says_who_and_why(host):
    assert 'policy "refuses" says (untrusted text): "no"' in reason_of(host.hook(wire(tool_name="Refused")))


def test_a_rewrite_replaces_the_whole_input(host):
    answer = host.hook(wire(tool_name="Moved"))
    assert answer.code == 0
    assert validate("PreToolUse", answer.out, INPUT).input == MOVED


def test_an_answer_larger_than_a_pipe_arrives_whole(host):
    content = "é" * 150_000
    answer = host.hook(wire(tool_name="Moved", tool_input={**INPUT, "content": content}))
    assert len(answer.out) > 300_000
    assert validate("PreToolUse", answer.out).input == {**MOVED, "content": content}


def test_a_policy_that_takes_too_much_is_what_its_owner_said(host):
    outcome = validate("PreToolUse", host.hook(wire(tool_name="Slow")).out)
    assert outcome.does == "asks"
    assert "thinks-long" in outcome.reason
    assert "thinks-on" in outcome.reason


@pytest.mark.parametrize("name", QUIET)
def test_what_nobody_is_asked_about_is_passed(host, name):
    answer = host.hook(wire(name))
    assert said_nothing(answer), answer


def test_once_locked_it_writes_nothing_but_a_record(host):
    """So a disk that is full changes no answer."""

    def everything():
        files = (path for path in host.folder.rglob("*") if path.parent.name != "records")
        return {path: path.stat().st_mtime_ns for path in files}

    host.hook(wire(tool_name="Moved"))
    before = everything()
    host.hook(wire(tool_name="Refused"))
    host.hook(wire(tool_name="Moved"))
    assert everything() == before


def test_it_decides_in_a_home_that_nobody_may_write(host):
    folders = [path for path in (host.home, *host.home.rglob("*")) if path.is_dir()]
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert said_nothing(host.hook(wire()))
        assert 'policy "refuses"' in reason_of(host.hook(wire(tool_name="Refused")))
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)


# Events that are none.

DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
NO_EVENTS = {
    "nothing": (b"", "no event on standard input"),
    "blanks": (b" \n\t", "no event on standard input"),
    "half a document": (wire(tool_name="Refused")[:-20], "not strict JSON"),
    "a document without its last brace": (wire()[:-2], "not strict JSON"),
    "two documents on a line": (wire().strip() * 2, "not strict JSON"),
    "two documents on two lines": (wire() * 2, "not strict JSON"),
    "a word after the document": (wire() + b"ok", "not strict JSON"),
    "a NUL after the document": (wire() + b"\0", "not strict JSON"),
    "binary garbage": (bytes(range(256)) * 64, "not strict JSON"),
    "NULs": (b"\0" * 1000, "not strict JSON"),
    "bytes that are not UTF-8": (wire().replace(b"/etc/x", b"/etc/\xff"), "not strict JSON"),
    "an escape that is none": (wire().replace(b'"cwd"', b'"\\q"'), "not strict JSON"),
    "an event name with an escape that is none": (wire().replace(b"PreTool", b"\\qTool"), "not strict JSON"),
    "a line break in a text": (wire().replace(b"/etc/x", b"/etc\n/x"), "not strict JSON"),
    "a comma too many": (wire().replace(b'"x"}', b'"x",}'), "not strict JSON"),
    "UTF-16": (wire().decode().encode("utf-16"), "not strict JSON"),
    "a list": (b"[" + wire() + b"]", "send one object"),
    "null": (b"null", "send one object"),
    "a number": (b"1", "send one object"),
    "a text": (b'"PreToolUse"', "send one object"),
    "an empty object": (b"{}", "`hook_event_name`"),
    "no event name": (wire(hook_event_name=None), "`hook_event_name`"),
    "an event name that is a number": (wire(hook_event_name=7), "`hook_event_name`"),
    "an empty event name": (wire(hook_event_name=""), "`hook_event_name`"),
    "no tool name": (json.dumps({k: v for k, v in event().items() if k != "tool_name"}).encode(), "`tool_name`"),
    "a tool name that is a number": (wire(tool_name=7), "`tool_name`"),
    "a tool name that is null": (wire(tool_name=None), "`tool_name`"),
    "an empty tool name": (wire(tool_name=""), "`tool_name`"),
    "no tool input": (json.dumps({k: v for k, v in event().items() if k != "tool_input"}).encode(), "`tool_input`"),
    "a tool input that is a list": (wire(tool_input=[INPUT]), "`tool_input`"),
    "a tool input that is a text": (wire(tool_input="ls"), "`tool_input`"),
    "a tool input that is null": (wire(tool_input=None), "`tool_input`"),
    "a mode that is a number": (wire(permission_mode=7), "`permission_mode`"),
    "a folder that is a list": (wire(cwd=["/"]), "`cwd`"),
    "a key twice in the input": (wire().replace(b'"content"', b'"file_path"'), "`file_path` twice"),
    "two tool names": (wire().replace(b'"cwd":"/tmp"', b'"tool_name":"Refused"'), "`tool_name` twice"),
    "two event names": (wire().replace(b'"cwd":"/tmp"', b'"hook_event_name":"Stop"'), "`hook_event_name` twice"),
    "nesting of 10,000": (wire().replace(b'"x"', DEEP), "nested too deep"),
    "nesting of 100": (wire(tool_input={"a": json.loads("[" * 98 + "]" * 98)}), "nested deeper than 64"),
    "10,000 brackets": (b"[" * 10_000, "nested too deep"),
    "NaN": (wire(tool_input={"a": float("nan")}), "`NaN`"),
    "a number that is infinite": (wire().replace(b'"x"', b"1e999"), "`1e999`"),
    "an integer of 10,000 digits": (wire().replace(b'"x"', b"7" * 10_000), "not strict JSON"),
}


@pytest.mark.parametrize(("raw", "words"), NO_EVENTS.values(), ids=NO_EVENTS.keys())
def test_what_is_no_event_is_refused(host, raw, words):
    assert words in reason_of(host.hook(raw))


NAMELESS = [b"", b"null", b"{}", wire(hook_event_name=7), wire("Stop").replace(b'"Stop"', b'"St'), b"\0" + wire("Stop")]


@pytest.mark.parametrize("raw", NAMELESS)
def test_an_event_without_a_name_is_blocked_by_the_exit_code(host, raw):
    """Which form its answer should have, nobody knows; exit code 2 blocks in every form."""
    assert host.hook(raw).code == 2


def test_an_event_over_its_limit_is_refused_and_the_limit_named(host):
    reason = reason_of(host.hook(wire(tool_input={**INPUT, "content": "x" * 5_000_000})))
    assert "`limits.event`" in reason


def hundred_megabytes(raw, at=b'"content":"'):
    """*raw* with 100 MB more in a text, piece by piece."""
    head, tail = raw.split(at)
    yield head + at
    yield from (b"x" * 1_000_000 for _ in range(100))
    yield tail


def test_100_megabytes_are_refused_before_they_are_read(host):
    answer = host.hook(hundred_megabytes(wire()))
    assert answer.code == 0
    assert "larger than 64 MiB" in reason_of(answer)


def test_standard_input_that_is_closed_is_refused(host):
    assert reason_of(host.hook(b"", redirected="<&-"))


def test_standard_input_that_never_ends_is_refused_at_the_deadline(host):
    process = host.start(program=f"{HOOK}; hook.DEADLINE = 1; hook.main(sys.argv[2:])")
    process.stdin.write(wire(tool_name="Refused")[:-10])
    process.wait(timeout=20)
    assert "no decision after 1 s" in reason_of(ended(process))


# An input that talks about a Stop event is not one.

LURE = {"hook_event_name": "Stop", "stop_hook_active": False}
LURED = wire(tool_name="Refused", tool_input={**LURE, "content": json.dumps(LURE)})
LURES = {
    "whole": LURED,
    "cut off": LURED[:-3],
    "too deep": LURED.replace(b"false", DEEP, 1),
    "a key twice": LURED.replace(b'"stop_hook_active"', b'"hook_event_name"', 1),
    "braces too many": LURED.replace(b'"tool_input":{', b'"tool_input":{}},'),
    "not UTF-8": LURED.replace(b"false", b'"\xff"', 1),
    "two documents": LURED + wire("Stop"),
    "two documents, Stop first": wire("Stop").strip() + LURED,
}


@pytest.mark.parametrize("raw", LURES.values(), ids=LURES.keys())
def test_an_input_that_looks_like_a_stop_event_is_refused(host, raw):
    assert reason_of(host.hook(raw))


def test_an_input_that_looks_like_a_stop_event_is_refused_at_any_size(host):
    assert "larger than 64 MiB" in reason_of(host.hook(hundred_megabytes(LURED, at=b'"content":"')))


# Configurations and modules that cannot be used.


def altered(change):
    """Makes a configuration whose module *change* got hold of after it was locked."""

    def make(host, name, guest):
        config = host.locked(host.configured(name, ONE, only=guest("pass")))
        change(config.with_name("only.wasm"), guest)
        return config

    return make


def tampered(host, name, guest):
    """Makes a configuration whose plan says something else than was locked."""
    config = host.locked(host.configured(name, ONE, only=guest("deny")))
    vault = host.home / ".local/state/wasmguard/plans"
    plan = max(vault.glob("*.plan"), key=lambda path: path.stat().st_mtime_ns)
    plan.write_bytes(plan.read_bytes().replace(b"PreToolUse", b"PreTOOLUse"))
    return config


BROKEN = {
    "no configuration": (
        lambda host, name, guest: host.folder / "none.toml",
        ("none.toml", "does not exist", "--config PATH"),
    ),
    "a configuration that is a folder": (
        lambda host, name, guest: host.folder,
        ("is a directory", "--config PATH"),
    ),
    "an unknown key": (
        lambda host, name, guest: host.configured(name, ONE + "tols = []\n", only=guest("pass")),
        ("wasmguard.toml:5", "did you mean `tools`"),
    ),
    "no TOML": (
        lambda host, name, guest: host.configured(name, "[[policy]\n"),
        ("wasmguard.toml:1", "not TOML"),
    ),
    "a truncated module": (
        lambda host, name, guest: host.configured(name, ONE, only=guest("pass")[:-9]),
        ("policy `only`", "only.wasm"),
    ),
    "an empty module": (
        lambda host, name, guest: host.configured(name, ONE, only=b""),
        ("policy `only`", "only.wasm"),
    ),
    "a module that is text": (
        lambda host, name, guest: host.configured(name, ONE, only=b"(module)"),
        ("policy `only`", "only.wasm"),
    ),
    "a component with imports": (
        lambda host, name, guest: host.configured(name, ONE, only=guest("component_imports")),
        ("policy `only`", "only.wasm", "imports"),
    ),
    "a module that is not there": (
        lambda host, name, guest: host.configured(name, ONE),
        ("policy `only`", "only.wasm", "write a path"),
    ),
    "a module changed since it was locked": (
        altered(lambda module, guest: module.write_bytes(guest("allow"))),
        ("policy `only`", "only.wasm", "check it, then run `wasmguard lock`"),
    ),
    "a module deleted since it was locked": (
        altered(lambda module, guest: module.unlink()),
        ("policy `only`", "only.wasm", "restore it or lock again"),
    ),
    "a plan that was tampered with": (tampered, (".plan", "run `wasmguard lock`")),
}


@pytest.fixture(scope="module", params=BROKEN.values(), ids=BROKEN.keys())
def broken(request, host, assembled):
    """A configuration that cannot be used, and what its owner must hear: where, and what to do."""
    make, words = request.param
    return make(host, f"broken-{request.param_index}", assembled), words


def test_what_cannot_be_used_denies_and_says_where_and_what_to_do(host, broken):
    config, words = broken
    answer = host.hook(wire(), config)
    assert answer.code == 0
    reason = reason_of(answer)
    assert [word for word in words if word not in reason] == []


def test_what_cannot_be_used_blocks_a_prompt(host, broken):
    config, words = broken
    assert words[0] in reason_of(host.hook(wire("UserPromptSubmit"), config), "UserPromptSubmit")


@pytest.mark.parametrize("name", QUIET)
def test_what_cannot_be_used_is_silent_where_nothing_can_be_stopped(host, broken, name):
    answer = host.hook(wire(name), broken[0])
    assert said_nothing(answer), answer


@pytest.mark.parametrize("name", sorted(GATING - STOPPING - {"PreToolUse", "UserPromptSubmit"}))
def test_every_gate_is_closed_in_its_own_form(host, name):
    assert "none.toml" in reason_of(host.hook(wire(name), host.folder / "none.toml"), name)


def test_an_unknown_argument_is_refused(host):
    program = SERVE.replace("import os, sys", "import os, sys; sys.argv += ['--confg', 'x']")
    assert "`--confg`: usage" in reason_of(host.hook(wire(), program=program))


# Homes and disks on which nothing can be locked.


@pytest.fixture
def unlocked(host, assembled, request):
    return host.configured(f"unlocked-{request.node.name}", ONE, only=assembled("pass"))


def test_a_home_that_cannot_be_written_refuses_what_was_never_locked(host, unlocked):
    (host.folder / "a-file").touch()
    reason = reason_of(host.hook(wire(), unlocked, home=host.folder / "a-file" / "home"))
    assert "a-file/home/" in reason
    assert "make its parent writable" in reason


def test_a_full_disk_refuses_what_was_never_locked(host, unlocked):
    reason = reason_of(host.hook(wire(), unlocked, before="ulimit -f 0", home=host.folder / "new"))
    assert "cannot start the compiler" in reason
    assert "room for its file" in reason


def test_a_configuration_that_was_never_locked_is_locked_by_the_first_event(host, unlocked, assembled):
    assert said_nothing(host.hook(wire(), unlocked))
    unlocked.with_name("only.wasm").write_bytes(assembled("deny"))
    assert "changed since it was locked" in reason_of(host.hook(wire(), unlocked))


# Standard output and error that cannot be written.


def test_a_closed_standard_output_blocks(host):
    answer = host.hook(wire(), redirected=">&-")
    assert answer.code == 2
    assert b"standard output" in answer.err


def test_a_full_standard_output_blocks(host):
    answer = host.hook(wire(), redirected=">/dev/full")
    assert answer.code == 2
    assert b"standard output" in answer.err


def test_a_standard_output_that_is_for_reading_blocks(host):
    assert host.hook(wire(), redirected="1</dev/null").code == 2


def test_a_closed_standard_error_changes_nothing(host):
    assert "policy" in reason_of(host.hook(wire(tool_name="Refused"), redirected="2>&-"))


@pytest.mark.parametrize("redirected", [">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_when_nobody_can_be_told_it_still_blocks(host, redirected):
    assert host.hook(wire(), redirected=redirected).code == 2


@pytest.mark.parametrize("redirected", [">&-", ">/dev/full", ">&- 2>&-"])
@pytest.mark.parametrize("name", QUIET)
def test_where_nothing_can_be_stopped_silence_will_do(host, name, redirected):
    assert host.hook(wire(name), redirected=redirected).code == 0


def test_a_reader_that_does_not_read_gets_a_block(host):
    program = f"{HOOK}; hook.DEADLINE = 2; hook.main(sys.argv[2:])"
    process = host.start(program=program)
    process.stdin.write(wire(tool_name="Moved", tool_input={**INPUT, "content": "x" * 300_000}))
    process.stdin.close()
    assert process.wait(timeout=20) == 2
    process.stdout.close()
    assert b"standard output" in process.stderr.read()
    process.stderr.close()


# Signals, and the death of the process that decides.


def child_of(process):
    """The process that decides for *process*, stopped: it cannot answer any more, and nobody has to be quick."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        if found := children.read_text().split():
            os.kill(int(found[0]), signal.SIGSTOP)
            return int(found[0])
        time.sleep(0.001)
    raise AssertionError("it never started to decide")


HANGS = f"{HOOK}; import time; hook._decided = lambda *_: time.sleep(60)"  # where a decision would be too quick to stop


def deciding(host, raw, program=SERVE):
    """A hook in the middle of its decision, and the process that decides."""
    process = host.start(program=program)
    send(process, raw)
    return process, child_of(process)


def alive(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


ENDING = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO]
)
CRASHING = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])


@ENDING
def test_a_hook_that_is_told_to_end_refuses_and_leaves_nobody_behind(host, number):
    process, child = deciding(host, wire(tool_name="Slow"))
    process.send_signal(number)
    assert f"ended by signal {number:d}" in reason_of(ended(process))
    assert not alive(child)


@ENDING
def test_a_hook_that_is_told_to_end_is_silent_about_a_stop(host, number):
    process, _ = deciding(host, wire("Stop"), f"{HANGS}; hook.main([])")
    process.send_signal(number)
    answer = ended(process)
    assert said_nothing(answer), answer


@CRASHING
def test_when_the_deciding_process_crashes_the_answer_is_deny(host, number):
    process, child = deciding(host, wire(tool_name="Slow"))
    os.kill(child, number)
    os.kill(child, signal.SIGCONT)
    assert f"the deciding process ended by signal {number:d}" in reason_of(ended(process))


@CRASHING
def test_when_the_deciding_process_crashes_a_stop_is_not_held_up(host, number):
    process, child = deciding(host, wire("Stop"), f"{HANGS}; hook.main([])")
    os.kill(child, number)
    os.kill(child, signal.SIGCONT)
    answer = ended(process)
    assert said_nothing(answer), answer


def test_a_signal_on_the_heels_of_the_fork_leaves_nobody_behind(host):
    program = f"""{HOOK}
import signal, time
fork = os.fork
def hasty():
    child = fork()
    if child:
        os.write(2, b"%d\\n" % child)
        os.kill(os.getpid(), signal.SIGTERM)
    return child
os.fork = hasty
hook._decided = lambda *_: time.sleep(60)
hook.main(sys.argv[2:])
"""
    answer = host.hook(wire(), program=program)
    assert "ended by signal 15" in reason_of(answer)
    assert not alive(int(answer.err.split()[0]))


def test_a_hook_that_was_killed_leaves_nobody_on_its_standard_output(host):
    """The client reads to the end: a child that holds it open would hold the client up."""
    process, child = deciding(host, wire(), f"{HANGS}; hook.main([])")
    process.kill()
    os.kill(child, signal.SIGCONT)
    assert process.stdout.read() == b""
    assert alive(child)
    os.kill(child, signal.SIGKILL)
    ended(process)


def test_a_decision_that_takes_too_long_is_refused_at_the_deadline(host):
    process, child = deciding(host, wire(), f"{HANGS}; hook.DEADLINE = 2; hook.main([])")
    assert "no decision after 2 s" in reason_of(ended(process))
    assert not alive(child)


SENT = {
    "nothing": "b''",
    "half a frame": "whole[:-4]",
    "a frame and a half": "whole + whole[:5]",
    "a length that lies": "whole[:1] + bytes(8) + whole[9:]",
    "an exit code of its own": "b'\\x01' + whole[1:]",
    "no JSON object": "hook._frame(0, b'ok', b'')",
    "an object that does not end": "hook._frame(0, b'{', b'')",
}


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT.keys())
def test_half_an_answer_of_the_deciding_process_is_none(host, sent):
    """The whole one would let the tool run."""
    patched = f"whole = hook._frame(0, b'{{}}\\n', b''); sent = {sent}; hook._frame = lambda *_: sent"
    answer = host.hook(wire(), program=f"{HOOK}; {patched}; hook.main(sys.argv[2:])")
    assert "the deciding process sent" in reason_of(answer)


# What the machine does not give.


@pytest.mark.parametrize("tool", ["Refused", "Passed", "Moved"])
@pytest.mark.parametrize("mib", [40, 60, 100, 150, 200, 400])
def test_without_memory_it_decides_rightly_or_not_at_all(host, tool, mib):
    answer = host.hook(wire(tool_name=tool), before=f"ulimit -v {mib * 1024}")
    if answer.code != 0 or b'"deny"' in answer.out:
        assert reason_of(answer)
        return
    outcome = validate("PreToolUse", answer.out, INPUT)
    assert (outcome.does, outcome.input) == ("no opinion", MOVED if tool == "Moved" else None)
    assert tool != "Refused"


@pytest.mark.parametrize("files", [6, 7, 8, 10, 12])
def test_without_descriptors_it_decides_rightly_or_not_at_all(host, files):
    """From 6 on, where Python itself can start."""
    assert reason_of(host.hook(wire(tool_name="Refused"), before=f"ulimit -n {files}"))


def test_without_processor_time_it_refuses(host):
    """The kernel's own limit, which ends a process by a signal."""
    busy = "hook._decided = lambda *_: [None for _ in iter(int, 1)]"
    program = f"{HOOK}; {busy}; hook.main(sys.argv[2:])"
    assert "the deciding process ended" in reason_of(host.hook(wire(), program=program, before="ulimit -t 1"))


@pytest.mark.parametrize("name", ["PreToolUse", *QUIET])
def test_when_no_process_can_be_started_nothing_is_passed_that_can_be_stopped(host, name):
    fails = "def fork(): raise BlockingIOError(11, 'Resource temporarily unavailable')"
    program = f"{HOOK}\n{fails}\nos.fork = fork\nhook.main(sys.argv[2:])"
    answer = host.hook(wire(name), program=program)
    if name == "PreToolUse":
        assert "resource temporarily unavailable" in reason_of(answer)
    else:
        assert said_nothing(answer), answer


# What our own side may do wrong.


def test_what_anybody_prints_never_reaches_standard_output(host):
    program = f"""{HOOK}
import atexit
decided = hook._decided
def noisy(*given):
    print("a print", flush=True)
    os.write(1, b"a write")
    os.system("echo another process")
    print("a print that nobody flushed")
    return decided(*given)
hook._decided = noisy
atexit.register(print, "goodbye", flush=True)
print("before")
hook.main(sys.argv[2:])
"""
    answer = host.hook(wire(tool_name="Refused"), program=program)
    assert "policy" in reason_of(answer)
    assert answer.out.count(b"\n") == 1
    assert b"another process" in answer.err


BUGS = {
    "raises": "def decided(*_): raise ValueError('oops')",
    "runs out of memory": "def decided(*_): raise MemoryError",
    "exits": "def decided(*_): sys.exit(0)",
    "exits at once": "def decided(*_): os._exit(0)",
    "recurses": "def decided(*_): return decided()",
    "answers nothing": "def decided(*_): return None",
    "cannot be imported": "def decided(*_): raise ImportError('wasmguard.guard')",
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_bug_of_ours_is_a_deny(host, bug):
    assert "the deciding process" in reason_of(
        host.hook(wire(), program=f"{HOOK}\n{bug}\nhook._decided = decided\nhook.main(sys.argv[2:])")
    )


def test_a_bug_of_ours_behind_the_wall_is_named(host):
    program = f"{HOOK}; from wasmguard import guard; guard.Guard = None; hook.main(sys.argv[2:])"
    assert "internal error: TypeError" in reason_of(host.hook(wire(), program=program))


def test_a_failure_while_refusing_still_blocks(host):
    program = f"{HOOK}; hook._decided = hook._refusal = lambda *_: 1 / 0; hook.main(sys.argv[2:])"
    assert host.hook(wire(), program=program).code == 2


def test_what_the_kernel_takes_in_small_pieces_arrives_whole(host):
    program = f"{HOOK}; write = os.write; os.write = lambda to, data: write(to, data[:9]); hook.main(sys.argv[2:])"
    assert "policy" in reason_of(host.hook(wire(tool_name="Refused"), program=program))


# A tool's output, which would be shown without an answer.

RAN = wire("PostToolUse", tool_name="Bash", tool_input={}, tool_response={"stdout": "s3cret"})
HELD = {"stdout": NOTICE}
REDACTS = """
[[policy]]
name = "redacts"
module = "redacts.wasm"
events = ["PostToolUse", "PreToolUse"]
grants.rewrite_output.Bash = { max = "1 KiB" }
"""


@pytest.fixture(scope="module")
def redacting(host, assembled):
    return host.locked(host.configured("redacting", REDACTS, redacts=assembled("redacts")))


def hides(answer):
    """Whether nothing of the output is shown: what stands in its place, or that the run ends."""
    assert answer.code == 0, answer
    assert b"s3cret" not in answer.out
    outcome = validate("PostToolUse", answer.out)
    return outcome.output == HELD or bool(outcome.ends)


@pytest.fixture(params=["gone", "no configuration", "another one"])
def no_longer(request, redacting):
    text = redacting.read_text()
    if request.param == "gone":
        redacting.unlink()
    else:
        redacting.write_text("[[policy]\n" if request.param == "no configuration" else text + "tools = 7\n")
    yield redacting
    redacting.write_text(text)


def test_a_broken_configuration_shows_no_output_that_a_policy_might_have_rewritten(host, no_longer):
    assert hides(host.hook(RAN, no_longer))


def test_without_a_plan_to_be_trusted_no_output_is_shown(host, redacting):
    plans = (host.home / ".local/state/wasmguard/plans").iterdir()
    file = next(path for path in plans if str(redacting).encode() in path.read_bytes())
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-3] + b"xyz")
        assert hides(host.hook(RAN, redacting))
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "more", [b',"x":1,"x":2}\n', b',"x":1e999}\n', b',"x":' + b"[" * 99 + b"]" * 99 + b"}\n", b',"']
)
def test_an_unreadable_event_shows_no_output_that_a_policy_might_have_rewritten(host, redacting, more):
    assert hides(host.hook(RAN.rstrip()[:-1] + more, redacting))
    assert said_nothing(host.hook(RAN.rstrip()[:-1] + more))


@ENDING
def test_a_hook_that_is_told_to_end_shows_no_output_that_a_policy_might_have_rewritten(host, redacting, number):
    for config, hidden in ((redacting, True), (host.config, False)):
        process, _ = deciding(host, RAN, f"{HANGS}; hook.main(['--config', {str(config)!r}])")
        process.send_signal(number)
        answer = ended(process)
        assert hides(answer) if hidden else said_nothing(answer), answer


def test_a_crash_and_the_deadline_show_no_output_that_a_policy_might_have_rewritten(host, redacting):
    hasty = f"{HANGS}; hook.DEADLINE = 0.5; hook.main(sys.argv[2:])"
    for program in (hasty, f"{HOOK}; hook._decided = lambda *_: os.abort(); hook.main(sys.argv[2:])"):
        assert hides(host.hook(RAN, redacting, program=program))
        assert said_nothing(host.hook(RAN, program=program))


def test_an_unknown_argument_shows_no_output(host):
    assert hides(host.hook(RAN, program=f"{HOOK}; hook.main(['--colour', 'red'])"))


BROKEN_INSIDE = ("wasmguard.serve.answer", "wasmguard.serve.hidden", "wasmguard.agents.claude", "wasmguard.wire")


@pytest.mark.parametrize("module", BROKEN_INSIDE)
def test_a_broken_installation_shows_no_output_and_still_blocks_a_call_that_looks_like_one(host, module):
    program = SERVE.replace("from wasmguard", f"sys.modules[{module!r}] = None; from wasmguard")
    assert hides(host.hook(RAN.rstrip() + b",", program=program))
    looks = wire(tool_name="mcp__a__b", tool_input=json.loads(RAN))
    if module != "wasmguard.serve.hidden":
        assert host.hook(looks, program=program).code == 2


MISSING = (
    "wasmguard.serve.hook",
    "wasmguard.serve.answer",
    "wasmguard.agents.claude",
    "wasmguard.wire",
)


@pytest.mark.parametrize("module", MISSING)
def test_a_broken_installation_blocks(host, module):
    program = SERVE.replace("from wasmguard", f"sys.modules[{module!r}] = None; from wasmguard")
    answer = host.hook(wire(), program=program)
    assert answer.code == 2
    assert b"reinstall it" in answer.err


@pytest.mark.parametrize("module", ["wasmguard.guard", "msgpack", "wasmguard.sandbox.process"])
def test_an_installation_that_can_still_say_no_says_it_in_json(host, module):
    program = SERVE.replace("from wasmguard", f"sys.modules[{module!r}] = None; from wasmguard")
    answer = host.hook(wire(), program=program)
    assert answer.code == 0, answer
    assert reason_of(answer)


@pytest.mark.parametrize("name", sorted(STOPPING))
@pytest.mark.parametrize("module", MISSING[1:])
def test_a_broken_installation_does_not_keep_an_agent_running(host, module, name):
    program = SERVE.replace("from wasmguard", f"sys.modules[{module!r}] = None; from wasmguard")
    answer = host.hook(wire(name), program=program)
    assert (answer.code, answer.out) == (0, b"{}\n")


@pytest.mark.parametrize("module", MISSING[1:])
def test_a_broken_installation_is_not_lured_by_the_input(host, module):
    program = SERVE.replace("from wasmguard", f"sys.modules[{module!r}] = None; from wasmguard")
    assert host.hook(LURED, program=program).code == 2


# The owner may turn it off.


def test_while_its_owner_has_it_off_nothing_is_judged(host, monkeypatch):
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(host.home))
    switch.switch_off(60)
    try:
        assert said_nothing(host.hook(wire(tool_name="Refused")))
    finally:
        switch.switch_on()
    assert "refuses" in reason_of(host.hook(wire(tool_name="Refused")))


@pytest.mark.parametrize("variable", ["CLAUDECODE", "CLAUDE_PROJECT_DIR"])
@pytest.mark.parametrize("place", ["HOME", "XDG_STATE_HOME"])
def test_a_project_cannot_bring_a_state_folder_in_which_it_is_off(host, monkeypatch, variable, place):
    """A project's settings may set variables for hooks, and a folder of its own comes with a key of its own."""
    theirs = host.folder / f"theirs-{variable}-{place}"
    with monkeypatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv(place, str(theirs))
        switch.switch_off(60)
    project = f"export {variable}=1 {place}={theirs}"
    assert 'policy "refuses" says' in reason_of(host.hook(wire(tool_name="Refused"), before=project))


def test_a_mark_that_was_not_written_with_the_owners_key_does_not_turn_it_off(host):
    mark = host.home / ".local/state/wasmguard/plans/off"
    mark.write_bytes(b'{"start":0,"end":9999999999}')
    mark.chmod(0o600)
    try:
        assert "refuses" in reason_of(host.hook(wire(tool_name="Refused")))
    finally:
        mark.unlink()


# Stop events that cannot be understood are not held up either, as long as they can be told.

MANGLED_STOPS = {
    "cut off": lambda raw: raw[:-4],
    "twice": lambda raw: raw * 2,
    "too deep": lambda raw: raw.replace(b"false", DEEP),
    "a key twice": lambda raw: raw.replace(b'"cwd"', b'"session_id"'),
    "a wrong type": lambda raw: raw.replace(b'"/tmp"', b"7"),
    "not UTF-8": lambda raw: raw.replace(b"false", b'"\xff"'),
}


@pytest.mark.parametrize("mangled", MANGLED_STOPS.values(), ids=MANGLED_STOPS.keys())
@pytest.mark.parametrize("name", sorted(STOPPING))
def test_a_stop_that_cannot_be_read_is_not_held_up(host, name, mangled):
    answer = host.hook(mangled(wire(name)))
    assert said_nothing(answer), answer


def test_a_stop_of_100_megabytes_is_not_held_up(host):
    raw = wire("Stop", last_assistant_message="x")
    answer = host.hook(hundred_megabytes(raw, at=b'"last_assistant_message":"'))
    assert said_nothing(answer), answer


# What a hostile project or a hostile event could reach for.


def test_to_say_no_has_a_deadline_of_its_own(host):
    """The name of an event is looked for in all its bytes, and hostile ones may be many."""
    program = f"""{HOOK}
import time
from wasmguard.serve import answer
hook.REFUSAL, answer.refusal = 1, lambda *_: time.sleep(60)
hook._decided = lambda *_: os._exit(3)
hook.main(sys.argv[2:])"""
    answer = host.hook(wire(), program=program)
    assert (answer.code, answer.out.startswith(b'{"hookSpecificOutput"')) == (2, True)


def test_a_blocked_alarm_still_rings(host):
    program = f"""import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
{HOOK}; hook.DEADLINE = 1; hook.main(sys.argv[2:])"""
    process = host.start(program=program)
    assert "no decision after 1 s" in reason_of(ended_late(process))


def ended_late(process):
    process.wait(timeout=20)
    return ended(process)


@pytest.mark.parametrize("mark", ["CLAUDECODE=1", "CLAUDE_PROJECT_DIR=/tmp", ""])
@pytest.mark.parametrize("said", ["", "'--home', {home!r}"])
def test_a_project_s_variable_does_not_choose_the_configuration_of_a_hook(host, tmp_path, assembled, mark, said):
    """Claude Code hands `env` of a project's settings on to the hooks."""
    (tmp_path / "pass.wasm").write_bytes(assembled("pass"))
    evil = tmp_path / "wasmguard.toml"
    evil.write_text('[[policy]]\nname = "p"\nmodule = "pass.wasm"\n')
    host.locked(evil)
    program = SERVE.replace("; from", f"; sys.argv[2:] = [{said.format(home=str(tmp_path))}]; from", 1)
    answer = host.hook(wire(), before=f"export WASMGUARD_CONFIG={evil} {mark}", program=program)
    if mark or said:
        assert "does not exist" in reason_of(answer)
    else:
        assert (answer.code, answer.out) == (0, b"{}\n")


PLACES = ["HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"]


@pytest.mark.parametrize("mark", ["CLAUDECODE", "CLAUDE_PROJECT_DIR"])
def test_a_project_cannot_bring_a_plan_with_a_key_of_its_own(host, assembled, mark):
    """Nor compiled code: the folders are those of the command line, whatever the variables of a session say."""
    text = '[[policy]]\nname = "refuses"\nmodule = "refuses.wasm"\n'
    config = host.locked(host.configured(f"forged-{mark}", text, refuses=assembled("deny")))
    with pytest.MonkeyPatch.context() as patch:
        for name in PLACES:
            patch.setenv(name, str(host.folder / f"forger-{mark}"))
        lock(str(config), repin=False)
        plan.write(plan.read(str(config)).replaced(policies=()))
    program = SERVE.replace("; from", f"; sys.argv += ['--home', {str(host.home)!r}]; from", 1)
    forged = " ".join(f"{name}={host.folder}/forger-{mark}" for name in PLACES)
    answer = host.hook(wire(tool_name="Refused"), config, before=f"export {mark}=1 {forged}", program=program)
    assert 'policy "refuses" says' in reason_of(answer)


@pytest.mark.parametrize("mark", ["CLAUDECODE", "CLAUDE_PROJECT_DIR"])
def test_in_an_agent_without_a_home_on_the_command_line_it_is_that_of_the_password_database(host, mark):
    program = HOOK + (
        "; from wasmguard import places; from wasmguard.serve.options import parsed, settled;"
        " settled(parsed(['--config', '/c'])); print(places.state_dir(), places.cache_dir()); raise SystemExit"
    )
    environment = {mark: "1", "HOME": "/theirs", "XDG_STATE_HOME": "/theirs", "XDG_CACHE_HOME": "/theirs"}
    said = subprocess.check_output([sys.executable, "-I", "-c", program], env=environment, text=True)
    assert "/theirs" not in said
    assert said.count(places.home_in_database()) == 2


def test_modules_in_the_folder_of_the_agent_are_not_imported(host, tmp_path):
    """`python -m wasmguard` without `-I` puts that folder first."""
    (tmp_path / "msgpack.py").write_text("import os; os._exit(0)")
    command = [sys.executable, "-m", "wasmguard", "serve", "--config", str(host.config)]
    environment = {"HOME": str(host.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=wire(tool_name="Refused"), cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert b'"permissionDecision":"deny"' in done.stdout, done


# A daemon that is there is asked; whatever is wrong with it, the hook decides by itself.


class Daemon(threading.Thread):
    """Answers one question at the socket *path* with *said*, bytes of a frame or what makes them of the question."""

    def __init__(self, path, said):
        super().__init__()
        self.question, self._said = b"", said
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(20)
        self.start()

    def run(self):
        with self._listener, suppress(OSError):
            channel, _ = self._listener.accept()
            with channel:
                channel.settimeout(20)
                while len(self.question) < link.QUESTION or len(self.question) < self._whole():
                    self.question += channel.recv(1 << 20)
                channel.sendall(self._said)
                if self._said == b"":
                    channel.recv(1)  # says nothing until the hook goes

    def _whole(self):
        return link.QUESTION + link.asked(self.question[: link.QUESTION])[2]


def asked_through(host, path, raw, said, **options):
    """The hook's answer beside a daemon that says *said*, and the question that it was asked."""
    daemon = Daemon(path, said)
    program = SERVE.replace("; from", f"; sys.argv += ['--socket', {str(path)!r}]; from", 1)
    program = program.replace("; main()", "; import wasmguard.serve.start as s; s.start = lambda *_: None; main()")
    try:
        return host.hook(raw, program=program, **options), daemon.question
    finally:
        daemon.join()


DENIES = claude.encode(claude.refusal("PreToolUse", "said by the daemon"))


def test_a_daemon_that_is_there_decides(host, tmp_path):
    raw = wire()
    answer, question = asked_through(host, tmp_path / "s", raw, link.answered(link.ANSWERED, DENIES))
    assert "said by the daemon" in reason_of(answer)
    context, event = link.without_context(question[link.QUESTION :])
    assert event == raw
    assert context["HOME"] == str(host.home)
    assert SECRET.encode() not in question


def test_a_daemon_that_blocks_is_heard(host, tmp_path):
    answer, _ = asked_through(host, tmp_path / "s", wire(), link.answered(link.BLOCKED, DENIES, b"because\n"))
    assert (answer.code, answer.out, answer.err) == (2, DENIES, b"because\n")


NO_ANSWERS = {
    "half a frame": link.answered(link.ANSWERED, b"{}\n")[:-1],
    "of another version": link.answered(link.ELSEWHERE, b""),
    "with a code that is none": b"wg\x01\x01" + link.answered(link.ANSWERED, b"{}\n")[4:],
    "no object": link.answered(link.ANSWERED, b"null\n"),
    "nothing in a frame": link.answered(link.ANSWERED, b""),
    "half an object": link.answered(link.ANSWERED, b'{"a'),
    "something else": b"HTTP/1.1 200 OK\r\n\r\n{}\n",
}


@pytest.mark.parametrize("said", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_daemon_without_a_whole_answer_decides_nothing(host, tmp_path, said):
    answer, _ = asked_through(host, tmp_path / "s", wire(tool_name="Refused"), said)
    assert 'policy "refuses" says' in reason_of(answer)


def test_a_daemon_that_says_nothing_is_not_waited_for(host, tmp_path):
    answer, _ = asked_through(host, tmp_path / "s", wire(tool_name="Refused"), b"")
    assert 'policy "refuses" says' in reason_of(answer)


def test_a_socket_that_nobody_serves_decides_nothing(host, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    program = SERVE.replace("; from", f"; sys.argv += ['--socket', {str(tmp_path / 's')!r}]; from", 1)
    program = program.replace("; main()", "; import wasmguard.serve.start as s; s.start = lambda *_: None; main()")
    assert 'policy "refuses" says' in reason_of(host.hook(wire(tool_name="Refused"), program=program))


def test_a_clock_that_a_thin_client_started_goes_on(host):
    """It has waited for the daemon already, and the agent's patience does not begin anew."""
    program = SERVE.replace("; from", "; import signal; signal.setitimer(signal.ITIMER_REAL, 1); from", 1)
    process = host.start(program=program)
    process.wait(timeout=20)  # it never gets its event
    assert "no decision" in reason_of(ended(process))


def test_what_denies_every_call_names_the_way_out(host, tmp_path):
    """Also for who has nothing but the agent's word for it."""
    broken = tmp_path / "wasmguard.toml"
    for text in ("not toml [", None):
        broken.unlink(missing_ok=True) if text is None else broken.write_text(text)
        assert "run `wasmguard uninstall claude-code`" in reason_of(host.hook(wire(), broken))
