import os

import pytest

from wasmguard.errors import BundleError, ConfigError, ModuleChanged, UsageError
from wasmguard.lock import lock
from wasmguard.workshop.replay.plans import AFTER, BEFORE, Wanted, identity, opened

MANIFEST = """\
abi = 1
name = "deny"
version = "1.0.0"
summary = "Denies"
events = ["PreToolUse"]
tools = ["Edit"]
"""


def made(path, **modules):
    with opened(
        {AFTER: Wanted(config=str(path), modules={k.replace("_", "-"): str(v) for k, v in modules.items()})}
    ) as sides:
        return sides[AFTER]


def owners_files(home):
    kept = {}
    for here, _, names in os.walk(home):
        for name in names:
            with open(os.path.join(here, name), "rb") as file:
                kept[os.path.join(here, name)] = file.read()
    return {path: data for path, data in kept.items() if "replayed" not in path}


def test_nothing_of_the_owners_changes(configured, own_home, tmp_path):
    path = configured("pass")
    locked = lock(str(path), repin=True).plan
    before = owners_files(tmp_path)
    (tmp_path / "other.wasm").write_bytes((tmp_path / "pass.wasm").read_bytes() + b"\0\2\1x")
    with opened({AFTER: Wanted(config=str(path), modules={"pass": str(tmp_path / "other.wasm")})}) as sides:
        assert sides[AFTER].policies[0].sha256 != locked.policies[0].sha256
    os.unlink(tmp_path / "other.wasm")
    assert owners_files(tmp_path) == before


def test_the_same_configuration_is_the_same_wherever_its_copy_lies(configured):
    path = configured("pass", "deny")
    assert identity(made(path)) == identity(made(path))
    assert identity(made(path)) != identity(made(configured("pass", "deny", deny={"on_fault": '"ask"'})))


def test_another_module_needs_no_pin(configured, assembled, tmp_path):
    path = configured("pass")
    lock(str(path), repin=True)
    assert "sha256" in path.read_text()
    (tmp_path / "new.wasm").write_bytes(assembled("deny"))
    assert made(path, **{"pass": tmp_path / "new.wasm"}).policies[0].sha256 != made(path).policies[0].sha256


def test_a_module_that_is_not_the_pinned_one_is_refused(configured, assembled, tmp_path):
    path = configured("pass")
    lock(str(path), repin=True)
    (tmp_path / "pass.wasm").write_bytes(assembled("deny"))
    with pytest.raises(ModuleChanged):
        made(path)


def test_a_module_without_a_manifest_takes_the_place_of_one_with(configured, assembled, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.wasm").write_bytes(assembled("pass"))
    (folder / "manifest.toml").write_text(MANIFEST)
    path = tmp_path / "wasmguard.toml"
    configured("pass")
    path.write_text('[[policy]]\nname = "deny"\nmodule = "bundle"\n')
    (tmp_path / "new.wasm").write_bytes(assembled("deny"))
    planned = made(path, deny=tmp_path / "new.wasm").policies[0]
    assert planned.tools == ("Edit",)
    assert planned.sha256 != made(path).policies[0].sha256


def test_a_policy_that_is_not_there_is_a_wrong_usage(configured, tmp_path):
    path = configured("pass")
    with pytest.raises(UsageError, match="did you mean `pass`"):
        made(path, pas=tmp_path / "pass.wasm")
    with pytest.raises(UsageError, match="no such file"):
        made(path, **{"pass": tmp_path / "gone.wasm"})


def test_what_lock_would_refuse_is_refused(configured, tmp_path):
    path = configured("pass")
    (tmp_path / "pass.wasm").write_bytes(b"\0asm\1\0\0\0")
    with pytest.raises(BundleError):
        made(path)
    with pytest.raises(ConfigError, match="does not exist"):
        made(tmp_path / "gone.toml")


def test_two_sides_are_made_beside_each_other(configured, assembled, tmp_path):
    path = configured("pass")
    (tmp_path / "new.wasm").write_bytes(assembled("deny"))
    sides = {
        BEFORE: Wanted(config=str(path)),
        AFTER: Wanted(config=str(path), modules={"pass": str(tmp_path / "new.wasm")}),
    }
    with opened(sides) as both:
        assert identity(both[BEFORE]) != identity(both[AFTER])


def test_what_is_wrong_names_the_owners_file_and_not_the_copy(configured, tmp_path):
    path = configured("pass", **{"pass": {"settings": "{ wrong = 1 }"}})
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "policy.wasm").write_bytes((tmp_path / "pass.wasm").read_bytes())
    (bundle / "manifest.toml").write_text(MANIFEST)
    with pytest.raises(ConfigError, match="wrong") as caught:
        made(path, **{"pass": bundle})
    assert str(caught.value).startswith(f"{path}: policy `pass`")
    assert "wasmguard-replay-" not in str(caught.value)
