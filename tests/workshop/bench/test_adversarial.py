"""Inputs that an agent could craft: a policy which they fool is found."""

from types import SimpleNamespace

import pytest
import wasmtime

from wasmguard.decision import Decision, Effect
from wasmguard.guest.bundle import open_bundle
from wasmguard.limits import HARD_MAX
from wasmguard.lock import lock
from wasmguard.serve import hook
from wasmguard.workshop.bench import adversarial
from wasmguard.workshop.bench.adversarial import CARRIED, DEADLINE, GRACE, READINGS, tried
from wasmguard.workshop.bench.crafted import crafted

GUEST = """
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\\81\\a6effect\\a4deny")  ;; 13 bytes
  (data (i32.const 48) "\\80")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param $size i32) (result i32)
    (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2))))
    (i32.const 1024))
  (func (export "wasmguard_evaluate") (param $at i32) (param $length i32) (result i64)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    %s
    (loop $next
      (if (i64.eq (i64.and (i64.load (local.get $at)) (i64.const 0xffffffffffff)) (i64.const 0x66722d206d72))  ;; rm -rf
        (then (return (i64.const 0x10_0000000d))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i64.const 0x30_00000001)))
"""
SHORT_SIGHTED = (
    GUEST
    % """
    (if (i32.gt_u (local.get $length) (i32.const 1000))
      (then (local.set $end (i32.add (local.get $at) (i32.const 1000)))))"""
)
ENDLESS = GUEST % "(loop $ever (br $ever))"
HONEST = GUEST % ""
QUICK = ("1 MB in quotes", "3,000 here-documents", "100,000 levels of JSON", "a Write of 5 MB to passwd")


@pytest.fixture
def bench(tmp_path, own_home):
    """A bench of one policy, from its text or a reference, with what its owner wrote beside it."""

    def made(module, more="", name="tried", top=""):
        reference = module
        if module.startswith("\n"):
            reference = str(tmp_path / f"{name}.wasm")
            (tmp_path / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(module))
        config = tmp_path / f"{name}.toml"
        config.write_text(f'{top}\n[[policy]]\nname = "{name}"\nmodule = "{reference}"\n{more}\n')
        locked = lock(str(config), repin=False).plan
        bundle = open_bundle(reference, "/", HARD_MAX.module)
        planned = locked.policies[0]
        target = SimpleNamespace(name=name, planned=planned, plan=locked, bundle=bundle, reference=reference)
        return SimpleNamespace(targets=(target,), plan=locked)

    return made


@pytest.fixture
def quick(monkeypatch):
    """Only a few of the inputs."""
    some = [one for one in crafted() if one.name in QUICK]
    assert len(some) == len(QUICK)
    monkeypatch.setattr(adversarial, "crafted", lambda: some)


def outcome(bench):
    return {entry["input"]: entry for entry in tried(bench, lambda _: None)}


def decision(effect, **given):
    return Decision(effect=effect, **given)


# --- policies that are fooled, or not --------------------------------------------------------------------------------


def test_a_policy_that_reads_only_the_beginning_is_found(bench, quick):
    entries = outcome(bench(SHORT_SIGHTED))
    fooled = entries["1 MB in quotes"]
    assert (fooled["plain"], fooled["effect"], fooled["ok"]) == ("deny", "pass", False)
    assert fooled["why"] == "looser than `deny` on the plain input"
    assert fooled["bytes"] > 1_000_000


def test_a_policy_that_reads_everything_stands(bench, quick):
    assert all(entry["ok"] for entry in outcome(bench(HONEST)).values())


def test_a_policy_that_runs_out_of_fuel_has_denied_so_it_stands(bench, quick):
    entries = outcome(bench(HONEST, "limits.fuel = 200_000"))
    burned = entries["1 MB in quotes"]
    assert (burned["plain"], burned["effect"], burned["ok"]) == ("deny", "deny", True)
    assert "out of fuel" in burned["fault"]
    assert burned["why"] == "a fault counts as deny"


def test_a_policy_that_loops_is_stopped_by_its_clock_within_the_bound(bench, quick):
    entries = outcome(bench(ENDLESS, 'limits.fuel = 1_000_000_000\nlimits.clock = "20 ms"'))
    stopped = entries["3,000 here-documents"]
    assert stopped["ok"]
    assert stopped["effect"] == "deny"
    assert "20 ms" in stopped["fault"]
    assert stopped["bound"] >= 20 + GRACE
    assert "plain" in stopped["why"], "where the plain input is a fault too, that must be said"


def test_what_is_too_large_or_too_deep_is_refused_before_a_policy_is_asked(bench, quick):
    entries = outcome(bench(HONEST))
    for name in ("100,000 levels of JSON", "a Write of 5 MB to passwd"):
        assert (entries[name]["effect"], entries[name]["ok"]) == ("deny", True)
        assert entries[name]["why"] == "refused by the guard itself"
    assert "limit of 4_194_304" in entries["a Write of 5 MB to passwd"]["fault"]


def test_what_the_guard_denies_by_itself_does_not_hide_what_a_policy_lets_pass(bench, quick):
    made = bench(SHORT_SIGHTED)
    assert made.plan.self_protection
    assert not outcome(made)["1 MB in quotes"]["ok"]


def test_a_policy_is_not_asked_about_tools_that_it_does_not_judge(bench, quick):
    assert outcome(bench(HONEST, 'tools = ["Write"]')).keys() == {"a Write of 5 MB to passwd"}


def test_several_policies_are_also_tried_as_a_chain(bench, quick):
    both = [bench(HONEST, name="one"), bench(HONEST, name="two")]
    locked = both[0].plan.replaced(policies=tuple(one.plan.policies[0] for one in both))
    shares = []
    made = SimpleNamespace(targets=tuple(one.targets[0] for one in both), plan=locked)
    entries = list(tried(made, shares.append))
    assert {entry["policy"] for entry in entries} == {"one", "two", "chain"}
    assert shares == sorted(shares)
    assert shares[-1] == 1


# --- builtin policies ------------------------------------------------------------------------------------------------


def test_the_gate_denies_every_crafted_command_line_although_nobody_set_it_up(bench):
    entries = outcome(bench("builtin:tool-gate"))
    assert len(entries) > 25
    assert [entry for entry in entries.values() if not entry["ok"]] == []
    assert {entry["effect"] for entry in entries.values() if entry["plain"] == "deny"} == {"deny"}
    assert sum(entry["plain"] == "deny" for entry in entries.values()) >= 25


def test_what_an_owner_set_is_what_is_tried(bench, quick):
    entries = outcome(bench("builtin:tool-gate", 'settings.deny_commands = ["shred"]'))
    assert entries["3,000 here-documents"]["plain"] == "pass"


# --- what stands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "plain", "looser"),
    [
        (decision(Effect.PASS), decision(Effect.ALLOW), True),
        (decision(Effect.ALLOW), decision(Effect.ASK), True),
        (decision(Effect.ASK), decision(Effect.DENY), True),
        (decision(Effect.DENY), decision(Effect.ASK), False),
        (decision(Effect.PASS), decision(Effect.PASS), False),
        (decision(Effect.ASK), decision(Effect.PASS, rewrite={"file_path": "/sandbox/x"}), True),
        (decision(Effect.DENY), decision(Effect.PASS, rewrite={"file_path": "/sandbox/x"}), False),
        (decision(Effect.PASS, rewrite={"a": 1}), decision(Effect.PASS, rewrite={"a": 2}), False),
        (decision(Effect.DENY), decision(Effect.PASS, output={"stdout": ""}), True),
        (decision(Effect.DENY, output={"stdout": ""}), decision(Effect.PASS, output={"stdout": ""}), False),
    ],
)
def test_looser_is_a_lower_effect_or_a_change_that_is_missing(given, plain, looser):
    assert (adversarial._strictness(given, plain) == 0) is looser


def test_the_bound_is_the_clock_for_each_time_it_was_asked_and_the_bytes(bench):
    made = bench(HONEST, 'limits.clock = "30 ms"')
    with adversarial._guard(made.plan.replaced(self_protection=False)) as guard:
        verdict = SimpleNamespace(policy="tried")
        twice = SimpleNamespace(verdicts=(verdict, verdict))
        assert adversarial._bound(guard, twice, 1_000_000) == 60 + (READINGS + 2) * 1_000_000 / CARRIED + GRACE
        many = SimpleNamespace(verdicts=(verdict,) * 10_000)
        assert adversarial._bound(guard, many, 0) == DEADLINE


def test_a_hook_answers_by_itself_when_the_bound_of_all_bounds_is_over():
    assert hook.DEADLINE * 1000 == DEADLINE


def test_one_that_is_late_each_time_does_not_stand_and_one_that_was_late_once_does(bench, quick, monkeypatch):
    late = decision(Effect.DENY)
    times = {"always": [9e9], "once": [9e9, 1.0]}
    for name, took in times.items():
        left = [1.0, *took]  # first the plain input
        monkeypatch.setattr(
            adversarial, "_decided", lambda *_, left=left: (late, left.pop(0) if len(left) > 1 else left[0])
        )
        guard = SimpleNamespace(plan=bench(HONEST, name=name).plan)
        one = next(one for one in crafted() if one.name == "3,000 here-documents")
        entry = adversarial._tried(guard, name, one)
        assert entry["ok"] is (name == "once")
        assert ("longer than the bound" in entry["why"]) is (name == "always")
