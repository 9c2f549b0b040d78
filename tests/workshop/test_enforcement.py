"""Whether installed hooks are proven to enforce: each way in which one does not has to be told."""

import json

import pytest

from tests.workshop.guarded import GATE, Owner, hooked, told
from wasmguard import switch
from wasmguard.agents import claude_settings
from wasmguard.workshop import enforcement
from wasmguard.workshop.enforcement import enforced


@pytest.fixture
def owner(tmp_path, monkeypatch):
    monkeypatch.setattr(enforcement, "COMING_UP", 0.0)
    owner = Owner(tmp_path, monkeypatch)
    owner.locks()
    return owner


def found(owner):
    return [finding for hook in owner.hooks() for finding in enforced(hook)]


def wrongs(owner):
    return {finding.about: finding for finding in found(owner) if finding.mark == "wrong"}


def test_a_hook_that_enforces_is_proven_to(owner):
    owner.installs()
    findings = found(owner)
    assert told(findings, mark="wrong") == []
    proven = {finding.about for finding in findings if finding.mark == "ok"}
    assert {"- a deny", "- a rewrite", "- a pass", "- its own files", "- kill switch", "- garbage"} <= proven
    (time,) = [finding for finding in findings if finding.about == "- time"]
    assert (time.data["way"], time.data["median_ms"] > 0) == ("its own process", True)
    assert all(finding.todo for finding in findings if finding.mark == "wrong")


def test_a_client_that_was_replaced_by_one_that_passes_everything_is_wrong(owner):
    owner.installs(owner.script("cat > /dev/null; echo '{}'"))
    assert wrongs(owner).keys() == {"- a deny", "- a rewrite", "- its own files", "- kill switch", "- garbage"}


def test_a_client_that_denies_everything_is_wrong_too(owner):
    owner.installs(owner.script("echo no >&2; exit 2"))
    assert wrongs(owner).keys() == {"- a deny", "- a rewrite", "- a pass"}  # the deny has another reason


ANSWER = '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"allow"}}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no opinion"),
        ("echo hello", "passed"),
        (f"echo '{ANSWER}'", "allowed"),
        ("echo '{\"async\": true}'", "passed"),
        ("exit 1", "ended with code 1"),
        ("kill -9 $$", "ended with signal 9"),
        ("echo '{}}'", "no JSON"),
        ("echo 'log'; shift; \"$@\"", "passed"),
        ('shift; "$@" | head -c 20', "passed"),
    ],
)
def test_whatever_the_client_would_not_obey_is_wrong(owner, text, why):
    owner.installs(owner.script(text))
    told_wrong = wrongs(owner)
    assert "- its own files" in told_wrong
    assert any(why in finding.sentence for finding in told_wrong.values())
    assert all(finding.todo for finding in told_wrong.values())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sleep 100", "did not answer within 1 s"),
        ("exec yes", "more than 16 MiB"),
        ("cat /dev/zero >&2", "more than 16 MiB"),
        ("sleep 100 & echo '{}'", "stays open"),
    ],
)
def test_a_hook_that_does_not_answer_is_asked_once_and_wrong(owner, text, why):
    owner.installs(owner.script(text), timeout=1)
    (finding,) = found(owner)
    assert (finding.mark, why in finding.sentence) == ("wrong", True)


def test_a_command_that_is_not_there_is_wrong(owner):
    owner.installs(["/nowhere/wasmguard-client", "/s.sock"])
    (finding,) = found(owner)
    assert (finding.mark, "cannot be started" in finding.sentence) == ("wrong", True)


def test_it_says_whether_a_failure_stops_the_tool(owner):
    owner.installs(["/nowhere/wasmguard-client", "/s.sock"], onFailure=None)
    assert "the tool runs" in found(owner)[0].sentence
    owner.installs(["/nowhere/wasmguard-client", "/s.sock"])
    assert 'only `onFailure: "block"` stops the tool' in found(owner)[0].sentence


def test_a_hook_of_another_configuration_is_wrong(owner):
    other = owner.root / "other.toml"
    other.write_text(GATE.replace("rm -rf", "nothing"))
    serve = [str(other) if word == str(owner.config) else word for word in owner.serve]
    owner.installs(owner.script("shift 10; exec " + " ".join(serve)))
    assert "- a deny" in wrongs(owner)


def test_a_configuration_that_is_gone_is_wrong_though_the_hook_denies(owner):
    owner.installs()
    owner.config.unlink()
    findings = found(owner)
    assert told(findings, mark="wrong") == [f"configuration `{owner.config}`: does not exist"]
    assert told(findings, "- its own files", "ok")


def test_a_configuration_that_changed_is_proven_as_it_is_now(owner):
    owner.installs()
    owner.config.write_text(owner.config.read_text().replace("rm -rf", "sudo"))
    findings = found(owner)
    assert told(findings, mark="wrong") == []
    assert told(findings, "- a deny") == ["`Bash sudo rm -rf --no-preserve-root /` is denied"]


def test_a_module_that_changed_is_wrong_though_the_hook_denies(owner, assembled):
    module = owner.root / "guard" / "pass.wasm"
    module.write_bytes(assembled("pass"))
    owner.locks('[[policy]]\nname = "only"\nmodule = "pass.wasm"\n')
    module.write_bytes(assembled("deny"))
    owner.installs()
    assert "changed since it was locked" in told(found(owner), "- policies", "note")[0]


def test_while_the_guard_is_off_nothing_is_proven(owner):
    owner.installs()
    switch.switch_off(60)
    (finding,) = found(owner)
    assert (finding.mark, finding.todo) == ("wrong", "run `wasmguard on`")


def test_without_self_protection_its_own_files_are_not_asked_about(owner):
    owner.locks("self_protection = false\n" + GATE)
    owner.installs()
    assert told(found(owner), "- its own files") == []


def test_a_policy_that_fails_is_told(owner):
    broken = '[[policy]]\nname = "redirect"\nmodule = "builtin:path-redirect"\nsettings = { root = "/s" }\n'
    owner.locks(broken)
    owner.installs()
    assert "not granted" in told(found(owner), "- policies", "note")[0]


def test_what_no_policy_comes_to_is_a_note(owner):
    owner.locks(GATE)
    owner.installs()
    assert told(found(owner), "- a rewrite", "note")


def test_a_url_that_nobody_answers_is_wrong(owner):
    handler = claude_settings.url_handler(f"http://127.0.0.1:1{claude_settings.PATH}", None)
    owner.sets("user", hooked(["PreToolUse"], handler))
    (finding,) = found(owner)
    assert (finding.mark, "refused" in finding.sentence) == ("wrong", True)
    assert "--http" in finding.todo


def test_what_settings_set_reaches_the_hook(owner):
    text = 'if [ "$STEER" = 1 ]; then echo {}; else shift; exec "$@"; fi'
    owner.installs(owner.script(text))
    assert wrongs(owner) == {}
    owner.sets("project", {"env": {"STEER": "1"}})
    assert "- a deny" in wrongs(owner)


def test_a_failed_start_of_the_daemon_is_told_with_its_reason(owner):
    owner.installs(owner.script('shift; exec "$@"'))
    (owner.root / "none.sock.failed").write_text("no port is free")
    assert "the daemon did not come up: no port is free" in told(found(owner), "- time", "note")[0]


def test_every_finding_has_data_that_json_can_say(owner):
    owner.installs(owner.script("exit 1"))
    assert json.dumps([dict(finding.data) for finding in found(owner)])
