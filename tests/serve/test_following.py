"""The master follows the configuration: what counts comes into force, what does not changes nothing, both are told."""

import os
import signal
import time
from contextlib import suppress

import pytest

from tests.recorded import recorded
from tests.serve.daemons import until
from wasmguard import plan
from wasmguard.errors import ConfigError, HostError
from wasmguard.lock import lock
from wasmguard.serve import following as module
from wasmguard.serve.following import Following


@pytest.fixture
def config(configured):
    path = configured("pass")
    lock(str(path), repin=False)
    return path


@pytest.fixture
def following(config, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.01)
    made = Following(str(config), lambda: ())
    yield made
    made.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def looks(following, condition, seconds=15):
    """Look as the master does, until *condition* holds."""

    def step():
        if following.channel >= 0:
            os.set_blocking(following.channel, False)
            with suppress(BlockingIOError):
                following.heard()
            if following.channel >= 0:
                os.set_blocking(following.channel, True)
        following.look()
        return condition()

    until(step, seconds)


def changed(config, text="# changed\n", *, instead=False):
    text = text if instead else config.read_text() + text
    config.with_suffix(".new").write_text(text)
    config.with_suffix(".new").replace(config)


def records(own_home):
    return [(said["old"], said["new"], said["error"]) for said in recorded("reload")]


# --- at the start ---------------------------------------------------------------------------------------------------
def test_a_plan_that_counts_is_used_as_it_is(following, config, own_home):
    following.begin()
    assert following.digest == plan.read(str(config)).digest
    assert following.reload.time == 0
    assert records(own_home) == []


def test_a_configuration_that_was_never_locked_is_locked(configured, own_home):
    config = configured("pass")
    following = Following(str(config), lambda: ())
    following.begin()
    assert following.digest == plan.read(str(config)).digest
    assert records(own_home) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("broken = [", "not TOML"), ("", "`policy`: there is none"), ('[[policy]]\nname = "x"', "missing: add `module")],
)
def test_what_cannot_be_locked_is_an_error(following, config, own_home, text, why):
    config.write_text(text)
    with pytest.raises(ConfigError, match=why):
        following.begin()
    assert records(own_home) == []


def test_what_cannot_be_locked_is_tried_once(config, tmp_path, monkeypatch):
    def locked(*_):
        with open(tmp_path / "tries", "ab") as file:
            file.write(b".")

    monkeypatch.setattr(module, "PAUSE", 0)
    monkeypatch.setattr(module, "_locked", locked)
    config.write_text("broken = [")
    with pytest.raises(ConfigError):
        Following(str(config), lambda: ()).begin()
    assert (tmp_path / "tries").read_bytes() == b"."


def test_a_configuration_that_is_not_there_is_an_error(following, config):
    config.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        following.begin()


# --- later ----------------------------------------------------------------------------------------------------------
def test_a_change_is_locked_and_recorded(following, config, own_home):
    following.begin()
    old = following.digest
    changed(config)
    looks(following, lambda: following.reload.time)
    assert following.digest == plan.read(str(config)).digest != old
    assert records(own_home) == [(old, following.digest, "")]


def test_what_somebody_else_locked_is_found_and_recorded(following, config, own_home):
    following.begin()
    old = following.digest
    lock(str(config), repin=True)  # which writes the pins into the file
    looks(following, lambda: following.reload.time)
    assert following.digest == plan.read(str(config)).digest != old
    assert [new for _, new, _ in records(own_home)][-1] == following.digest


def test_a_file_that_was_written_again_with_the_same_bytes_is_no_change(following, config, own_home):
    following.begin()
    for _ in range(3):
        changed(config, "")
        looks(following, lambda: following._seen == following._looked())
    time.sleep(0.05)
    following.look()
    assert following.channel == -1
    assert records(own_home) == []


@pytest.mark.parametrize("text", ["broken = [", ""])
def test_what_is_broken_changes_nothing_and_is_recorded_once(following, config, own_home, text, capfd):
    following.begin()
    old, good = following.digest, config.read_text()
    changed(config, text, instead=True)
    looks(following, lambda: following.reload.error)
    for _ in range(20):
        time.sleep(0.012)
        following.look()
        assert following.channel == -1
    assert following.digest == old
    ((before, after, error),) = records(own_home)
    assert before == after == old
    assert error == following.reload.error
    assert "the last good plan stays" in capfd.readouterr().err
    changed(config, good, instead=True)
    looks(following, lambda: not following.reload.error)
    assert following.digest == old
    assert records(own_home)[-1] == (old, old, "")


def test_code_that_is_gone_from_the_cache_is_compiled_again(following, own_home):
    following.begin()
    codes = list((own_home / "wasmguard/vault").glob("*.code"))
    for code in codes:
        code.unlink()
    looks(following, lambda: all(code.exists() for code in codes))


def test_a_plan_that_was_tampered_with_is_no_plan(following, config):
    following.begin()
    with open(plan.file_of(str(config)), "ab") as file:
        file.write(b"x")
    looks(following, lambda: following.reload.error)
    assert "is not what was written there" in following.reload.error


def test_what_cannot_be_recorded_does_not_stop_it(following, config, monkeypatch, capfd):
    def fail(*_, **__):
        raise HostError("no room")

    monkeypatch.setattr(module.audit, "record", fail)
    following.begin()
    old = following.digest
    changed(config)
    looks(following, lambda: following.digest != old)
    assert "not recorded: no room" in capfd.readouterr().err


# --- the child ------------------------------------------------------------------------------------------------------
@pytest.fixture
def child(monkeypatch):
    """What the child does, from now on."""

    def does(work):
        monkeypatch.setattr(module, "_locked", lambda config, channel: work(channel))

    return does


@pytest.mark.parametrize("work", ["exit", "kill", "half"])
def test_a_child_that_dies_changes_nothing(following, config, child, work):
    def die(channel):
        if work == "half":
            os.write(channel, b"lock")
        if work == "kill":
            os.kill(os.getpid(), signal.SIGKILL)

    following.begin()
    old = following.digest
    child(die)
    changed(config)
    looks(following, lambda: following.reload.error)
    assert following.digest == old


def test_what_is_nobodys_fault_is_tried_again_and_told_once(following, config, child, own_home, monkeypatch):
    monkeypatch.setattr(module, "AGAIN", 0.05)
    following.begin()
    old = following.digest
    with monkeypatch.context() as patch:
        patch.setattr(module, "_locked", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        changed(config)
        looks(following, lambda: following.reload.error)
        told = following.reload
        until_then = time.monotonic() + 0.3
        looks(following, lambda: time.monotonic() > until_then)
        assert following.reload is told
    looks(following, lambda: following.digest != old)
    assert [error for *_, error in records(own_home)] == ["the process that locks was killed", ""]


def test_a_child_that_hangs_is_killed(following, config, child, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0.3)
    following.begin()
    child(lambda _: time.sleep(60))
    changed(config)
    looks(following, lambda: following.reload.error, 10)
    assert following.reload.error == "the process that locks was killed"


def test_a_child_that_hangs_at_the_start_is_killed_too(configured, child, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0.3)
    child(lambda _: time.sleep(60))
    following = Following(str(configured("pass")), lambda: ())
    with pytest.raises(ConfigError, match="was killed"):
        following.begin()


def test_a_child_that_says_what_is_not_so_changes_nothing(following, config, child):
    following.begin()
    old, said = following.digest, []
    child(lambda channel: said.append(os.write(channel, b"locked")))
    changed(config)
    looks(following, lambda: following.channel >= 0)
    looks(following, lambda: following.channel < 0)
    assert following.digest == old
    assert "changed: run `wasmguard lock`" in following.reload.error
    time.sleep(0.05)
    following.look()
    assert following.channel < 0  # it does not try for ever


def test_a_change_while_it_is_locked_is_not_lost(following, config):
    following.begin()
    for _ in range(5):
        changed(config)
        time.sleep(0.05)
        following.look()
    looks(following, lambda: following.channel < 0 and following.digest == plan.digest_of(str(config)))


def test_who_ends_leaves_no_child(following, config, child):
    following.begin()
    child(lambda _: time.sleep(60))
    changed(config)
    looks(following, lambda: following.channel >= 0)
    following.end()
    assert following.channel == -1


def test_if_there_can_be_no_child_nothing_changes(following, config, monkeypatch):
    def fail(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    following.begin()
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(module, "forked", fail)
    changed(config)
    looks(following, lambda: following.reload.error)
    assert "cannot start the process that locks" in following.reload.error
    assert set(os.listdir("/proc/self/fd")) == before
