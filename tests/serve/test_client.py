"""The thin clients: what the daemon answers, whole, or what the own process decides, or no. Never silence.

Both clients run the same cases; the native one as it is installed, and under sanitizers, which end it if it oversteps.
"""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
import warnings
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from tests.serve.host import Host, wire
from tests.serve.thin import (
    BARE,
    DAEMONS_OWN,
    SANITIZED,
    SERVE,
    Client,
    Daemon,
    compiled,
    ended,
    saying,
    silent,
)
from wasmguard import link
from wasmguard.event import STOPPING
from wasmguard.version import __version__

POLICY = '[[policy]]\nname = "only"\nmodule = "only.wasm"\n'
YES = link.answered(link.ANSWERED, DAEMONS_OWN)
STOP = wire("Stop")
BROKEN = {
    "nothing": b"",
    "half a head": YES[:7],
    "a head alone": YES[: link.ANSWER],
    "all but one byte": YES[:-1],
    "another protocol": b"wg\x02" + YES[3:],
    "a code that nobody knows": link.answered(1, DAEMONS_OWN),
    "a code that looks negative": link.answered(255, DAEMONS_OWN),
    "decide elsewhere": link.answered(link.ELSEWHERE, b""),
    "decide elsewhere, with an answer": link.answered(link.ELSEWHERE, DAEMONS_OWN),
    "no answer in it": link.answered(link.ANSWERED, b"", b"why\n"),
    "one brace": link.answered(link.ANSWERED, b"{\n"),
    "plain text": link.answered(link.ANSWERED, b"go on\n"),
    "null": link.answered(link.ANSWERED, b"null\n"),
    "a line before the object": link.answered(link.ANSWERED, b"log\n{}\n"),
    "no newline": link.answered(link.ANSWERED, b"{}"),
    "text after the object": link.answered(link.ANSWERED, b"{}\n\0"),
    "a longer answer announced": YES[:7] + b"\xff" + YES[8:],
    "the longest answer announced": YES[:4] + b"\xff" * 4 + YES[8:],
    "the longest complaint announced": YES[:8] + b"\xff" * 4 + YES[12:],
    "both the longest": YES[:4] + b"\xff" * 8 + YES[12:],
    "a shorter answer announced": link.answered(link.ANSWERED, DAEMONS_OWN[:-3]) + DAEMONS_OWN[-3:],
}


@pytest.fixture(scope="module")
def host(tmp_path_factory, assembled):
    return Host(tmp_path_factory.mktemp("clients"), POLICY, only=assembled("deny"))


def built(kind, folder, source=SERVE / "client.c"):
    """The native client of *kind*; skips where it cannot be had. `native` is what was installed, if it was."""
    installed = SERVE / "wasmguard-client"
    if kind == "sanitized":
        path = compiled(folder, *SANITIZED, source=source)
    elif installed.exists() and source == SERVE / "client.c":
        path = installed
    else:
        path = compiled(folder, *BARE, source=source) or compiled(folder, source=source)
    return path or pytest.skip(f"there is no native client ({kind}): no compiler for it")


@pytest.fixture(scope="module", params=["python", "native", "sanitized"])
def client(request, host, tmp_path_factory):
    native = None if request.param == "python" else built(request.param, tmp_path_factory.mktemp("native"))
    return Client(request.param, native, SERVE / "client.py", host)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "socket"


def copied(folder, host, kind, *, package=True, **changed):
    """The client of *kind* with other numbers, in a copy of the package; or with nothing else there."""
    serve = folder / "wasmguard" / "serve"
    serve.mkdir(parents=True)
    text = {name: (SERVE / name).read_text(encoding="utf-8") for name in ("client.py", "thin.py", "client.c")}
    for name, value in changed.items():
        old = {"SECONDS": 27, "DAEMON": 4}[name]
        text["client.c"] = replaced(text["client.c"], f"  {name} = {old},", f"  {name} = {value},")
        text["thin.py"] = replaced(text["thin.py"], f"\n{name} = {old} ", f"\n{name} = {value} ")
    for name, content in text.items():
        (serve / name).write_text(content, encoding="utf-8")
    for source in [*SERVE.parent.iterdir(), *SERVE.iterdir()] if package else []:
        place = folder / "wasmguard" / source.relative_to(SERVE.parent)
        if not place.exists():
            place.symlink_to(source)
    native = None if kind == "python" else built(kind, folder, serve / "client.c")
    return Client(kind, native, serve / "client.py", host)


def replaced(text, old, new):
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.fixture
def hurried(client, host, tmp_path):
    """Makes the same client with less patience."""
    return lambda **numbers: copied(tmp_path / "hurried", host, client.kind, **numbers)


def decided_itself(answer):
    """Whether the policy was asked in the hook's own process."""
    said = json.loads(answer.out)["hookSpecificOutput"]
    return (
        answer.code == 0
        and said["permissionDecision"] == "deny"
        and 'policy "only"' in said["permissionDecisionReason"]
    )


def refused(answer, why):
    """Whether it said no by itself: for people, for the agent, and by the code that counts whatever was printed."""
    said = json.loads(answer.out)["hookSpecificOutput"]
    assert said["permissionDecision"] == "deny", answer
    assert "wasmguard uninstall claude-code" in said["permissionDecisionReason"]
    lines = answer.err.decode().splitlines()
    return answer.code == 2 and len(lines) == 1 and lines[0].startswith("wasmguard: refused: ") and why in lines[0]


# What the daemon answers


@pytest.mark.parametrize("code", [link.ANSWERED, link.BLOCKED])
@pytest.mark.parametrize("complaint", [b"", "why: ü\n".encode()])
def test_a_whole_answer_goes_through_as_it_is(client, path, code, complaint):
    with Daemon(path, saying(link.answered(code, DAEMONS_OWN, complaint))):
        answer = client(path, wire())
    assert (answer.code, answer.out, answer.err) == (code, DAEMONS_OWN, complaint)


@pytest.mark.parametrize("size", [65_536, 131_060, 131_072, 5_000_000])
def test_a_long_answer_goes_through_whole(client, path, size):
    long = b'{"a":"' + b"x" * (size - 9) + b'"}\n'
    with Daemon(path, saying(link.answered(link.ANSWERED, long, b"c" * 60_000))):
        answer = client(path, wire())
    assert (answer.code, answer.out, len(answer.err)) == (0, long, 60_000)


def test_an_answer_may_come_in_pieces(client, path):
    def dripping(channel, _):
        for number in range(len(YES)):
            channel.sendall(YES[number : number + 1])
            time.sleep(0.001)

    with Daemon(path, dripping):
        assert client(path, wire()).out == DAEMONS_OWN


@pytest.mark.parametrize("size", [0, 1, 65_536, 131_000, 131_072, 131_073, 5_000_000])
def test_an_event_arrives_as_it_was_sent(client, path, size):
    raw = random.Random(size).randbytes(size)
    with Daemon(path, saying(YES)) as daemon:
        assert client(path, [raw[:100], raw[100:]]).out == DAEMONS_OWN
    context = {"HOME": str(client.host.home)}
    assert daemon.questions == [link.question(link.EVENT, link.with_context(context, raw, str(path)))]


def test_the_largest_event_arrives_and_one_byte_more_is_not_even_sent(client, path):
    largest = b" " * (link.LARGEST - 2) + b"{}"
    with Daemon(path, saying(YES)) as daemon:
        assert client(path, largest).out == DAEMONS_OWN
        assert daemon.questions.pop().endswith(largest)
        answer = client(path, largest + b"\n")
        assert answer.code == 2
        assert b"67_108_865 bytes, more than the limit" in answer.err
    assert daemon.questions == []


def test_of_the_environment_only_the_context_leaves(client, path):
    said = {name: f"/{name.lower()}" for name in link.CONTEXT} | {"HOME": os.fsdecode(b"/home/\xff\xc3")}
    with Daemon(path, saying(YES)) as daemon:
        client(path, b"{}", environ=said | {"HOMEPAGE": "secret", "XDG_DATA_HOME": "secret"})
        client(path, b"{}", environ=dict.fromkeys(link.CONTEXT, ""))
        client(path, b"{}", environ={"HOME": "x" * (link.LARGEST_CONTEXT - len(f"HOME= SOCKET={path} "))})
    full, empty, most = (link.without_context(question[link.QUESTION :]) for question in daemon.questions)
    there = {link.SOCKET: str(path)}
    assert full == (said | there, b"{}")
    assert empty == (there, b"{}")
    assert len(most[0]["HOME"]) == link.LARGEST_CONTEXT - len(f"HOME= SOCKET={path} ")


def test_a_context_that_is_too_large_stays_at_home(client, path):
    with Daemon(path, saying(YES)) as daemon:
        assert decided_itself(client(path, wire(), environ={"USER": "x" * (link.LARGEST_CONTEXT - len("USER="))}))
    assert daemon.questions in ([], [b""])


# What the own process decides


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN)
def test_anything_but_a_whole_answer_is_decided_here(client, path, frame):
    with Daemon(path, saying(frame)) as daemon:
        assert decided_itself(client(path, wire()))
    assert len(daemon.questions) == 1  # the native client has asked: its successor does not ask again


def test_without_a_daemon_it_is_decided_here(client, tmp_path):
    nobody = tmp_path / "nobody"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(nobody))
    (tmp_path / "file").touch()
    for path in (nobody, tmp_path / "file", tmp_path, tmp_path / "none", tmp_path / "long" / ("x" * 100), ""):
        assert decided_itself(client(path, wire())), path


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_large_event_is_decided_here_whole(client, tmp_path, size):
    raw = wire(tool_input={"file_path": "/x", "content": "x" * size})
    assert decided_itself(client(tmp_path / "none", raw))
    assert b"JSON" in client(tmp_path / "none", raw[:-3]).err  # so all of it was looked at


def test_a_silent_daemon_is_not_waited_for(hurried, path):
    client = hurried(DAEMON=1)
    with Daemon(path, silent) as daemon:
        begun = time.monotonic()
        assert decided_itself(client(path, wire()))
        assert 1 <= time.monotonic() - begun < 15
    assert len(daemon.questions) == 1


def test_a_daemon_that_does_not_read_is_not_waited_for(hurried, path):
    client = hurried(DAEMON=1)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(path))
        stopped.listen()
        assert decided_itself(client(path, wire(tool_input={"file_path": "/x", "content": "x" * 1_000_000})))


def test_a_daemon_that_accepts_nobody_is_not_waited_for(hurried, path):
    client = hurried(DAEMON=1)
    with socket.socket(socket.AF_UNIX) as stopped, socket.socket(socket.AF_UNIX) as waiting:
        stopped.bind(str(path))
        stopped.listen(0)
        waiting.connect(str(path))  # there is room for one
        assert decided_itself(client(path, wire()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_elses_daemon_is_not_believed(client, path):
    with Daemon(path, saying(YES), user=65534) as daemon:
        assert decided_itself(client(path, wire()))
    assert daemon.questions == [b""]  # it was told nothing


def test_the_clock_and_the_blocked_signals_go_on_into_the_next_program(client, path):
    if client.native is None:
        pytest.skip("it decides in the same process")
    program = (
        "import json, os, signal, sys; left, _ = signal.getitimer(signal.ITIMER_REAL); "
        "names = ((n, f'/proc/self/fd/{n}') for n in range(3, 50)); "
        "opened = [n for n, name in names if os.path.lexists(name)]; "
        "print(json.dumps([left, list(signal.pthread_sigmask(0, [])), opened, sys.stdin.read(), sys.argv[1:]]))"
    )
    command = [str(client.native), str(path), sys.executable, "-I", "-c", program, "a", "b c"]
    with Daemon(path, saying(b"no answer")):
        left, blocked, opened, stdin, arguments = json.loads(client(None, b"the event", command=command).out)
    assert 20 < left <= 27
    assert {signal.SIGTERM, signal.SIGALRM, signal.SIGHUP} <= set(blocked)
    assert opened == []
    assert (stdin, arguments) == ("the event", ["a", "b c"])


def test_a_clock_that_runs_means_that_the_daemon_was_asked(host, path):
    client = Client("python", None, SERVE / "client.py", host)
    program = "import os, signal, sys; signal.setitimer(0, 20); os.execv(sys.argv[1], sys.argv[1:])"
    with Daemon(path, saying(YES)) as daemon:
        command = [sys.executable, "-I", "-c", program, *client.command(path)]
        assert decided_itself(client(path, wire(), command=command))
    assert daemon.questions == []
    late = program.replace("20", "0.5")
    with client.start(path, command=[sys.executable, "-I", "-c", late, *client.command(path)]) as process:
        process.wait(timeout=15)
        assert refused(ended(process), "no answer")


# No


def test_an_event_that_never_ends_is_refused_in_time(hurried, path):
    client = hurried(SECONDS=1)
    with Daemon(path, saying(YES)) as daemon, client.start(path) as process:
        process.stdin.write(wire()[:-2])
        begun = time.monotonic()
        process.wait(timeout=20)
        assert time.monotonic() - begun < 10
        assert refused(ended(process), "no answer")
    assert daemon.questions == []


def test_a_daemon_that_drips_is_refused_in_time(hurried, path):
    def dripping(channel, _):
        for byte in YES * 10:
            channel.sendall(bytes([byte]))
            time.sleep(0.2)

    client = hurried(SECONDS=2)
    with Daemon(path, dripping):
        assert refused(client(path, wire()), "no answer")


def test_an_agent_that_does_not_take_its_answer_sees_the_code(hurried, path):
    client = hurried(SECONDS=1)
    long = b'{"a":"' + b"x" * 1_000_000 + b'"}\n'
    with Daemon(path, saying(link.answered(link.ANSWERED, long))), client.start(path) as process:
        process.stdin.write(wire())
        process.stdin.close()
        assert process.wait(timeout=20) == 2  # before anybody read
        process.stdin = None
        ended(process)


ENDING = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "XCPU", "IO"]


@pytest.mark.parametrize("blocked", [False, True], ids=["open", "blocked by whoever started it"])
def test_a_signal_that_would_end_it_is_answered(client, path, blocked):
    numbers = [getattr(signal, f"SIG{name}") for name in ENDING]
    block = (lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers)) if blocked else None
    for number in numbers[:3] if blocked else numbers:
        with Daemon(path, saying(YES)), client.start(path, preexec_fn=block) as process:
            waits_for_input(process)
            process.send_signal(number)
            why = "no answer" if number == signal.SIGALRM else "ended by"
            process.wait(timeout=20)
            assert refused(ended(process), why), number


def test_a_signal_while_the_daemon_thinks_is_answered(client, path):
    with client.start(path) as process:
        with Daemon(path, lambda channel, _: (process.send_signal(signal.SIGTERM), channel.recv(1))):
            process.stdin.write(wire())
            process.stdin.close()
            process.wait(timeout=20)
        process.stdin = None
        assert refused(ended(process), "ended by")


def test_signals_that_end_nobody_change_nothing(client, path):
    with Daemon(path, saying(YES)), client.start(path) as process:
        waits_for_input(process)
        for name in ("CHLD", "CONT", "URG", "WINCH", "PIPE"):
            process.send_signal(getattr(signal, f"SIG{name}"))
        process.stdin.write(wire())
        assert ended(process).out == DAEMONS_OWN


def waits_for_input(process):
    """Wait until *process* reads its standard input: its handlers are there."""
    process.stdin.write(b" ")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
            if file.read().split()[:2] in (["0", "0x0"], ["63", "0x0"]):  # `read` on x86-64 and on ARM
                return
        time.sleep(0.005)
    raise AssertionError(f"{process.args} does not read: {ended(process)}")


@pytest.mark.parametrize("raw", [wire(name) for name in sorted(STOPPING)], ids=sorted(STOPPING))
def test_stop_events_are_let_go(client, path, raw):
    with Daemon(path, saying(YES)), client.start(path) as process:
        waits_for_input(process)
        process.stdin.write(raw)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        answer = ended(process)
    assert (answer.code, answer.out, answer.err) == (0, b"{}\n", b"")


def test_a_tool_call_that_looks_like_a_stop_event_is_not(client, path):
    raw = wire(tool_input={"content": '"hook_event_name":"Stop"'}).replace(b"\\", b"")
    assert b'"hook_event_name":"Stop"' in raw
    with Daemon(path, saying(YES)), client.start(path) as process:
        waits_for_input(process)
        process.stdin.write(raw)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert refused(ended(process), "ended by")


def test_an_answer_that_cannot_be_written_blocks(client, path):
    with Daemon(path, saying(YES)):
        full = client(path, wire(), redirected=">/dev/full")
        assert (full.code, full.out) == (2, b"")
        assert b"its answer cannot be written to standard output: give it a pipe\n" in full.err
        reading, writing = os.pipe()
        os.close(reading)
        with client.start(path, stdout=writing) as process:
            os.close(writing)
            process.stdin.write(wire())
            assert ended(process).code == 2


def test_a_complaint_that_cannot_be_written_changes_nothing(client, path):
    for code in (link.ANSWERED, link.BLOCKED):
        with Daemon(path, saying(link.answered(code, DAEMONS_OWN, b"why\n"))):
            answer = client(path, wire(), redirected="2>/dev/full")
        assert (answer.code, answer.out) == (code, DAEMONS_OWN)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_with_closed_descriptors_nothing_is_lost_or_misdirected(client, path, closed):
    with Daemon(path, saying(YES)) as daemon:
        answer = client(path, wire(), redirected=closed)
    if closed == "2>&-":
        assert (answer.code, answer.out) == (0, DAEMONS_OWN)
    else:
        assert answer.code == 2 or daemon.questions
        assert answer.code == 2 or answer.out == DAEMONS_OWN
    assert b"from" not in answer.err


@pytest.mark.parametrize("raw", [wire(), STOP], ids=["PreToolUse", "Stop"])
def test_a_broken_installation_refuses_and_names_the_repair(client, host, tmp_path, raw):
    alone = copied(tmp_path / "alone", host, client.kind, package=False)
    python = bare_python(tmp_path / "venv")
    command = [str(python) if word == sys.executable else word for word in alone.command(tmp_path / "none")]
    answers = [alone(None, raw, command=command)]
    broken = copied(tmp_path / "broken", host, "python")
    thin = broken.script.with_name("thin.py")
    for damage in (lambda: thin.write_text("def main(\n"), lambda: thin.write_text(""), thin.unlink):
        damage()
        answers.append(broken(tmp_path / "none", raw))
    if alone.native is not None:
        answers.append(alone(None, raw, command=[str(alone.native), str(tmp_path / "none"), str(tmp_path / "python")]))
    for answer in answers:
        if raw == STOP:
            assert (answer.code, answer.out, answer.err) == (0, b"{}\n", b"")
        else:
            assert refused(answer, "reinstall wasmguard, or run `wasmguard uninstall claude-code`")


def test_a_package_that_prints_when_it_is_found_puts_nothing_on_stdout(host, tmp_path):
    """Where packages are is what `site` knows, and it runs lines of `.pth` files."""
    client = copied(tmp_path / "copy", host, "python")
    python = bare_python(tmp_path / "venv")
    [packages] = tmp_path.glob("venv/lib/python*/site-packages")
    found = {os.path.dirname(os.path.dirname(__import__(name).__file__)) for name in ("msgpack", "wasmtime")}
    (packages / "found.pth").write_text("\n".join(found), encoding="utf-8")
    (packages / "chatty.pth").write_text("import sys; sys.stdout.write('hello\\n'); sys.stdout.flush()\n")
    command = [str(python), *client.command(tmp_path / "none")[1:]]
    assert decided_itself(client(None, wire(), command=command))


def bare_python(folder):
    """An interpreter without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def test_without_arguments_it_says_what_it_wants(client):
    command = [str(client.native)] if client.native else [sys.executable, "-I", "-S", str(client.script)]
    assert refused(client(None, wire(), command=command), "usage: ")


# Native


def test_the_native_client_says_what_it_is(client):
    if client.native is None:
        pytest.skip("that is the Python client")
    answer = client(None, b"", command=[str(client.native), "--version"])
    assert answer.out.startswith(f"wasmguard-client {__version__} (".encode())
    assert answer.code == 0


def test_without_memory_it_refuses(client, path):
    if client.kind != "native":
        pytest.skip("an interpreter, or a sanitizer, needs more by itself")
    with Daemon(path, saying(YES)):
        answer = client(
            path,
            wire(tool_input={"content": "x" * 1_000_000}),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**24, 2**24)),
        )
    assert refused(answer, "the event cannot be read")


def test_mutated_answers_are_believed_or_not_as_the_protocol_says(client, path):
    """What counts is what `link.told` and the form of an answer say, whatever the bytes are."""
    dice = random.Random(4)
    frames = [mutated(dice) for _ in range(300)]
    rest = iter(frames)
    ask = believed_by(client, path)
    with Daemon(path, lambda channel, _: channel.sendall(next(rest))):
        for frame in frames:
            assert ask() == by_protocol(frame), frame


def mutated(dice):
    """An answer, most of the time with something wrong with it."""
    body = b"{" + dice.randbytes(dice.choice((0, 1, 30, 70_000, 140_000))) + b"}\n"
    frame = bytearray(link.answered(dice.choice((0, 2)), body, dice.randbytes(dice.choice((0, 9)))))
    match dice.randrange(5):
        case 0:
            frame[dice.randrange(link.ANSWER)] ^= 1 << dice.randrange(8)
        case 1:
            del frame[dice.randrange(len(frame)) :]
        case 2:
            frame[4:12] = dice.randbytes(8)
        case 3:
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
    return bytes(frame)


def by_protocol(frame):
    """Code, answer and complaint, or None."""
    try:
        head = frame[: link.ANSWER]
        end = link.ANSWER + int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big")
        code, answer, complaint = link.told(frame[:end])  # what follows belongs to nobody
    except ValueError:
        return None
    whole = code != link.ELSEWHERE and answer.startswith(b"{") and answer.endswith(b"}\n")
    return (code, answer, complaint) if whole else None


def believed_by(client, path):
    """Asks the daemon at *path* once: code, answer and complaint, or None if they are not believed."""
    if client.native is None:
        module = python_client()

        def ask_here():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # its sockets are closed by its end
                return module.ask(str(path), b"{}")

        return ask_here
    command = [str(client.native), str(path), "/bin/sh", "-c", "exit 9"]

    def ask():
        answer = client(path, b"{}", command=command)
        return None if (answer.code, answer.out, answer.err) == (9, b"", b"") else (answer.code, answer.out, answer.err)

    return ask


# Python


def python_client():
    """The Python client as a module."""
    spec = spec_from_file_location("thin", SERVE / "thin.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_python_client_spells_out_what_link_says():
    module = python_client()
    said = (module.MAGIC, module.EVENT, module.VERSION, module.CONTEXT, module.LARGEST_CONTEXT, module.LARGEST)
    context = tuple(name.encode() for name in link.CONTEXT)
    ours = (link.MAGIC, bytes([link.EVENT]), __version__.encode(), context, link.LARGEST_CONTEXT, link.LARGEST)
    assert said == ours


def test_the_python_client_loads_nothing_but_sockets(host, path):
    client = Client("python", None, SERVE / "client.py", host)
    python, *rest = client.command(path)
    with Daemon(path, saying(YES)):
        answer = client(path, wire(), command=[python, "-X", "importtime", *rest])
    assert answer.out == DAEMONS_OWN
    bare = subprocess.run([python, "-I", "-S", "-X", "importtime", "-c", ""], capture_output=True, check=True).stderr
    loaded, always = ({line.rpartition(b"|")[2].strip() for line in said.splitlines()} for said in (answer.err, bare))
    assert loaded - always <= {b"_socket", b"posix", b"thin"}
