"""The guard in a process that lives on: what it answers, and how it follows the plan."""

import json
import os

import pytest

from tests.agents.claude_rules import validate
from tests.serve.host import wire
from wasmguard import plan, switch
from wasmguard.errors import WasmguardError
from wasmguard.lock import lock
from wasmguard.serve import standing as module
from wasmguard.serve.standing import Standing

SAID = 'policy "deny" says (untrusted text): "no"'


@pytest.fixture
def stands(configured, monkeypatch):
    """Standing guards, closed at the end."""
    monkeypatch.setattr(module, "FRESH", 0.0)
    made = []

    def stand(*names, **extra):
        config = str(configured(*names, **extra))
        made.append(Standing(config))
        return made[-1], config

    yield stand
    for standing in made:
        standing.close()


def does(reply):
    """What the client does with *reply*."""
    code, answer, _ = reply
    assert code == 0
    return validate("PreToolUse", answer)


def wrote(path, text):
    """Write *path* so that its stamp differs, however coarse the clock of the file system is."""
    before = os.stat(path).st_mtime_ns
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_it_says_what_a_hook_would_say(stands):
    standing, _ = stands("pass")
    assert standing.reply(wire(), {}) == (0, b"{}\n", b"")
    standing, _ = stands("deny")
    assert SAID in does(standing.reply(wire(), {})).reason


def test_its_cells_are_there_before_the_first_event(stands):
    standing, _ = stands("pass")
    (cell,) = standing.pids()
    standing.reply(wire(), {})
    assert standing.pids() == [cell]


def test_a_configuration_that_was_never_locked_is_locked_first(stands):
    _, config = stands("pass")
    assert plan.read(config).policies


def test_without_a_configuration_there_is_none(tmp_path, own_home):
    with pytest.raises(WasmguardError, match="does not exist"):
        Standing(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[" * 100_000, b'{"hook_event_name":"PreToolUse"}', b"\xff"])
def test_what_is_no_event_is_refused(stands, raw):
    standing, _ = stands("pass")
    code, answer, complaint = standing.reply(raw, {})
    assert code == 2 or validate("PreToolUse", answer).does == "blocked"
    assert json.loads(answer)
    assert complaint
    assert standing.last.effect == "deny"
    assert standing.last.faulted
    assert standing.reply(wire(), {}) == (0, b"{}\n", b"")


def test_a_bug_of_ours_is_a_deny(stands, monkeypatch):
    standing, _ = stands("pass")
    monkeypatch.setattr(module, "parsed_event", lambda *_: 1 / 0)
    assert "internal error: ZeroDivisionError" in does(standing.reply(wire(), {})).reason


def test_an_event_over_the_limit_is_refused(stands):
    standing, _ = stands("pass")
    reply = standing.reply(wire(tool_input={"content": "x" * (standing.plan.event + 1)}), {})
    assert "more than the limit" in does(reply).reason


def test_it_tells_what_the_last_decision_came_to(stands):
    standing, _ = stands("deny")
    standing.reply(wire(), {})
    last = standing.last
    assert (last.event, last.tool, last.effect, last.policy) == ("PreToolUse", "Passed", "deny", "deny")
    assert SAID in last.reason
    assert not last.faulted
    assert last.time > 0
    assert last.microseconds > 0


def test_while_its_owner_has_it_off_everything_passes(stands):
    standing, _ = stands("deny")
    switch.switch_off(60)
    try:
        assert standing.reply(wire(), {}) == (0, b"{}\n", b"")
    finally:
        switch.switch_on()
    assert SAID in does(standing.reply(wire(), {})).reason


def test_settings_are_protected_where_the_agent_says_they_are(stands, tmp_path):
    standing, _ = stands("pass")
    written = wire(tool_name="Write", tool_input={"file_path": str(tmp_path / "moved/settings.json"), "content": "{}"})
    assert standing.reply(written, {}) == (0, b"{}\n", b"")
    reply = standing.reply(written, {"CLAUDE_CONFIG_DIR": str(tmp_path / "moved")})
    assert "which can switch the agent's hooks off" in does(reply).reason


def test_what_the_guard_itself_denies_is_no_fault(stands):
    standing, config = stands("pass")
    standing.reply(wire(tool_name="Write", tool_input={"file_path": config, "content": ""}), {})
    assert (standing.last.effect, standing.last.faulted, standing.last.policy) == ("deny", False, "wasmguard")


def test_settings_are_protected_beside_the_transcripts_of_the_agent(stands, tmp_path):
    """What a URL is told of the agent's environment may be cut or emptied."""
    standing, _ = stands("pass")
    there = {"transcript_path": str(tmp_path / "moved/projects/-work/s.jsonl")}
    given = {"file_path": str(tmp_path / "moved/settings.json"), "content": "{}"}
    reply = standing.reply(wire(tool_name="Write", tool_input=given, **there), {})
    assert "which can switch the agent's hooks off" in does(reply).reason


def ran(text):
    """What a tool gave back."""
    return wire("PostToolUse", tool_name="Bash", tool_input={}, tool_response={"stdout": text})


GRANTED = {"events": '["PostToolUse"]', "grants.rewrite_output.Bash": '{ max = "1 KiB" }'}


@pytest.mark.parametrize("withheld", [True, False])
def test_an_output_that_is_too_large_to_be_judged_is_withheld_where_it_might_be_rewritten(stands, withheld):
    standing, _ = stands("redacts", redacts=GRANTED if withheld else {"events": '["PostToolUse"]'})
    code, answer, _ = standing.reply(ran("secret" + "x" * standing.plan.event), {})
    assert code == 0
    assert (b"updatedToolOutput" in answer) is withheld
    assert b"secret" not in answer
    assert standing.last.faulted


STRANGE = {
    "nested too deep": b'"x":' + b"[" * 70 + b"]" * 70,
    "a key twice": b'"x":1,"x":2',
    "an infinite number": b'"x":1e999',
    "a cwd that is no text": b'"cwd":7',
    "no name of a tool": b'"tool_name":null',
    "bytes that are no text": b'"x":"\xff"',
    "nested deeper than anybody reads": b'"x":' + b"[" * 100_000 + b"]" * 100_000,
    "half of it": b'"x":',
}


@pytest.mark.parametrize("withheld", [True, False])
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_an_output_in_an_event_that_cannot_be_read_is_withheld_where_it_might_be_rewritten(stands, strange, withheld):
    standing, _ = stands("redacts", redacts=GRANTED if withheld else {"events": '["PostToolUse"]'})
    said = ran("s3cret").rstrip()[:-1] + b"," + strange + b"}"
    code, answer, _ = standing.reply(said, {})
    assert code == 0
    assert b"s3cret" not in answer
    outcome = validate("PostToolUse", answer)
    assert (outcome.output is not None or outcome.ends) is withheld
    assert withheld or answer == b"{}\n"


def test_what_cannot_even_be_withheld_is_still_answered(stands, monkeypatch):
    standing, _ = stands("redacts", redacts=GRANTED)
    monkeypatch.setattr(module, "unjudged", lambda *_: 1 / 0)
    assert standing.reply(b"{", {})[0] == 2
    assert "more than the limit" in does(standing.reply(wire(content="x" * standing.plan.event), {})).reason


# The question of an SDK's callback.


def asked(tool="Passed", **fields):
    return json.dumps({"toolName": tool, "input": {"file_path": "/etc/x"}, **fields}).encode()


def permitted(reply):
    """What *reply* says, which is an answer whatever was asked."""
    code, answer, _ = reply
    assert code == 0
    said = json.loads(answer)
    assert (said["version"], answer[-1:]) == (1, b"\n")
    return said


def test_a_callback_is_told_what_a_hook_would_be_told(stands):
    standing, _ = stands("pass")
    assert permitted(standing.permission(asked(unasked="pass"), {})) == {"version": 1, "behavior": "allow"}
    assert permitted(standing.permission(asked(asks=True), {}))["behavior"] == "ask"
    standing, _ = stands("deny")
    said = permitted(standing.permission(asked(unasked="pass", asks=True), {}))
    assert (said["behavior"], said["message"]) == ("deny", SAID)


def test_what_a_callback_was_told_is_told_like_an_event(stands):
    standing, _ = stands("deny")
    standing.permission(asked(), {})
    last = standing.last
    assert (last.event, last.tool, last.effect, last.policy) == ("can-use-tool", "Passed", "deny", "deny")
    assert SAID in last.reason
    assert not last.faulted
    assert last.time > 0
    assert last.microseconds > 0


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[" * 100_000, b'{"toolName":"Read"}', b"\xff", asked(x=1)])
def test_what_no_callback_would_ask_is_denied(stands, raw):
    standing, _ = stands("pass")
    assert permitted(standing.permission(raw, {}))["behavior"] == "deny"
    assert (standing.last.effect, standing.last.faulted) == ("deny", True)
    assert permitted(standing.permission(asked(unasked="pass"), {}))["behavior"] == "allow"


def test_a_callbacks_question_over_the_limit_is_denied(stands):
    standing, _ = stands("pass")
    said = permitted(standing.permission(asked(input={"x": "x" * (standing.plan.event + 1)}, unasked="pass"), {}))
    assert said["behavior"] == "deny"
    assert "more than the limit" in said["message"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda *_: ({"version": 1, "behavior": {"allow"}}, {"reason": ""}), "TypeError"),
        (lambda *_: ({"version": 1, "behavior": "allow"}, {}), "KeyError"),
    ],
    ids=["asking", "saying", "telling"],
)
def test_a_bug_of_ours_denies_a_callback(stands, monkeypatch, broken, why):
    standing, _ = stands("pass")
    monkeypatch.setattr(module.callback, "answered", broken)
    said = permitted(standing.permission(asked(unasked="pass"), {}))
    assert said["behavior"] == "deny"
    assert f"internal error: {why}" in said["message"]


def test_a_plan_that_cannot_be_followed_denies_a_callback(stands, monkeypatch):
    standing, _ = stands("pass")
    monkeypatch.setattr(standing, "follow", lambda: 1 / 0)
    assert permitted(standing.permission(asked(unasked="pass"), {}))["behavior"] == "deny"


def test_while_its_owner_has_it_off_a_callback_hears_no_opinion(stands):
    standing, _ = stands("deny")
    switch.switch_off(60)
    try:
        assert permitted(standing.permission(asked(unasked="pass"), {}))["behavior"] == "allow"
        assert permitted(standing.permission(asked(asks=True), {}))["behavior"] == "ask"
        assert permitted(standing.permission(asked(), {}))["behavior"] == "deny"
    finally:
        switch.switch_on()
    assert permitted(standing.permission(asked(unasked="pass"), {}))["behavior"] == "deny"


def test_settings_are_protected_where_a_callbacks_agent_says_they_are(stands, tmp_path):
    standing, _ = stands("pass")
    written = asked("Write", input={"file_path": str(tmp_path / "moved/settings.json"), "content": ""}, unasked="pass")
    assert permitted(standing.permission(written, {}))["behavior"] == "allow"
    said = permitted(standing.permission(written, {"CLAUDE_CONFIG_DIR": str(tmp_path / "moved")}))
    assert said["behavior"] == "deny"
    assert "which can switch the agent's hooks off" in said["message"]


# It follows the plan.


def test_a_new_plan_is_in_force_at_the_next_event(stands, configured):
    standing, config = stands("pass")
    old, (cell,) = standing.plan.digest, standing.pids()
    configured("pass", "deny")
    lock(config, repin=False)
    assert SAID in does(standing.reply(wire(), {})).reason
    assert (standing.reload.old, standing.reload.new, standing.reload.error) == (old, standing.plan.digest, "")
    assert standing.plan.digest != old
    assert cell not in standing.pids()


def test_events_that_follow_each_other_at_once_share_a_look(stands, configured, monkeypatch):
    standing, _ = stands("pass")
    monkeypatch.setattr(module, "FRESH", 60.0)
    standing.reply(wire(), {})
    seen = []
    monkeypatch.setattr(standing, "_looked", lambda: seen.append(1))
    for _ in range(3):
        standing.reply(wire(), {})
    assert seen == []


def test_a_configuration_that_is_not_locked_yet_changes_nothing(stands):
    standing, config = stands("deny")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    wrote(config, f"{text}\n# more\n")
    assert SAID in does(standing.reply(wire(), {})).reason
    assert "changed: run `wasmguard lock`" in standing.reload.error
    lock(config, repin=False)
    assert SAID in does(standing.reply(wire(), {})).reason
    assert standing.reload.error == ""


@pytest.mark.parametrize("broken", ["not toml [", ""])
def test_the_last_good_plan_stays_when_the_configuration_breaks(stands, broken):
    standing, config = stands("deny")
    wrote(config, broken)
    assert SAID in does(standing.reply(wire(), {})).reason
    os.unlink(config)
    assert SAID in does(standing.reply(wire(), {})).reason
    assert "does not exist" in standing.reload.error


def test_a_plan_that_was_tampered_with_changes_nothing(stands):
    standing, config = stands("deny")
    with open(plan.file_of(config), "r+b") as file:
        file.seek(100)
        file.write(b"forged")
    wrote_again = os.stat(plan.file_of(config)).st_mtime_ns + 10**9
    os.utime(plan.file_of(config), ns=(wrote_again, wrote_again))
    assert SAID in does(standing.reply(wire(), {})).reason
    assert "is not what was written there" in standing.reload.error


def test_a_module_that_changed_is_refused_until_it_is_locked(stands, tmp_path, assembled, monkeypatch):
    standing, config = stands("pass")
    monkeypatch.setattr(module, "MODULES", 0.0)
    standing.reply(wire(), {})
    (tmp_path / "pass.wasm").write_bytes(assembled("deny"))
    assert "changed since it was locked" in does(standing.reply(wire(), {})).reason
    lock(config, repin=True)
    assert 'policy "pass" says' in does(standing.reply(wire(), {})).reason


def test_what_cannot_run_does_not_replace_what_runs(stands, configured, monkeypatch):
    standing, config = stands("deny")
    cells = standing.pids()
    configured("deny", "pass")
    lock(config, repin=False)

    def fails(*_, **__):
        raise WasmguardError("no processes left")

    with monkeypatch.context() as patch:
        patch.setattr(module.plan, "cells", fails)
        assert SAID in does(standing.reply(wire(), {})).reason
    assert standing.reload.error == "no processes left"
    assert standing.pids() == cells


def test_a_plan_whose_cells_could_not_start_comes_into_force_when_they_can(stands, configured, monkeypatch):
    """Else whoever uses up the processes while a policy is added keeps it out for good."""
    standing, config = stands("pass")
    configured("pass", "deny")
    lock(config, repin=False)
    monkeypatch.setattr(module, "AGAIN", 0.0)

    def fails(*_, **__):
        raise WasmguardError("no processes left")

    for bad in (fails, lambda *_, **__: bytes(2**62)):
        with monkeypatch.context() as patch:
            patch.setattr(module.plan, "cells", bad)
            standing.reply(wire(), {})
            assert standing.plan.policies[-1].name == "pass"
    assert SAID in does(standing.reply(wire(), {})).reason
    assert standing.reload.error == ""


def test_what_is_tried_again_in_vain_is_told_once(stands, configured, monkeypatch):
    standing, _ = stands("pass")
    configured("pass", "deny")
    monkeypatch.setattr(module, "AGAIN", 0.0)
    standing.reply(wire(), {})
    told = standing.reload
    assert "changed: run `wasmguard lock`" in told.error
    standing.reply(wire(), {})
    assert standing.reload is told


def test_a_module_that_changed_is_refused_although_no_cell_could_start_at_first(
    stands, tmp_path, assembled, monkeypatch
):
    standing, _ = stands("pass")
    monkeypatch.setattr(module, "MODULES", 0.0)
    standing.reply(wire(), {})
    (tmp_path / "pass.wasm").write_bytes(assembled("deny"))

    def fails(*_, **__):
        raise WasmguardError("no processes left")

    with monkeypatch.context() as patch:
        patch.setattr(module.plan, "cells", fails)
        assert "no processes left" in does(standing.reply(wire(), {})).reason
    assert "changed since it was locked" in does(standing.reply(wire(), {})).reason


def test_its_cells_end_with_it(configured):
    standing = Standing(str(configured("pass")))
    cells = standing.pids()
    standing.close()
    assert cells
    assert not any(os.path.exists(f"/proc/{cell}") for cell in cells)
