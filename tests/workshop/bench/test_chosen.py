"""What a person names is measured, and nothing else; an owner's policy as its owner set it up."""

import os
import tomllib

import pytest

from wasmguard.errors import BundleError, ConfigError, UsageError
from wasmguard.guest.bundle import builtins
from wasmguard.workshop.bench.chosen import chosen
from wasmguard.workshop.trial import spelled

SETTING = '[settings.root]\ntype = "string"\ndefault = "/r"'


def named(*subjects, config=None, profile=""):
    return [table["name"] for table in chosen(subjects, config, profile).policies]


@pytest.fixture
def usual(configured, own_home):
    """The owner's configuration, where it usually is."""

    def write(*names, **extra):
        text = configured(*names, **extra).read_text()
        folder = own_home / "wasmguard"
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.wasm").write_bytes((configured("pass").parent / f"{name}.wasm").read_bytes())
        (folder / "wasmguard.toml").write_text(text)
        return folder / "wasmguard.toml"

    return write


def test_without_subjects_it_is_the_owners_configuration_or_else_all_builtin_policies(usual, own_home):
    assert named() == builtins()
    usual("pass", "deny")
    assert named() == ["pass", "deny"]


def test_a_configuration_that_was_named_must_be_there(own_home, tmp_path, monkeypatch):
    missing = str(tmp_path / "none.toml")
    for subjects, config in (((), missing), ((missing,), None)):
        with pytest.raises(ConfigError, match="does not exist"):
            chosen(subjects, config, "")
    monkeypatch.setenv("WASMGUARD_CONFIG", missing)
    with pytest.raises(ConfigError, match="does not exist"):
        chosen((), None, "")


def test_a_configuration_is_measured_alone(configured):
    path = str(configured("pass"))
    assert named(path) == ["pass"]
    with pytest.raises(UsageError, match="measured alone: leave the other subjects out"):
        chosen((path, "builtin:budget"), None, "")
    with pytest.raises(UsageError, match="measured alone: leave `--config` out"):
        chosen((path,), path, "")


def test_a_configuration_without_a_policy_is_refused(tmp_path, own_home):
    (tmp_path / "wasmguard.toml").write_text("self_protection = false\n")
    with pytest.raises(ConfigError, match="there is none"):
        chosen((str(tmp_path / "wasmguard.toml"),), None, "")


def test_files_and_names_of_an_owners_policies_can_stand_together(bundled, configured):
    config, folder = str(configured("deny")), str(bundled("pass"))
    found = chosen((folder, "deny", f"{folder}/policy.wasm", "builtin:budget"), config, "")
    assert [table["name"] for table in found.policies] == ["tried", "deny", "tried-2", "budget"]
    assert found.shown == (folder, "deny.wasm", f"{folder}/policy.wasm", "builtin:budget")


def test_an_owners_policy_keeps_what_its_owner_said_and_only_the_store_is_another(configured, tmp_path):
    path = configured("deny", "pass", deny={"limits": '{ fuel = 77, memory = "2 MiB" }', "on_fault": '"ask"'})
    state = '[state]\nstore = "redis://127.0.0.1:1/0"\nentries = 12\npassword_file = "x"\n'
    path.write_text('isolation = "thread"\n' + state + path.read_text())
    found = chosen(("deny",), str(path), "")
    (table,) = found.policies
    assert (table["limits"], table["on_fault"]) == ({"fuel": 77, "memory": "2 MiB"}, "ask")
    assert table["module"] == str(tmp_path / "deny.wasm")
    assert found.top == {"isolation": "thread", "state": {"store": "sqlite", "entries": 12}}


def test_a_module_at_home_is_found_from_anywhere(configured, own_home, assembled):
    own_home.mkdir()
    (own_home / "mine.wasm").write_bytes(assembled("pass"))
    path = configured("pass")
    path.write_text(path.read_text().replace("pass.wasm", "~/mine.wasm"))
    assert chosen((), str(path), "").policies[0]["module"] == f"{own_home}/mine.wasm"


def test_a_profile_goes_before_all_limits(configured, bundled):
    path = configured("pass", **{"pass": {"limits": "{ fuel = 77 }", "timeout": '"2 s"'}})
    path.write_text("limits = { memory = 65536 }\n" + path.read_text())
    found = chosen((), str(path), "tight")
    assert (found.policies[0]["limits"], "timeout" in found.policies[0]) == ({"profile": "tight"}, False)
    assert "limits" not in found.top
    for profile, event in (("roomy", 16 * 2**20), ("tight", 8 * 2**20)):  # a Write of 5 MB comes through all of them
        limits = chosen((str(bundled("pass")),), None, profile).policies[0]["limits"]
        assert (limits["profile"], limits["event"]) == (profile, event)


def test_a_name_that_nobody_can_have_gets_a_number(tmp_path, own_home, assembled):
    paths = []
    for folder, name in (("a", "wasmguard"), ("a", "x" * 70), ("b", "x" * 70), ("b", "_Ü_"), ("c", "My Policy v2")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.wasm").write_bytes(assembled("pass"))
        paths.append(str(tmp_path / folder / f"{name}.wasm"))
    assert named(*paths) == ["wasmguard-2", "x" * 64, "x" * 60 + "-2", "policy", "my-policy-v2"]


def test_a_file_goes_before_a_policy_of_the_owners_that_is_called_so(bundled, configured, tmp_path, monkeypatch):
    path = str(configured("pass"))
    bundled("deny", name="pass")
    monkeypatch.chdir(tmp_path)
    assert chosen(("pass",), path, "").policies[0]["module"] == str(tmp_path / "pass")


@pytest.mark.parametrize("owned", [True, False])
def test_what_is_unknown_is_refused_with_what_can_be_written(configured, own_home, tmp_path, owned):
    config = str(configured("deny") if owned else tmp_path / "none.toml")
    with pytest.raises(UsageError) as found:
        chosen(("no-such\x1b",), config, "")
    said = str(found.value)
    assert said.startswith("`no-such")
    assert "\x1b" not in said
    assert ("`deny`" in said, "no policy of that name in" in said) == (owned, owned)
    assert "`builtin:path-redirect`" in said
    with pytest.raises(UsageError, match=r"^`tool-gat`: .*: did you mean `builtin:tool-gate`\?$"):
        chosen(("tool-gat",), config, "")
    for path in ("no-such.wasm", "deny/no-such"):
        with pytest.raises(UsageError, match=f"^`{path}`: no such file or folder: name one that is there$"):
            chosen((path,), config, "")
    with pytest.raises(BundleError, match="no such policy comes with wasmguard"):
        chosen(("builtin:none",), None, "")


def test_a_project_that_was_never_built_is_refused_and_one_that_changed_since_is_told(bundled, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    bundled("pass").rename(project / "build")
    (project / "manifest.toml").write_text((project / "build/manifest.toml").read_text())
    os.utime(project / "manifest.toml", (1, 1))
    assert chosen((str(project),), None, "").notes == ()
    os.utime(project / "manifest.toml", (4e9, 4e9))
    assert "its sources are newer" in chosen((str(project),), None, "").notes[0]
    (project / "build/policy.wasm").unlink()
    with pytest.raises(UsageError, match="was never built: run `wasmguard build`"):
        chosen((str(project),), None, "")


def test_settings_that_do_not_fit_are_told_about_the_owners_file(bundled, tmp_path, own_home):
    folder, path = str(bundled("pass", more=SETTING)), tmp_path / "wasmguard.toml"
    good = {"name": "good", "module": folder}
    path.write_text(spelled([good, {"name": "bad", "module": folder, "settings": {"root": 7}}]))
    with pytest.raises(ConfigError, match=rf"^{path}:\d+: policy `bad`"):
        chosen((), str(path), "")
    assert named("good", config=str(path)) == ["good"]
    with pytest.raises(ConfigError, match="policy `bad`"):
        chosen(("bad",), str(path), "")


def test_what_is_chosen_can_be_written_down(configured):
    path = configured("deny", deny={"settings": '{ a = [1, 2.5, "x\\u007f\\"", true], b = { "c d" = "ü" } }'})
    found = chosen((), str(path), "")
    read = tomllib.loads(spelled(found.policies, **found.top))
    assert read.pop("policy") == list(found.policies)
    assert read == found.top
