"""A policy is tried as a host would load it, and leaves only what may be kept."""

import os
import tomllib

import pytest

from tests.workshop.trying import asks
from wasmguard import places
from wasmguard.decision import Effect
from wasmguard.errors import BundleError, ModuleRefused
from wasmguard.guest.codec import decode_answer
from wasmguard.workshop import trial as module
from wasmguard.workshop.trial import made_up, spelled, tried

CALL = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/x"}}


def test_it_answers_with_its_fuel(bundled):
    with tried(str(bundled("deny"))) as trial:
        said = trial.ask(trial.request(CALL, {}))
    assert (said.answer.effect, said.answer.reason, said.fault) == (Effect.DENY, "no", "")
    assert decode_answer(said.data) == said.answer
    assert 0 < said.fuel < 1000


@pytest.mark.parametrize(
    ("guest", "itself"),
    [
        *[("indirect_null", True), ("recursion", True), ("loop_evaluate", True), ("component_error", True)],
        *[("component_trap", True), ("unknown_key", False), ("not_a_map", False)],
    ],
)
def test_a_fault_says_whether_the_guest_refused_to_answer(bundled, guest, itself):
    with tried(str(bundled(guest))) as trial:
        said = trial.ask(trial.request(CALL, {}))
    assert (said.answer, bool(said.fault), said.ended_itself) == (None, True, itself)


def test_what_a_host_would_refuse_is_refused_for_the_same_reason(bundled, own_home):
    with pytest.raises(ModuleRefused, match="path_open"), tried(str(bundled("imports_wasi"))):
        pass
    with pytest.raises(ModuleRefused, match="no WebAssembly"), tried(str(bundled("", data=b"MZ" * 9))):
        pass
    with pytest.raises(BundleError, match="no such policy"), tried("builtin:none"):
        pass


def test_it_gets_what_its_manifest_reads_and_its_defaults(bundled):
    more = 'reads = ["tool_name"]\n[settings.root]\ntype = "string"\ndefault = "/r"\n[settings.must]\n'
    with tried(str(bundled("deny", more=more + 'type = "strings"\nrequired = true'))) as trial:
        assert b"tool_input" not in trial.event(CALL)
        assert b"tool_name" in trial.event(CALL)
        assert trial.settings == {"root": "/r", "must": []}


def test_an_event_without_a_name_is_sent_as_it_is(bundled):
    with tried(str(bundled("deny"))) as trial:
        assert trial.event({"a": 1}) == b"\x81\xa1a\x01"


def test_it_is_granted_all_that_its_manifest_asks_for(bundled):
    more = asks(
        effects='["allow"]',
        rewrite='["Write.file_path", "mcp__a b*.x"]'.replace(" b", "b"),
        rewrite_output='["Bash"]',
        permissions='["session"]',
        state='{ max = 100, scope = "owner" }',
    )
    with tried(str(bundled("deny", more=more))) as trial:
        grants = trial.grants
    assert Effect.ALLOW in grants.effects
    assert set(grants.rewrite) == {"Write.file_path", "mcp__ab*.x"}
    assert (set(grants.rewrite_output), grants.permissions) == ({"Bash"}, {"session"})
    assert (grants.state, grants.scope, trial.most_state) == (100, "owner", 100)


def test_the_limits_are_those_of_the_manifest_or_those_that_were_named(bundled):
    folder = str(bundled("deny", more='limits = "roomy"'))
    with tried(folder) as roomy, tried(folder, "tight") as tight:
        assert (roomy.limits.fuel, tight.limits.fuel) == (100_000_000, 2_000_000)


def test_a_path_may_have_quotes_and_backslashes(bundled, tmp_path):
    folder = bundled("deny").rename(tmp_path / 'a "b" \\c')
    with tried(str(folder)) as trial:
        assert trial.ask(trial.request(CALL, {})).answer.effect is Effect.DENY


def test_nothing_is_left_but_the_newest_code_in_a_cache_of_its_own(bundled, monkeypatch, own_home):
    monkeypatch.setattr(module, "KEPT", 2)
    for guest in ("deny", "allow", "pass", "ask"):
        with tried(str(bundled(guest))):
            pass
    assert len(os.listdir(own_home / "wasmguard/tried/vault")) == 2
    assert not (own_home / "wasmguard/vault").exists()
    assert not (own_home / "wasmguard/plans").exists()
    assert places.cache_dir() == f"{own_home}/wasmguard"


def test_code_that_was_compiled_is_not_compiled_again(bundled):
    folder = str(bundled("deny"))
    with tried(folder) as first:
        assert first.seconds > 0
    with tried(folder) as second:
        assert second.seconds == 0


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\u202eb", "a\udcffb"], ids=ascii)
def test_a_name_that_no_configuration_can_hold_is_refused_by_that_name(bundled, tmp_path, name):
    path = tmp_path / f"{name}.wasm"
    path.write_bytes((bundled("pass") / "policy.wasm").read_bytes())
    with pytest.raises(BundleError, match="that no configuration can hold: rename it") as found, tried(str(path)):
        pass
    assert str(found.value).startswith(f"`{tmp_path}/a")
    assert name not in str(found.value)


def test_a_configuration_that_was_made_up_says_what_it_was_made_of():
    odd = 'a "b" \\c\x7f\n\tü'
    table = {"name": "x", "settings": {odd: [1, 2.5, True, odd, [], {}]}, "limits": {"profile": "tight", "fuel": 7}}
    read = tomllib.loads(spelled([table, {"name": "y"}], isolation="thread", state={"store": "sqlite"}))
    assert read == {"isolation": "thread", "state": {"store": "sqlite"}, "policy": [table, {"name": "y"}]}
    assert tomllib.loads(spelled([{"name": "z"}])) == {"policy": [{"name": "z"}]}


def test_single_limits_go_before_those_of_the_profile():
    assert made_up("x", "builtin:budget", None, "tight", event=9)["limits"].items() >= {
        ("profile", "tight"),
        ("event", 9),
    }
