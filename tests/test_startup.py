"""A hook process is born and dies with every tool call, so what it imports is a promise.

Sets of modules, not milliseconds: a promise that a busy machine cannot break.
"""

import subprocess
import sys

import pytest

from tests.serve.host import HOOK, ROOT, SERVE, Host, wire

HEAVY = {
    "asyncio",
    "click",
    "dataclasses",
    "inspect",
    "logging",
    "pathlib",
    "pydantic",
    "subprocess",
    "tomlkit",
    "tomllib",
    "typing",
    "wasmtime",
}
POLICY = '[[policy]]\nname = "only"\nmodule = "only.wasm"\n'


def loaded(statement):
    """The modules that *statement* loads in a fresh interpreter, besides those it starts with."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); old = set(sys.modules); {statement}; "
    code += "print(*set(sys.modules) - old)"
    return set(subprocess.check_output([sys.executable, "-IBc", code], text=True).split())


def ours(modules):
    return {name for name in modules if name.split(".")[0] == "wasmguard"}


def hook_loads(host, config):
    """The modules that the two processes of a hook load, and its answer to a call."""
    command = [sys.executable, "-IB", "-X", "importtime", "-c", SERVE, "serve", "--config", str(config)]
    done = subprocess.run(command, input=wire(), capture_output=True, check=True, env={"HOME": str(host.home)})
    return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}, done.stdout


@pytest.fixture(scope="module")
def host(tmp_path_factory, assembled):
    return Host(tmp_path_factory.mktemp("startup"), POLICY, only=assembled("pass"))


def test_the_package_alone_loads_next_to_nothing():
    assert loaded("import wasmguard") - {"wasmguard.version"} == {"wasmguard", "__future__"}


def test_the_wall_of_the_hook_loads_nothing_that_could_be_broken():
    modules = loaded("import wasmguard.serve.hook")
    assert ours(modules) - {"wasmguard.version"} == {"wasmguard", "wasmguard.serve", "wasmguard.serve.hook"}
    assert modules - ours(modules) == {"__future__", "gc"}  # built in, both


def test_a_cell_loads_nothing_that_could_decide_anything():
    modules = loaded("import wasmguard.sandbox.inmate")
    assert not HEAVY & modules
    floors_above = {"plan", "chain", "guard", "config", "lock", "serve", "cli"}
    assert not floors_above & {name.removeprefix("wasmguard.").split(".")[0] for name in ours(modules)}
    assert not {"msgpack", "wasmguard.guest.codec", "wasmguard.guest.grants", "wasmguard.decision"} & modules


@pytest.mark.parametrize("module", ["__main__", "agents.claude", "chain", "decision", "guard", "plan", "serve.answer"])
def test_no_module_on_the_path_of_a_hook_loads_what_is_heavy(module):
    assert not HEAVY & loaded(f"import wasmguard.{module}")


def test_a_whole_hook_loads_nothing_heavy(host):
    modules, answer = hook_loads(host, host.config)
    assert answer == b"{}\n"
    assert {"wasmguard.serve.hook", "wasmguard.sandbox.process"} <= modules
    assert not (HEAVY | {"signal", "socket", "selectors"}) & modules
    assert "wasmguard.sandbox.call" not in modules  # the engine is loaded in the cell alone, whose words nobody hears


def test_what_forks_the_cell_of_a_hook_loads_nothing_that_a_cell_could_know():
    modules = ours(loaded("import wasmguard.sandbox.ahead")) - {"wasmguard.version"}
    assert modules == {"wasmguard", "wasmguard.sandbox", "wasmguard.sandbox.ahead"}


def test_no_process_of_a_hook_collects_garbage(host):
    """It would touch all memory that a fork shares, and nothing here lives long enough to gain."""
    decided = "hook._decided = lambda *_: (0, b'{\"collects\": %d}\\n' % gc.isenabled(), b'')"
    answer = host.hook(wire(), program=f"{HOOK}; import gc; {decided}; hook.main(sys.argv[2:])")
    assert answer.out == b'{"collects": 0}\n'


def test_a_hook_that_must_lock_first_loads_what_it_takes_and_answers(host, assembled):
    modules, answer = hook_loads(host, host.configured("new", POLICY, only=assembled("deny")))
    assert b'"deny"' in answer
    assert {"pydantic", "wasmguard.lock"} <= modules
    assert not {"click", "asyncio"} & modules


def test_the_library_does_not_load_the_command_line():
    modules = loaded("from wasmguard import Guard")
    assert "wasmguard.guard" in modules
    assert not HEAVY & modules
