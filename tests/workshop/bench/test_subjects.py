"""What is measured lives in a home of its own, is what its owner set up, and leaves nothing behind."""

import os
import stat
from contextlib import ExitStack

import pytest

from tests.workshop.trying import asks
from wasmguard import places, plan
from wasmguard.errors import ModuleChanged, ModuleRefused
from wasmguard.guard import Guard
from wasmguard.link import LONGEST_PATH
from wasmguard.state import exists
from wasmguard.workshop.bench.subjects import forgotten, opened

REMEMBERS = asks(state='{ max = 100, scope = "session" }')
CALL = {"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Write", "tool_input": {"file_path": "/x"}}
STORE = '[state]\nstore = "redis://127.0.0.1:1/0"\n'  # where nobody answers


def contents(folder):
    """Every file below *folder*, and what is in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_of_the_owners_is_touched_and_nothing_is_left(configured, own_home, tmp_path):
    path = configured("counter", counter={"grants": '{ state = { max = "1 KiB" } }'})
    path.write_text(STORE + path.read_text())
    before, environment = contents(tmp_path), dict(os.environ)
    with opened((str(path),), None, "") as bench:
        assert (bench.home != str(own_home), os.environ["HOME"]) == (True, bench.home)
        assert stat.S_IMODE(os.stat(bench.home).st_mode) == 0o700
        with Guard.load(bench.config, isolation="thread") as guard:
            assert not guard.decide(CALL).faulted
    assert contents(tmp_path) == before
    assert dict(os.environ) == environment
    assert not os.path.exists(bench.home)


def test_nothing_is_left_of_what_could_not_be_opened(bundled, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    environment = dict(os.environ)
    with pytest.raises(ModuleRefused, match="path_open"), opened((str(bundled("imports_wasi")),), None, ""):
        pass
    assert not any((tmp_path / "temporary").iterdir())
    assert dict(os.environ) == environment


def test_every_name_of_a_place_is_below_the_home_of_the_bench(bundled, monkeypatch, tmp_path):
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "owners"))
    monkeypatch.setenv("WASMGUARD_CONFIG", str(tmp_path / "owners.toml"))
    with opened((str(bundled("pass")),), None, "") as bench:
        here = [places.config_file(), places.cache_dir(), places.state_dir(), places.runtime_dir()]
        assert all(place.startswith(f"{bench.home}/") for place in here)
        assert len(f"{bench.home}/wasmguard/run/wasmguard-00000000.sock") < LONGEST_PATH


def test_every_plan_is_in_force_and_means_what_it_says(bundled, configured):
    path = configured("deny", "ask")
    with opened(("deny", str(bundled("pass", more=REMEMBERS)), "ask"), str(path), "") as bench:
        for made in (bench.plan, bench.null, *(target.plan for target in bench.targets)):
            assert plan.read(made.config) == plan.last(made.config)
            assert plan.read(made.config).digest == made.digest
            assert exists(made.config, made.state) == any(policy.grants["state"] for policy in made.policies)
        assert [target.name for target in bench.targets] == ["deny", "tried", "ask"]
        assert [target.plan.policies for target in bench.targets] == [(policy,) for policy in bench.plan.policies]
        assert bench.plan.config == bench.config
        assert bench.stateful


def test_a_target_has_its_bytes_and_the_seconds_that_its_compiler_took(bundled, assembled):
    folder = str(bundled("deny"))
    for _ in range(2):
        with opened((folder, folder), None, "") as bench:
            one, other = bench.targets
            assert (one.name, other.name) == ("tried", "tried-2")
            assert (one.bundle.module, one.shown, one.reference) == (assembled("deny"), folder, folder)
            assert (one.told.seconds > 0, one.told.seconds) == (True, other.told.seconds)
            assert (one.told.size, one.planned.sha256) == (len(assembled("deny")), one.bundle.sha256)


def test_owners_limits_grants_and_protection_count(configured):
    path = configured("deny", deny={"limits": "{ fuel = 77 }", "grants": '{ effects = ["allow"] }', "shadow": "true"})
    path.write_text("self_protection = false\nisolation = 'thread'\n" + path.read_text())
    with opened((str(path),), None, "") as bench:
        (planned,) = bench.plan.policies
        assert (planned.limits["fuel"], planned.shadow) == (77, True)
        assert "allow" in str(planned.grants["effects"]).lower()
        for made in (bench.plan, bench.null):
            assert (made.self_protection, made.isolation) == (False, "thread")


def test_bytes_that_are_not_those_that_the_owner_pinned_are_refused(configured):
    path = configured("deny", deny={"sha256": f'"{"0" * 64}"'})
    with (
        pytest.raises(ModuleChanged, match=r"policy `deny`: .*check it, then run `wasmguard lock`"),
        opened((str(path),), None, ""),
    ):
        pass


def test_the_null_policy_passes_everything_however_large_in_an_engine_like_the_others(bundled):
    with opened((str(bundled("pass", more='limits = "roomy"')),), None, "") as bench:
        assert bench.null.setups == bench.plan.setups
        assert bench.null.event == bench.plan.event
        with Guard(bench.null, plan.cells(bench.null, slots=2, isolation="thread")) as guard:
            for name in ("PreToolUse", "Stop", "UserPromptSubmit", "SessionEnd"):
                fields = CALL | {"hook_event_name": name, "prompt": "x" * 5_000_000}
                decision = guard.decide(fields)
                assert (decision.effect.name, len(decision.verdicts), decision.faulted) == ("PASS", 1, False)
        (verdict,) = decision.verdicts
        assert verdict.fuel < 20


def test_the_null_policy_takes_a_request_of_any_size(bundled):
    with opened((str(bundled("pass")),), None, "") as bench:
        whole = bench.null.policies[0].replaced(reads=None)
        cells = plan.cells(bench.null, slots=2, isolation="thread")
        guest = plan.guest(whole, cells)
        for size in (1, 65_519, 65_520, 65_521, 131_072, 5_000_000):
            assert guest.evaluate(bytes(size))[0] == b"\x80"


def test_a_policy_without_an_owner_gets_a_write_of_five_megabytes(bundled):
    with opened((str(bundled("pass", more='limits = "tight"')),), None, "") as bench:
        assert bench.plan.event >= 5_500_000
        assert bench.plan.policies[0].limits["fuel"] == 2_000_000


def test_what_policies_remember_is_forgotten_each_on_its_own(bundled):
    counts = str(bundled("counts", more=REMEMBERS))
    with opened((counts, counts), None, "") as bench, ExitStack() as guards:
        one, other = (
            guards.enter_context(Guard(made, plan.cells(made, slots=2, isolation="thread")))
            for made in (bench.targets[0].plan, bench.targets[1].plan)
        )
        assert [said(one), said(one), said(other)] == [1, 2, 1]
        forgotten(one.plan)()
        assert [said(one), said(other)] == [1, 2]
        assert forgotten(bench.null) is None


def said(guard):
    """How often the policy was asked, as far as it knows."""
    (verdict,) = guard.decide(CALL).verdicts
    return int.from_bytes(verdict.state, "little")
