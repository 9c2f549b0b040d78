"""The plan: believed only while it is what was made from what there is now."""

import json
import os

import pytest

from wasmguard import lock, plan
from wasmguard.errors import BundleError, CacheError, ConfigError, ModuleChanged, PlanStale


@pytest.fixture
def config(configured):
    path = str(configured("pass"))
    lock.lock(path, repin=False)
    return path


def test_a_plan_comes_back_as_it_was_written(config):
    written, read = lock.prepare(config, repin=False).plan, plan.read(config)
    assert json.dumps(read.policies[0].as_dict()) == json.dumps(written.policies[0].as_dict())
    assert (read.digest, read.event, read.setups) == (written.digest, written.event, written.setups)


def test_a_changed_configuration_makes_it_stale(config):
    with open(config, "a") as file:
        file.write("# one more line\n")
    with pytest.raises(PlanStale, match="changed: run `wasmguard lock`"):
        plan.read(config)


def test_a_missing_configuration_is_the_owners_matter_even_with_a_plan(config):
    os.unlink(config)
    with pytest.raises(ConfigError, match="does not exist"):
        plan.read(config)


def test_a_configuration_that_was_never_locked_is_stale(tmp_path, own_home):
    (tmp_path / "other.toml").write_text("")
    with pytest.raises(PlanStale, match="never locked"):
        plan.read(str(tmp_path / "other.toml"))


def test_another_version_of_wasmguard_makes_it_stale(config, monkeypatch):
    monkeypatch.setattr("wasmguard.version.__version__", "99")
    with pytest.raises(PlanStale, match="another version"):
        plan.read(config)


def test_another_format_makes_it_stale(config, monkeypatch):
    monkeypatch.setattr(plan, "FORMAT", plan.FORMAT + 1)
    with pytest.raises(PlanStale, match="another version"):
        plan.read(config)


def test_another_wasmtime_makes_it_stale(config, monkeypatch):
    monkeypatch.setattr(plan, "_stamp", lambda _path: (1, 2, 3))
    with pytest.raises(PlanStale, match="wasmtime was installed anew"):
        plan.read(config)


def test_a_plan_that_was_tampered_with_is_not_believed(config, own_home):
    (file,) = own_home.rglob("plans/*.plan")
    file.write_bytes(file.read_bytes().replace(b'"deny"', b'"allow'))
    with pytest.raises(CacheError, match="not what was written"):
        plan.read(config)
    assert plan.last(config) is None


def test_the_plan_of_another_configuration_is_not_taken_for_ours(config, own_home, tmp_path):
    (tmp_path / "other.toml").write_text("")
    (file,) = own_home.rglob("plans/*.plan")
    file.rename(file.with_name(plan._name(str(tmp_path / "other.toml"))))
    with pytest.raises(CacheError, match="not what was written"):
        plan.read(str(tmp_path / "other.toml"))


def test_an_endless_configuration_is_not_read(own_home):
    with pytest.raises(ConfigError, match="over 1048576 bytes"):
        plan.digest_of("/dev/zero")


def test_a_module_is_compared_by_its_bytes_only_when_its_stamp_changed(config, tmp_path, assembled):
    policy = plan.read(config).policies[0]
    plan.unchanged(policy)
    module = tmp_path / "pass.wasm"
    module.write_bytes(assembled("pass"))
    plan.unchanged(policy)
    module.write_bytes(assembled("deny"))
    with pytest.raises(ModuleChanged, match="changed since it was locked"):
        plan.unchanged(policy)
    module.unlink()
    with pytest.raises(BundleError, match="no such file"):
        plan.unchanged(policy)
