"""What decisions were made with is kept, by digest, as long as there may be records of them."""

import os
import time

import pytest

from wasmguard import kept, plan
from wasmguard.errors import HostError
from wasmguard.lock import lock

DAY = 86_400


def files():
    return sorted(os.path.splitext(name)[1] for name in os.listdir(kept.folder()))


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def plan_file(made):
    return os.path.join(kept.folder(), plan.identity(made) + kept.PLAN)


def test_locking_keeps_the_plan_and_its_modules(configured):
    made = lock(str(configured("pass", "deny")), repin=False).plan
    again = kept.plan_of(plan.identity(made))
    assert again.policies == plan.read(made.config).policies
    for policy in made.policies:
        with open(kept.module_of(policy.sha256), "rb") as file, open(policy.path, "rb") as original:
            assert file.read() == original.read()


def test_a_plan_has_the_same_identity_wherever_it_lies_and_another_if_anything_decides_otherwise(configured, tmp_path):
    config = configured("pass")
    made = lock(str(config), repin=False).plan
    assert plan.identity(made) == plan.identity(plan.read(made.config))
    moved = made.policies[0].replaced(path="/elsewhere.wasm", stamp=(1, 2, 3))
    assert plan.identity(made.replaced(policies=(moved,), config="/other.toml")) == plan.identity(made)
    for change in ({"settings": {"a": 1}}, {"sha256": "0" * 64}, {"on_fault": "ask"}, {"limits": {"fuel": 1}}):
        other = made.replaced(policies=(made.policies[0].replaced(**change),))
        assert plan.identity(other) != plan.identity(made)


def test_what_was_changed_is_not_kept(configured):
    made = lock(str(configured("pass")), repin=False).plan
    module = kept.module_of(made.policies[0].sha256)
    for path in (module, plan_file(made)):
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
    assert kept.module_of(made.policies[0].sha256) is None
    assert kept.plan_of(plan.identity(made)) is None


@pytest.mark.parametrize("name", ["", "../key", "0" * 32, "a/b"])
def test_no_name_leads_elsewhere(configured, name):
    lock(str(configured("pass")), repin=False)
    assert kept.plan_of(name) is None


def test_no_pipe_in_a_modules_place_holds_anybody_up(configured):
    made = lock(str(configured("pass")), repin=False).plan
    path = kept.module_of(made.policies[0].sha256)
    os.unlink(path)
    os.mkfifo(path)
    assert kept.module_of(made.policies[0].sha256) is None


def test_a_plan_goes_when_it_was_not_in_force_for_as_long_as_records_are_kept(configured):
    first = lock(str(configured("pass")), repin=False).plan
    aged(plan_file(first), 1000)
    second = lock(str(configured("deny")), repin=False).plan  # the first one was in force until now
    assert kept.plan_of(plan.identity(first)) is not None
    aged(plan_file(first), first.record["keep"] + 2)
    for name in os.listdir(kept.folder()):
        if name.endswith(kept.MODULE):
            aged(os.path.join(kept.folder(), name), 2)
    lock(second.config, repin=True)
    assert kept.plan_of(plan.identity(first)) is None
    assert kept.module_of(first.policies[0].sha256) is None
    assert kept.module_of(second.policies[0].sha256) is not None


def test_a_plan_that_is_in_force_stays_however_old_it_is(configured, tmp_path):
    first = lock(str(configured("pass")), repin=False).plan
    other = tmp_path / "other.toml"
    other.write_text('[[policy]]\nname = "x"\nmodule = "pass.wasm"\n')
    aged(plan_file(first), 10_000)
    lock(str(other), repin=False)
    assert kept.plan_of(plan.identity(first)) is not None


def test_a_module_that_somebody_may_just_be_locking_stays(configured):
    made = lock(str(configured("pass")), repin=False).plan
    kept.keep(made, {"f" * 64: b"not its bytes, so never read, but young"})
    assert os.path.exists(os.path.join(kept.folder(), "f" * 64 + kept.MODULE))


def test_what_cannot_be_kept_is_an_error_and_the_plan_is_not_in_force(configured, monkeypatch):
    replaced = os.replace

    def full(source, target, **options):
        if str(target).endswith(kept.MODULE):
            raise OSError(28, "No space left on device")
        replaced(source, target, **options)

    config = configured("pass")
    with monkeypatch.context() as patched:
        patched.setattr(kept.os, "replace", full)
        with pytest.raises(HostError, match="no space left on device"):
            lock(str(config), repin=False)
    assert plan.last(str(config)) is None
    assert not [name for name in os.listdir(kept.folder()) if name.endswith(kept.PLAN)]
