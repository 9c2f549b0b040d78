"""Locking: what is refused, what is pinned, and that nothing is half done."""

import hashlib
import json
from pathlib import Path

import pytest

from wasmguard import lock, plan
from wasmguard.errors import BundleError, ConfigError, HostError, ModuleChanged, ModuleRefused, StateError
from wasmguard.limits import KIB, MIB
from wasmguard.state.sqlite_file import path_of


@pytest.fixture
def locked():
    return lambda path, *, repin=True: lock.lock(str(path), repin=repin)


def code_files(home):
    return sorted(home.rglob("*.code"))


def test_locking_writes_the_digests_into_the_owners_file(configured, locked, assembled):
    path = configured("pass", "deny")
    locked(path)
    for name in ("pass", "deny"):
        assert f'sha256 = "{hashlib.sha256(assembled(name)).hexdigest()}"' in path.read_text()


def test_a_hook_that_locks_leaves_the_owners_file_alone(configured, locked):
    path = configured("pass")
    before = path.read_bytes()
    locked(path, repin=False)
    assert path.read_bytes() == before
    assert plan.read(str(path)).policies[0].name == "pass"


def test_what_was_locked_counts_at_once(configured, locked):
    path = configured("pass")
    locked(path)
    assert plan.read(str(path)).policies[0].name == "pass"


def test_locking_twice_compiles_once(configured, locked):
    path = configured("pass")
    assert locked(path).policies[0].seconds > 0
    assert locked(path).policies[0].seconds == 0


def test_a_pin_that_does_not_fit_is_refused_by_a_hook_and_renewed_by_the_owner(configured, locked, tmp_path, assembled):
    path = configured("pass")
    locked(path)
    (tmp_path / "pass.wasm").write_bytes(assembled("deny"))
    with pytest.raises(ModuleChanged, match=r"run `wasmguard lock`"):
        locked(path, repin=False)
    renewed = locked(path).policies[0]
    assert renewed.before == hashlib.sha256(assembled("pass")).hexdigest() != renewed.sha256


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("imports_env", "imports `env"),
        ("imports_wasi", "WASI"),
        ("abi_2", "wasmguard_abi"),
        ("no_alloc", "wasmguard_alloc"),
        ("component_imports", "import"),
        ("memory_too_big", "memory"),
        ("tail_call", "compiler refuses"),
    ],
)
def test_a_module_that_may_not_be_loaded_is_refused_by_name_and_reason(configured, locked, own_home, name, why):
    with pytest.raises(ModuleRefused, match=why) as caught:
        locked(configured(name))
    assert str(caught.value).startswith(f"policy `{name.replace('_', '-')}`: module `")
    assert list(own_home.rglob("*.plan")) == []


def test_a_refusal_tells_the_owner_what_the_policys_manifest_needs(locked, own_home, tmp_path):
    place = Path(__file__).parents[1] / "build" / "languages" / "python"
    path = tmp_path / "wasmguard.toml"
    path.write_text(f'[[policy]]\nname = "it"\nmodule = {json.dumps(str(place))}\n', encoding="utf-8")
    with pytest.raises(ModuleRefused, match=r'; its manifest says that it needs `limits.profile = "roomy"`$'):
        locked(path)


@pytest.mark.parametrize(("given", "noted"), [("", 1), ('limits.profile = "roomy"', 0)])
def test_a_policy_that_needs_more_room_is_noted_until_the_owner_gives_it(locked, own_home, tmp_path, given, noted):
    place = Path(__file__).parents[1] / "build" / "languages" / "rego"
    path = tmp_path / "wasmguard.toml"
    path.write_text(f'[[policy]]\nname = "it"\nmodule = {json.dumps(str(place))}\n{given}\n', encoding="utf-8")
    notices = locked(path).policies[0].notices
    assert sum("it asks for more than the default limits" in notice for notice in notices) == noted


def test_a_manifest_whose_event_is_never_sent_is_noticed(locked, own_home, tmp_path, assembled):
    (tmp_path / "policy.wasm").write_bytes(assembled("deny"))
    said = 'abi = 1\nname = "it"\nversion = "1"\nsummary = "x"\nevents = ["PreToolUze", "PreToolUse"]\n'
    (tmp_path / "manifest.toml").write_text(said, encoding="utf-8")
    path = tmp_path / "wasmguard.toml"
    path.write_text('[[policy]]\nname = "it"\nmodule = "policy.wasm"\nevents = ["PreToolUse"]\n', encoding="utf-8")
    notices = locked(path).policies[0].notices
    assert "it says that it judges an unknown event `PreToolUze`: did you mean `PreToolUse`?" in notices


@pytest.mark.parametrize("content", [b"", b"\0asm", b"(module)", b"\x1f\x8b gzip", b"\x7fELF"])
def test_bytes_that_are_no_module_are_refused(configured, locked, tmp_path, content):
    path = configured("pass")
    (tmp_path / "pass.wasm").write_bytes(content)
    with pytest.raises(ModuleRefused):
        locked(path)


def test_a_missing_module_is_named_with_its_policy(configured, locked, tmp_path):
    path = configured("pass")
    (tmp_path / "pass.wasm").unlink()
    with pytest.raises(BundleError, match=r"policy `pass`: .*pass\.wasm"):
        locked(path)


def test_one_bad_policy_means_no_plan(configured, locked, own_home):
    with pytest.raises(ModuleRefused):
        locked(configured("pass", "imports_env"))
    assert list(own_home.rglob("*.plan")) == []


def test_a_failed_lock_keeps_the_last_plan(configured, locked, tmp_path):
    path = configured("pass")
    locked(path)
    good = path.read_text()
    path.write_text(good + "\nnonsense = 1\n")
    with pytest.raises(ConfigError, match="nonsense"):
        locked(path)
    path.write_text(good)
    assert plan.read(str(path)).policies[0].name == "pass"


def test_a_cache_that_cannot_be_written_is_an_error_and_leaves_nothing(configured, locked, own_home):
    path = configured("pass")
    own_home.write_text("a file where a folder must be")
    with pytest.raises(HostError, match=r"not a directory|cannot make"):
        locked(path)


def test_one_engine_suits_the_largest_limits_of_its_kind(configured, locked):
    path = configured("pass", "deny", deny={"limits.memory": '"32 MiB"', "limits.stack": '"512 KiB"'})
    setups = locked(path).plan.setups
    assert set(setups) == {"core"}
    assert (setups["core"]["reservation"], setups["core"]["stack"]) == (32 * MIB, 512 * KIB)


def test_text_grants_make_room_in_the_answer(configured, locked):
    grant = {'grants.rewrite."Write.content"': '{ max = "1 MiB" }'}
    assert locked(configured("pass", **{"pass": grant})).plan.policies[0].answer == 64 * KIB + MIB


@pytest.mark.parametrize(
    ("extra", "notice"),
    [
        ({'grants.rewrite."Write.content"': '{ max = "1 KiB" }'}, "strong grant"),
        ({'grants.rewrite."Bash.command"': '{ max = "1 KiB", silent = true }'}, "without anybody seeing"),
        ({"events": '["Notification"]'}, "only observed"),
    ],
)
def test_the_owner_is_told_what_is_unusual(configured, locked, extra, notice):
    assert any(notice in said for said in locked(configured("pass", **{"pass": extra})).policies[0].notices)


def test_preparing_puts_nothing_in_force(configured):
    path = configured("pass")
    lock.prepare(str(path), repin=False)
    with pytest.raises(plan.PlanStale):
        plan.read(str(path))


def test_a_configuration_without_policies_would_let_everything_pass(locked, tmp_path, own_home):
    (tmp_path / "wasmguard.toml").write_text("# not written yet\n")
    with pytest.raises(ConfigError, match="write a `\\[\\[policy\\]\\]`"):
        locked(tmp_path / "wasmguard.toml")


def test_a_manifest_is_as_fixed_as_its_module(locked, tmp_path, own_home, assembled):
    manifest = 'abi = 1\nname = "p"\nversion = "1.0.0"\nsummary = "s"\nevents = ["PreToolUse"]\n'
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "policy.wasm").write_bytes(assembled("deny"))
    (tmp_path / "p" / "manifest.toml").write_text(manifest)
    path = tmp_path / "wasmguard.toml"
    path.write_text('[[policy]]\nname = "p"\nmodule = "p"\n')
    locked(path)
    (tmp_path / "p" / "manifest.toml").write_text(manifest + 'tools = ["Nothing"]\n')
    path.write_text(path.read_text() + "# touched\n")
    with pytest.raises(ModuleChanged, match="the manifest of `p` changed since it was locked"):
        locked(path, repin=False)
    assert locked(path).plan.policies[0].tools == ("Nothing",)


STATE = {"grants.state": '"4 KiB"'}


def test_a_store_that_is_damaged_is_an_error_and_nothing_is_locked(configured, locked):
    path = configured("pass", **{"pass": STATE})
    locked(path)
    file = Path(path_of(str(path)))
    file.write_bytes(b"x" * 8192)
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(StateError, match="delete it and run `wasmguard lock`, which begins with nothing remembered"):
        locked(path)
    with pytest.raises(plan.PlanStale):
        plan.read(str(path))
    assert file.read_bytes() == b"x" * 8192


def test_a_store_that_is_gone_is_made_by_the_owner_and_not_by_a_hook(configured, locked):
    path = configured("pass", **{"pass": STATE})
    locked(path)
    file = Path(path_of(str(path)))
    file.unlink()
    path.write_text(path.read_text() + "# changed\n")
    locked(path, repin=False)
    assert not file.exists()
    locked(path)
    assert file.exists()
