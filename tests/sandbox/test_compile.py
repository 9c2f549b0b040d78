"""The compiler in its child: what ends it, what is taken from it, and that nothing of it is left."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.bombs import BOMBS
from wasmguard.errors import HostError, ModuleRefused
from wasmguard.limits import DEFAULT, KIB, MIB
from wasmguard.sandbox import compile as compiling
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.scan import check_abi, scan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def childs(monkeypatch, assembled):
    """What `compiled` makes of a child that runs these lines instead of the compiler."""

    def run(lines, **limits):
        monkeypatch.setattr(compiling, "_CHILD", f"import os, sys, time; {lines}")
        return compiled(assembled("pass"), Setup(), DEFAULT.replaced(**limits))

    return run


def test_compiled_code_comes_back(assembled):
    assert len(compiled(assembled("pass"), Setup(), DEFAULT)) > 1000


def test_the_same_module_compiles_to_the_same_code(assembled):
    assert compiled(assembled("pass"), Setup(), DEFAULT) == compiled(assembled("pass"), Setup(), DEFAULT)


@pytest.mark.parametrize("data", [b"", b"(module)", b"\xef\xbb\xbf(module)", b";; text", b"\0as", b"\x7fELF"])
def test_what_is_no_binary_module_never_reaches_a_compiler(data, monkeypatch):
    """wasmtime assembles text, without a limit."""
    monkeypatch.setattr(compiling, "in_child", lambda *_: pytest.fail("it did"))
    with pytest.raises(ModuleRefused, match="is no WebAssembly"):
        compiled(data, Setup(), DEFAULT)


def test_the_module_is_what_the_child_reads(childs, assembled):
    assert childs("sys.stdout.buffer.write(sys.stdin.buffer.read())") == assembled("pass")


# --- bombs


@pytest.mark.parametrize("bomb", BOMBS)
def test_every_bomb_passes_the_scan(bomb):
    """Or the compiler would never meet it. `python -m tests.sandbox.bombs` compiles all of them: minutes."""
    module = BOMBS[bomb]()
    check_abi(scan(module))


@pytest.mark.parametrize(
    ("bomb", "limit"),
    [
        ("blocks of 1,000 values", r"^cannot be compiled within \d+ MiB .*: raise `limits\.compile_memory`$"),
        ("calls of 1,000 values", r"^cannot be compiled within \d+ MiB .*: raise `limits\.compile_memory`$"),
    ],
)
def test_a_bomb_of_memory_ends_within_ten_seconds_as_a_refusal_that_names_the_limit(bomb, limit):
    begun = time.monotonic()
    with pytest.raises(ModuleRefused, match=limit):
        compiled(BOMBS[bomb](), Setup(), DEFAULT)
    assert time.monotonic() - begun < 11  # the bound, and a second for a busy machine


@pytest.mark.parametrize(
    ("given", "limit"), [({"compile_cpu": 1}, "compile_cpu"), ({"compile_wall": 1}, "compile_wall")]
)
def test_a_bomb_of_time_ends_as_a_refusal_that_names_the_limit(given, limit):
    with pytest.raises(ModuleRefused, match=rf"^takes more than 1 s .*to compile: raise `limits\.{limit}`$"):
        compiled(BOMBS["ifs in ifs"](), Setup(), DEFAULT.replaced(**given))


@pytest.mark.parametrize(
    "bomb", ["many functions of 50,000 locals", "300 variables through loops", "functions of calls", "roots", "loads"]
)
def test_less_time_is_less_time(bomb):
    begun = time.monotonic()
    with pytest.raises(ModuleRefused, match=r"^takes more than 1 s of processor time"):
        compiled(BOMBS[bomb](), Setup(), DEFAULT.replaced(compile_cpu=1))
    assert time.monotonic() - begun < 11


def test_less_memory_is_less_memory():
    with pytest.raises(ModuleRefused, match=r"cannot be compiled within 350 MiB"):
        compiled(BOMBS["calls of 1,000 values"](), Setup(), DEFAULT.replaced(compile_memory=350 * MIB))


# --- the process


def gone(pid):
    """Whether a process has ended, waited for or not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_compiler_that_hangs_is_killed(childs):
    with pytest.raises(ModuleRefused, match=r"takes more than 1 s to compile: raise `limits\.compile_wall`"):
        childs("time.sleep(60)", compile_wall=1)


def test_a_compiler_that_says_everything_and_does_not_end_is_killed(childs):
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"ended by signal 9, and not for its limits"):
        childs("os.write(1, b'code'); os.close(1); time.sleep(60)")
    assert time.monotonic() - begun < 30


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at /proc")
@pytest.mark.parametrize("end", ["time.sleep(60)", "os._exit(0)"])
def test_nothing_is_left_of_a_compiler_and_of_what_it_started(childs, tmp_path, end):
    """Its child holds the pipe open, so only the deadline ends this; and both are gone then."""
    seen = tmp_path / "pids"
    lines = f"pid = os.fork() or time.sleep(60); open({str(seen)!r}, 'w').write(f'{{os.getpid()}} {{pid}}'); {end}"
    with pytest.raises(ModuleRefused, match="takes more than 1 s"):
        childs(lines, compile_wall=1)
    pids = seen.read_text().split()
    for _ in range(1_000):
        if all(map(gone, pids)):
            return
        time.sleep(0.005)
    pytest.fail("something is left")


WANTS = """
import sys
from tests.sandbox.bombs import BOMBS, DEFAULT, Setup, compiled
compiled(BOMBS["ifs in ifs"](), Setup(), DEFAULT.replaced(compile_cpu=60, compile_wall=90))
"""


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return file.read().split()


@pytest.mark.skipif(not os.path.exists(f"/proc/self/task/{os.getpid()}/children"), reason="looks at /proc")
def test_a_compiler_dies_with_the_process_that_wants_its_code():
    wants = subprocess.Popen([sys.executable, "-c", WANTS], cwd=ROOT)
    try:
        for _ in range(2_000):
            if pids := children(wants.pid):
                break
            time.sleep(0.005)
        time.sleep(1)  # until it is in the compiler
    finally:
        wants.kill()
        wants.wait()
    for _ in range(400):  # far less than that compile takes
        if all(map(gone, pids)):
            return
        time.sleep(0.005)
    pytest.fail("it goes on")


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks at /proc")
def test_nothing_is_left_open_here(assembled):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        compiled(assembled("pass"), Setup(), DEFAULT)
        with pytest.raises(ModuleRefused):
            compiled(assembled("tail_call"), Setup(), DEFAULT)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_flood_of_code_is_cut(childs):
    with pytest.raises(ModuleRefused, match="becomes more than 65,536 bytes of code"):
        childs("[os.write(1, bytes(1 << 16)) for _ in iter(int, 1)]", compile_memory=MIB)
    with open(os.devnull, "rb") as nothing:
        child = compiling._Child([sys.executable, "-c", "import os\nwhile 1: os.write(1, bytes(1 << 16))"], nothing, 60)
    assert 10**6 < len(child.finished(10**6)[1]) <= 10**6 + compiling.CHUNK


def test_a_flood_of_words_is_nobodys_business(childs):
    assert childs("[os.write(2, bytes(1 << 20)) for _ in range(64)]; os.write(1, b'code')") == b"code"


def test_a_sentence_is_cleaned_and_cut(childs):
    with pytest.raises(ModuleRefused) as caught:
        childs("os.write(1, b'\\x1b[2J fine\\n\\xff' + b'x' * 60_000); os._exit(1)")
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith("\ufffd[2J fine \ufffd")
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("os._exit(2)", "cannot be compiled within 512 MiB"),
        ("os.abort()", "the compiler ended with -6"),
        ("os.kill(os.getpid(), 11)", "the compiler ended with -11"),
        ("os.kill(os.getpid(), 24)", "takes more than 15 s of processor time"),
    ],
)
def test_every_end_of_the_child_is_a_refusal(childs, end, sentence):
    with pytest.raises(ModuleRefused, match=sentence):
        childs(end)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("import no_such_module", "the compiler does not run here"),
        ("os._exit(0)", "the compiler does not run here"),
        ("os.kill(os.getpid(), 9)", "ended by signal 9, and not for its limits"),
        ("os.kill(os.getpid(), 15)", "ended by signal 15, and not for its limits"),
    ],
)
def test_what_somebody_else_did_to_the_compiler_is_not_the_modules_fault(childs, end, sentence):
    with pytest.raises(HostError, match=sentence):
        childs(end)


def test_a_machine_that_starts_no_process_is_not_the_modules_fault(monkeypatch, assembled):
    monkeypatch.setattr(compiling.sys, "executable", "/nowhere/python")
    with pytest.raises(HostError, match="cannot start the compiler: no such file"):
        compiled(assembled("pass"), Setup(), DEFAULT)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks at /proc")
def test_the_child_gets_an_environment_of_ours_and_no_descriptor(childs, monkeypatch):
    monkeypatch.setenv("SECRET", "of the host")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        said = childs("print(sorted(os.environ), sorted(os.listdir('/proc/self/fd')), os.getcwd())").decode()
    finally:
        os.close(reader)
        os.close(writer)
    ours = str(sorted([*compiling.ENVIRONMENT, "LC_CTYPE"])), str(sorted(compiling.ENVIRONMENT))  # Python sets the one
    assert said in [f"{names} ['0', '1', '2', '3'] /\n" for names in ours]  # 3 lists the others


def test_a_signal_that_raises_here_ends_the_child(monkeypatch, childs):
    """A hook that locks has a deadline of its own."""
    ended = []
    kill = compiling._Child._kill

    def seen(child):
        kill(child)
        ended.append(child)

    monkeypatch.setattr(compiling._Child, "_kill", seen)
    monkeypatch.setattr(compiling, "CHUNK", property())  # reading raises
    with pytest.raises(TypeError):
        childs("time.sleep(60)")
    assert ended[0]._process.returncode == -9


def test_the_cap_of_code_follows_the_memory():
    assert compiling._most(DEFAULT) == DEFAULT.compile_memory // 16 >= 16 * MIB
    assert compiling._most(DEFAULT.replaced(compile_memory=MIB)) == 64 * KIB
