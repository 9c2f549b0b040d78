"""What tests of several packages share."""

import signal
from functools import cache
from pathlib import Path

import pytest
import wasmtime

from wasmguard import draining

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture(scope="session")
def assembled():
    """The bytes of `tests/guests/<name>.wat`: `assembled("pass")`."""

    @cache
    def assemble(name):
        return bytes(wasmtime.wat2wasm((GUESTS / f"{name}.wat").read_text(encoding="utf-8")))

    return assemble


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """Ctrl-C interrupts, also where these tests are a job in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def nobody_drains():
    """No test leaves a process that moves on what another one recorded; `test_draining` has them on purpose."""
    draining._began = float("inf")


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """A home, cache and state of the test's own."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def configured(tmp_path, own_home, assembled):
    """Writes a configuration with one policy for each named guest, and returns its path.

    `configured("pass", deny={"tools": '["Write"]'})` would add lines to the policy `deny` if it were named too.
    """

    def write(*names, **extra):
        blocks = []
        for name in names:
            (tmp_path / f"{name}.wasm").write_bytes(assembled(name))
            more = "\n".join(f"{key} = {value}" for key, value in extra.get(name, {}).items())
            blocks.append(f'[[policy]]\nname = "{name.replace("_", "-")}"\nmodule = "{name}.wasm"\n{more}\n')
        path = tmp_path / "wasmguard.toml"
        path.write_text("\n".join(blocks))
        return path

    return write


@pytest.fixture
def recording(configured):
    """Loads a guard of the named guests, by an owner who wrote this into `[record]`: `recording("on = false", "deny")`.

    What else is given goes to `configured`.
    """

    def load(record, *names, **extra):
        from wasmguard import Guard

        path = configured(*names, **extra)
        path.write_text(f"{path.read_text()}\n[record]\n{record}\n")
        return Guard.load(path, isolation="thread")

    return load


@pytest.fixture
def never_here(monkeypatch):
    """No guest may run in this process; what ran all the same."""
    from wasmguard.sandbox import call, failure, opa_guest, opa_portable, portable, watched

    ran = []

    def run(self, *_, **__):
        ran.append(type(self).__name__)
        raise AssertionError(f"a guest ran here: {ran}")

    for module in (call, failure, opa_guest, opa_portable, portable, watched):
        for kind in vars(module).values():
            if isinstance(kind, type) and "run" in vars(kind):
                monkeypatch.setattr(kind, "run", run)
    return ran
