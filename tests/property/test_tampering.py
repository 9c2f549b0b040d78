"""A locked home under tampering: what was changed is never loaded.

The policy always passes, so whatever ends in a pass has run unchecked; and everything that reaches the engine is noted.
Refusing is raising, or a deny that names a fault.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import threading
from pathlib import Path
from time import monotonic

import pytest

from wasmguard import Effect, Guard, plan
from wasmguard.errors import CacheError, WasmguardError
from wasmguard.limits import DEFAULT
from wasmguard.lock import lock
from wasmguard.sandbox.cache import KEY, MAC, MAGIC, Vault
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup

WRITE = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/a"}, "cwd": "/"}
NOBODY = 4_321  # a user whom no test machine knows
only_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


class Home:
    """A configuration that is locked, and everything that its guard relies on."""

    def __init__(self, config, home):
        self.config, self.home = config, home
        self.plans, self.vault, self.key = home / "wasmguard/plans", home / "wasmguard/vault", home / "wasmguard/key"
        self.loaded = []

    @property
    def plan(self):
        return self.plans / plan._name(str(self.config))

    @property
    def code(self):
        return self.vault / plan.last(str(self.config)).policies[0].code

    def guard(self, **options):
        return Guard.load(self.config, **{"isolation": "thread", "may_lock": False, **options})

    def outcome(self, **options):
        """What comes of asking: `pass`, `denied` for a fault, or the class of the error."""
        try:
            with self.guard(**options) as guard:
                decision = guard.decide(WRITE)
        except WasmguardError as error:
            return type(error).__name__
        if decision.effect is Effect.DENY:
            assert decision.faulted
            return "denied"
        return decision.effect.name.lower()


@pytest.fixture
def home(configured, own_home, monkeypatch):
    config = configured("pass", "deny", deny={"tools": '["Nothing"]'})
    lock(str(config), repin=False)
    home = Home(config, own_home)
    load = Cell.load

    def noting(cell, spec, code):
        home.loaded.extend(code)
        return load(cell, spec, code)

    monkeypatch.setattr(Cell, "load", noting)
    home.good = plan.vault().read(home.code.name)
    return home


class HungError(Exception):
    """Nothing that anybody catches."""


@pytest.fixture(autouse=True)
def _nobody_waits():
    """A pipe in a file's place would hold up who opens it for ever."""

    def hung(*_):
        raise HungError

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(home, **options):
    """Whether nothing but the bytes that were locked got near the engine, and nothing passed."""
    home.loaded.clear()
    outcome = home.outcome(**options)
    assert outcome in ("denied", "CacheError", "PlanStale", "ModuleChanged")
    assert home.loaded == []
    return outcome


def test_what_nobody_touched_passes(home):
    assert home.outcome() == "pass"
    assert home.loaded == [home.good]


# A file in the place of a file: the compiled code, the plan, the key


def flipped(file):
    with file.open("r+b") as stream:
        stream.seek(len(MAGIC) + MAC + 100 if file.name != "key" else 3)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 0x10]))


def cut(file):
    os.truncate(file, file.stat().st_size - 1)


def half_written(file):
    size = file.stat().st_size
    os.truncate(file, size // 2)
    os.truncate(file, size)  # the rest are zeros, as after a power cut


def emptied(file):
    os.truncate(file, 0)


def longer(file):
    with file.open("ab") as stream:
        stream.write(b"\0")


def linked_to_a_copy(file):
    shutil.copy2(file, file.with_name("copy"))
    file.unlink()
    file.symlink_to("copy")


def linked_to_nothing(file):
    file.unlink()
    file.symlink_to("nothing")


def a_pipe(file):
    file.unlink()
    os.mkfifo(file, 0o600)


def a_socket(file):
    file.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(file.parent)  # the path of a socket may be 107 bytes long
        try:
            listener.bind(file.name)
        finally:
            os.chdir(here)
    file.chmod(0o600)


def a_folder(file):
    file.unlink()
    file.mkdir(0o700)


def for_its_group_to_write(file):
    file.chmod(0o620)


def for_everybody_to_write(file):
    file.chmod(0o602)


def for_everybody_to_read(file):
    file.chmod(0o604)


def in_a_folder_for_everybody_to_write(file):
    file.parent.chmod(0o707)


def in_a_folder_for_its_group_to_write(file):
    file.parent.chmod(0o770)


def in_a_linked_folder(file):
    file.parent.rename(file.parent.with_name("moved"))
    file.parent.symlink_to("moved")


def below_a_folder_for_everybody_to_write(file):
    next(folder for folder in file.parents if folder.name == "home").chmod(0o707)


def made_with_another_key(file):
    data = file.read_bytes()[len(MAGIC) + MAC :]
    file.unlink()
    theirs = Vault(str(file.parent), str(file.parent.parent.parent / "theirs"))
    theirs.write(file.name, data)


FILES = [flipped, cut, half_written, emptied, longer, linked_to_a_copy, linked_to_nothing, a_pipe, a_socket, a_folder]
FILES += [for_its_group_to_write, for_everybody_to_write, for_everybody_to_read]
FOLDERS = [in_a_folder_for_everybody_to_write, in_a_folder_for_its_group_to_write, in_a_linked_folder]
FOLDERS += [below_a_folder_for_everybody_to_write]


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("tamper", [*FILES, *FOLDERS, made_with_another_key])
def test_compiled_code_that_was_tampered_with_is_refused(home, tamper, isolation):
    tamper(home.code)
    refused(home, isolation=isolation)
    refused(home, isolation=isolation, may_lock=True)


@pytest.mark.parametrize("tamper", [*FILES, *FOLDERS, made_with_another_key])
def test_a_plan_that_was_tampered_with_is_refused(home, tamper):
    tamper(home.plan)
    assert refused(home) == "CacheError"
    assert refused(home, may_lock=True) == "CacheError"


@pytest.mark.parametrize("tamper", [*FILES, *FOLDERS])
def test_a_key_that_was_tampered_with_opens_nothing(home, tamper):
    tamper(home.key)
    assert refused(home) == "CacheError"
    assert refused(home, may_lock=True) == "CacheError"


@only_root
@pytest.mark.parametrize("name", ["plan", "code", "key", "plans", "vault", "home"])
def test_what_belongs_to_somebody_else_is_refused(home, name):
    os.chown(getattr(home, name), NOBODY, -1)
    refused(home)
    refused(home, may_lock=True)


@pytest.mark.parametrize("name", ["plan", "code", "key"])
def test_what_looks_like_somebody_elses_is_refused(home, monkeypatch, name):
    """As above for ordinary users, who cannot give a file away."""
    foreign, fstat = os.stat(getattr(home, name)).st_ino, os.fstat

    def as_seen(file):
        seen = fstat(file)
        return os.stat_result((*seen[:4], NOBODY, *seen[5:])) if seen.st_ino == foreign else seen

    monkeypatch.setattr(os, "fstat", as_seen)
    refused(home)


def flips(size, head):
    """Where to flip: all of the head and of the tail, and a sample of the middle."""
    return sorted({*range(head), *range(head, size, max(1, size // 400)), *range(size - 64, size)})


@pytest.mark.parametrize("name", ["plan", "code"])
def test_no_byte_anywhere_can_be_flipped(home, name):
    file = getattr(home, name)
    sealed = bytearray(file.read_bytes())
    store = Vault(str(file.parent), str(home.key.parent))
    for place in flips(len(sealed), len(MAGIC) + MAC + 64):
        bit = 1 << place % 8
        sealed[place] ^= bit
        file.write_bytes(sealed)
        with pytest.raises(CacheError):
            store.read(file.name)
        sealed[place] ^= bit
    file.write_bytes(sealed)
    assert home.outcome() == "pass"


# The right bytes in the wrong place


def test_the_code_of_another_policy_is_refused(home):
    """Both are sealed by us: what tells them apart is the name that is sealed with them."""
    ours, theirs = (home.vault / p.code for p in plan.last(str(home.config)).policies)
    shutil.copy(theirs, ours)
    refused(home)


def test_a_renamed_file_is_refused(home):
    ours, theirs = (home.vault / p.code for p in plan.last(str(home.config)).policies)
    theirs.rename(ours)
    refused(home)


def test_the_plan_of_another_configuration_is_refused(home, tmp_path):
    (tmp_path / "lax").mkdir()
    other = tmp_path / "lax" / "wasmguard.toml"
    other.write_text('[[policy]]\nname = "p"\nmodule = "../pass.wasm"\n')
    lock(str(other), repin=False)
    shutil.copy(home.plans / plan._name(str(other)), home.plan)
    assert refused(home) == "CacheError"


def test_a_plan_is_no_code_and_code_is_no_plan(home):
    shutil.copy(home.code, home.plan)
    assert refused(home) == "CacheError"


def test_an_old_plan_put_back_does_not_count_for_the_new_configuration(home):
    old = home.plan.read_bytes()
    home.config.write_text(home.config.read_text().replace("pass.wasm", "deny.wasm"))
    lock(str(home.config), repin=False)
    home.plan.write_bytes(old)
    assert refused(home) == "PlanStale"
    assert Guard.load(home.config, isolation="thread").decide(WRITE).reason.endswith('says (untrusted text): "no"')


def test_an_old_plan_and_the_key_of_its_time_do_not_outlive_a_new_key(home):
    old = home.plan.read_bytes()
    home.key.unlink()
    shutil.rmtree(home.plans)
    lock(str(home.config), repin=False)
    home.plan.write_bytes(old)
    assert refused(home) == "CacheError"


# The key


@pytest.mark.parametrize("content", [b"\0" * KEY, b"x" * KEY, b"", b"x" * 5, b"x" * (KEY + 1), b"x" * 1_000])
def test_another_key_opens_nothing(home, content):
    home.key.write_bytes(content)
    assert refused(home) == "CacheError"
    assert refused(home, may_lock=True) == "CacheError"
    assert home.key.read_bytes() == content


def test_a_key_that_is_gone_is_not_made_anew_by_a_hook(home):
    home.key.unlink()
    assert refused(home, may_lock=True) == "CacheError"
    assert not home.key.exists()


# Code and plans of another engine


def resealed_plan(home, change):
    data = json.loads(plan.ledger().read(home.plan.name))
    change(data)
    plan.ledger().write(home.plan.name, json.dumps(data).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["made"].update(version="0.0.1"),
        lambda data: data["made"].update(format=plan.FORMAT - 1),
        lambda data: data["made"].update(format=plan.FORMAT + 1),
        lambda data: data["made"].update(stamp=[1, 2, 3]),
        lambda data: data["made"].update(library=str(Path(json.__file__))),
        lambda data: data.update(config="/etc/wasmguard.toml"),
        lambda data: data.update(digest="0" * 64),
        lambda data: data["policies"][0].update(code="0" * 40 + ".code"),
    ],
)
def test_a_plan_that_was_made_with_something_else_is_stale(home, change):
    resealed_plan(home, change)
    assert refused(home) == "PlanStale"


def test_code_of_an_engine_that_was_set_up_otherwise_is_not_run(home, assembled):
    """As if the cache's names had left something out: the engine looks for itself."""
    ours = Setup(**plan.last(str(home.config)).setups["core"])
    for setup, name in ((ours.replaced(reservation=2**25), "pass"), (Setup(kind="component"), "component_pass")):
        plan.vault().write(home.code.name, compiled(assembled(name), setup, DEFAULT))
        assert home.outcome() in ("denied", "CacheError")


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\0asm\1\0\0\0", b"x" * 5_000])
def test_what_is_no_code_at_all_is_not_run(home, content):
    plan.vault().write(home.code.name, content)
    assert home.outcome() in ("denied", "CacheError")


def test_code_with_another_version_in_it_is_not_run(home):
    version = home.good.index(b"50.0.1") if b"50.0.1" in home.good else home.good.index(b"50")
    older = bytearray(home.good)
    older[version : version + 2] = b"49"
    plan.vault().write(home.code.name, bytes(older))
    assert home.outcome() in ("denied", "CacheError")


# The owner's and the author's files


@pytest.fixture
def module(tmp_path):
    return tmp_path / "pass.wasm"


def test_a_module_that_changed_is_refused(home, module, assembled):
    module.write_bytes(assembled("deny"))
    refused(home)
    home.config.write_text(home.config.read_text() + "# touched\n")
    assert refused(home, may_lock=True) == "ModuleChanged"


def test_a_module_that_became_a_link_to_another_is_refused(home, module):
    module.unlink()
    module.symlink_to("deny.wasm")
    refused(home)
    home.config.write_text(home.config.read_text() + "# touched\n")
    with pytest.raises(WasmguardError):
        home.guard(may_lock=True)


def test_a_module_that_became_something_else_is_refused(home, module):
    module.unlink()
    module.mkdir()
    refused(home)


def test_what_runs_is_what_was_locked_even_if_a_changed_module_hides_its_change(home, module, assembled):
    """Same size, time and inode: nothing is noticed, and nothing of it runs."""
    seen = module.stat()
    with module.open("r+b") as file:
        file.write(b"\0" * seen.st_size)
    os.utime(module, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert home.outcome() == "pass"
    assert home.loaded == [home.good]


# Between check and use


def swapping(file, contents, until):
    """Put one content after the other in the place of *file*, whole, as fast as it goes."""

    def swap():
        turn = 0
        while not until.is_set():
            turn += 1
            new = file.with_name(f"swap{turn % 2}")
            new.write_bytes(contents[turn % len(contents)])
            new.chmod(0o600)
            new.replace(file)

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    return thread


def overwriting(file, contents, until):
    """Write one content over the other in the same file."""

    def write():
        turn = 0
        while not until.is_set():
            turn += 1
            with file.open("r+b") as stream:
                stream.write(contents[turn % len(contents)])

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("attack", [swapping, overwriting])
def test_a_file_that_is_swapped_while_it_is_read_is_the_old_one_or_refused(home, attack):
    good = home.code.read_bytes()
    evil = good[: len(MAGIC) + MAC] + bytes(b ^ 1 for b in good[len(MAGIC) + MAC :])
    store, stop, digests = plan.vault(), threading.Event(), set()
    thread = attack(home.code, [good, evil], stop)
    refusals = 0
    try:
        end = monotonic() + 2
        while monotonic() < end and not (refusals > 20 and digests):
            try:
                digests.add(hashlib.sha256(store.read(home.code.name)).hexdigest())
            except CacheError:
                refusals += 1
    finally:
        stop.set()
        thread.join()
    assert digests <= {hashlib.sha256(home.good).hexdigest()}
    assert refusals > 0


def test_a_file_that_is_swapped_for_a_link_while_it_is_read_leads_nowhere(home, tmp_path):
    evil = tmp_path / "evil"
    evil.write_bytes(b"evil")
    store, stop = plan.vault(), threading.Event()
    good = home.code.read_bytes()

    def swap():
        while not stop.is_set():
            for make in (lambda p: p.symlink_to(evil), lambda p: p.write_bytes(good) and p.chmod(0o600)):
                new = home.code.with_name("swap")
                make(new)
                new.replace(home.code)

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    try:
        for _ in range(300):
            try:
                assert store.read(home.code.name) == home.good
            except CacheError:
                continue
    finally:
        stop.set()
        thread.join()


def test_a_guard_that_is_running_goes_on_with_what_it_verified(home):
    with home.guard() as guard:
        assert guard.decide(WRITE).effect is Effect.PASS
        flipped(home.code)
        flipped(home.plan)
        home.key.unlink()
        assert guard.decide(WRITE).effect is Effect.PASS
    assert home.loaded == [home.good]


def test_an_owner_who_locks_again_is_served(home):
    """Tampering is refused, not a trap: what the messages advise works."""
    flipped(home.code)
    flipped(home.plan)
    refused(home)
    lock(str(home.config), repin=True)
    assert home.outcome() == "pass"
    assert home.loaded == [home.good]


def test_an_owner_who_deletes_the_key_and_locks_again_is_served(home):
    home.key.chmod(0o644)
    with pytest.raises(CacheError, match="open to others"):
        lock(str(home.config), repin=True)
    home.key.unlink()
    lock(str(home.config), repin=True)
    assert home.outcome() == "pass"
