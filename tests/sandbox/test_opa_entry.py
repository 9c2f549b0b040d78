"""What a lock finds out of a module of OPA, and what comes of it for those who ask."""

import asyncio
import json
from pathlib import Path

import pytest
import wasmtime

from wasmguard import Effect, Guard, lock, plan
from wasmguard.errors import ModuleChanged, ModuleRefused
from wasmguard.sandbox import opa_entry
from wasmguard.sandbox.engine import Setup

GUESTS = Path(__file__).parents[1] / "guests"
MANIFEST = """
abi = {abi}
name = "rego"
version = "0.1.0"
summary = "Says something"
events = ["PreToolUse"]
[settings.folder]
type = "string"
default = "/etc"
"""
EVENT = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/x"}, "cwd": "/"}


@pytest.fixture
def configured(tmp_path, own_home, assembled):
    """A configuration with the guest of that name."""

    def write(name, abi='"opa"', isolation="process"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "policy.wasm").write_bytes(assembled(name))
        (folder / "manifest.toml").write_text(MANIFEST.format(abi=abi))
        path = tmp_path / "wasmguard.toml"
        path.write_text(f'isolation = "{isolation}"\n[[policy]]\nname = "it"\nmodule = "{name}"\n')
        return path

    return write


@pytest.mark.parametrize(
    ("guest", "why"),
    [
        ("opa_wants", "calls `a\ufffd[2Jb`, `http.send`, which `opa build -t wasm` does not compile in: do without"),
        ("opa_old", "speaks version 1.1 of OPA's ABI (known: 1.2 and later 1.x)"),
        ("opa_two_entrypoints", "has the entrypoints `wasmguard/answer`, `wasmguard/deny`: build it with one of them"),
        ("opa_no_entrypoint", "has none of the entrypoints `wasmguard/answer`, `wasmguard/deny`, but `example/allow`"),
        ("opa_babbles", "does not name its entrypoints"),
        ("opa_loops", "cannot say what it is: out of fuel"),
        ("opa_malloc_outside", "cannot say what it is: wasmguard_alloc gave an address outside its memory"),
        ("opa_aborts_at_start", 'cannot say what it is: the policy reports an error (untrusted text): "not today"'),
    ],
)
def test_what_cannot_be_asked_is_refused_when_it_is_locked(guest, why, configured):
    with pytest.raises(ModuleRefused) as caught:
        lock.lock(str(configured(guest)), repin=True)
    assert str(caught.value).startswith("policy `it`: module `")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b'{"a":-1}', b'{"a":true}', b'{"a":4294967296}', b"\xff", b"[" * 9_000]
)
def test_names_that_are_none_are_refused(said):
    with pytest.raises(ModuleRefused, match="does not name its builtins"):
        opa_entry._names(said, "builtins")


def test_a_plan_holds_all_that_it_takes_and_looks_only_once(configured, monkeypatch):
    config = str(configured("opa_pass"))
    lock.lock(config, repin=True)
    (policy,) = plan.read(config).policies
    assert (policy.entrypoint, tuple(policy.opa)) == ("wasmguard/answer", ("memory", "opa_abort", "opa_builtin0"))
    assert len(policy.inert) == 2
    monkeypatch.setattr(opa_entry, "found", None)
    lock.lock(config, repin=True)


def test_the_same_bytes_are_another_thing_under_another_abi(configured):
    """What was compiled as a module of OPA was never checked against guest ABI 1."""
    made = lock.lock(str(configured("opa_pass")), repin=True).plan
    assert made.policies[0].code != lock._name_of(made.policies[0].sha256, Setup(**made.setups["core"]))
    with pytest.raises(ModuleRefused, match='write `abi = "opa"` in its manifest'):
        lock.lock(str(configured("opa_pass", abi="1")), repin=True)


@pytest.mark.parametrize("isolation", ["process", "thread"])
@pytest.mark.parametrize(("guest", "effect"), [("opa_pass", Effect.PASS), ("opa_fails", Effect.DENY)])
def test_a_guard_asks_it_like_any_other(guest, effect, isolation, configured):
    with Guard.load(str(configured(guest, isolation=isolation))) as guard:
        for _ in range(2):
            assert guard.decide(EVENT).effect is effect
        assert asyncio.run(guard.adecide(EVENT)).effect is effect


@pytest.mark.parametrize(("before", "after"), [('"opa"', "1"), ("1", '"opa"')])
def test_another_abi_in_its_manifest_is_another_policy(before, after, configured):
    guest = "opa_pass" if before == '"opa"' else "pass"
    config = configured(guest, abi=before)
    lock.lock(str(config), repin=True)
    configured(guest, abi=after)
    config.write_text(config.read_text() + "# saved again\n")
    with pytest.raises(ModuleChanged, match=r"the manifest of `.+` changed since it was locked"):
        lock.lock(str(config), repin=False)
    with pytest.raises(ModuleRefused):
        lock.lock(str(config), repin=True)


REMEMBERS = """
  (data (i32.const 2048)
    "[{\\22result\\22:{\\22state\\22:\\22b\\22,\\22rewrite\\22:{\\22file_path\\22:\\22/y\\22}}}]\\00")
  (data (i32.const 3072) "[{\\22result\\22:{\\22effect\\22:\\22deny\\22,\\22reason\\22:\\22again\\22}}]\\00")
  (global $last (mut i32) (i32.const 0))
  (func (export "opa_json_parse") (param i32 i32) (result i32)
    (global.set $last (i32.load8_u (i32.sub (i32.add (local.get 0) (local.get 1)) (i32.const 2)))) (i32.const 1))
  (func (export "opa_eval_ctx_get_result") (param i32) (result i32)
    (select (i32.const 3072) (i32.const 2048) (i32.eq (global.get $last) (i32.const 34)))))
"""  # `null}` ends a request without a state, `"b"}` the next one


@pytest.mark.parametrize("isolation", ["process", "thread"])
@pytest.mark.parametrize("shadow", [False, True])
def test_what_it_rewrites_and_remembers_is_granted_as_to_any_other(configured, tmp_path, isolation, shadow):
    text = (GUESTS / "opa_pass.wat").read_text(encoding="utf-8").rstrip()[:-1]
    dropped = ("opa_json_parse", "opa_eval_ctx_get_result")
    text = "\n".join(line for line in text.split("\n") if not any(f'"{name}"' in line for name in dropped))
    config = configured("opa_pass", isolation=isolation)
    (tmp_path / "opa_pass/policy.wasm").write_bytes(wasmtime.wat2wasm(text + REMEMBERS))
    granted = "shadow = true\n" if shadow else ""
    granted += '[policy.grants]\nstate = { max = 99 }\nrewrite = { "Write.file_path" = { max = 99 } }\n'
    config.write_text(config.read_text() + granted)
    lock.lock(str(config), repin=True)
    with Guard.load(str(config)) as guard:
        decided = [guard.decide(EVENT) for _ in range(2)]
    if shadow:
        assert [one.effect for one in decided] == [Effect.PASS] * 2
        assert all(one.rewrite is None for one in decided)
        return
    assert (decided[0].effect, decided[0].rewrite["file_path"]) == (Effect.PASS, "/y")
    assert decided[1].effect is Effect.DENY
    assert "again" in decided[1].reason


def test_its_fault_says_what_it_said(configured):
    with Guard.load(str(configured("opa_aborts"))) as guard:
        (because,) = guard.decide(EVENT).because
    assert because.fault == 'the policy reports an error (untrusted text): "no \ufffd[31m more"'
    assert because.fuel > 0


def test_it_runs_through_the_public_api_too(configured, monkeypatch):
    monkeypatch.setenv("WASMGUARD_PORTABLE", "1")
    with Guard.load(str(configured("opa_pass"))) as guard:
        assert guard.decide(EVENT).effect is Effect.PASS


def test_what_is_compiled_around_it_is_made_of_three_numbers(monkeypatch):
    asked = []

    def in_child(what, given, setup, limits):
        asked.append((what, json.loads(given)))
        return (2).to_bytes(8, "little") + b"abcd"

    monkeypatch.setattr(opa_entry, "in_child", in_child)
    numbers = {"minimum": 2, "maximum": None, "entrypoint": 0}
    assert opa_entry.compiled_around(numbers, None, None) == (b"ab", b"cd")
    assert asked == [("opa inert", numbers)]
