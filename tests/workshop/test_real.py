"""The real client is driven, and the disk is the witness. (`tests/e2e/test_doctor.py` drives the real one.)"""

import json
import os
import sys

import pytest

from tests.workshop.guarded import GATE, REDIRECT, Owner, told
from wasmguard.workshop import plugins, real

CLIENT = """#!{python} -I
import json, os, subprocess, sys, urllib.request
messages = [dict(role="user", content=sys.argv[2])]
for _ in range(9):
    body = json.dumps(dict(model="m", messages=messages)).encode()
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    message = json.loads(urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=9).read())
    print(json.dumps(dict(type="assistant", message=message)))
    (part,) = message["content"]
    if part["type"] == "text":
        break
    given, result = part["input"], "ok"
    {does}
    results = [dict(type="tool_result", tool_use_id=part["id"], content=result)]
    messages += [dict(role="assistant", content=message["content"]), dict(role="user", content=results)]
    print(json.dumps(dict(type="user", message=messages[-1])))
"""
RUNS = """
    if part["name"] == "Write":
        open(given["file_path"], "w").write(given["content"])
    else:
        subprocess.run(given["command"], shell=True)
"""
REFUSES = 'result = "refused"'
OBEYS = """
    if part["name"] == "Write":
        path = os.environ["SANDBOX"] + given["file_path"]
        os.makedirs(os.path.dirname(path)); open(path, "w").write(given["content"])
"""


@pytest.fixture
def owner(tmp_path, monkeypatch):
    owner = Owner(tmp_path, monkeypatch)
    owner.locks(GATE + REDIRECT)
    owner.installs()
    return owner


@pytest.fixture
def client(owner, monkeypatch):
    def write(does):
        path = owner.root / "bin" / "claude"
        path.parent.mkdir()
        path.write_text(CLIENT.replace("{python}", sys.executable).replace("{does}", does))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
        monkeypatch.setattr(real.copies, "KEPT", (*real.copies.KEPT, "SANDBOX"))
        monkeypatch.setenv("SANDBOX", f"{owner.root}/sandbox")
        assert real.client() == str(path)

    return write


def driven(owner):
    (hook,) = owner.hooks()
    found = list(real.driven(hook, {"user": owner.settings("user")}))
    assert os.listdir(owner.root / "sandbox") == []
    return found


def test_a_client_that_runs_what_the_guard_denies_is_wrong(owner, client):
    client(RUNS)
    found = driven(owner)
    assert [finding.about for finding in found if finding.mark == "wrong"] == ["- a write", "- a command"]


@pytest.mark.parametrize("half", [0, 1])
def test_one_witness_is_enough(owner, client, half):
    client(f'if part["name"] == "Bash": subprocess.run(given["command"].split(";")[{half}], shell=True)')
    assert told(driven(owner), "- a command", "wrong")


def test_a_client_that_obeys_is_fine(owner, client):
    client(OBEYS)
    assert {finding.mark for finding in driven(owner)} == {"ok"}


def test_a_hook_in_a_plugin_is_driven_with_that_plugin(owner, client):
    path = owner.plugs_in()
    given = "sys.argv[sys.argv.index('--plugin-dir') + 1]"
    client(f"assert {given} + '/hooks/hooks.json' == {str(path)!r}{OBEYS}")
    (hook,) = plugins.hooks_in(str(owner.project))
    assert {finding.mark for finding in real.driven(hook, {"user": owner.settings("user")})} == {"ok"}


def test_a_client_that_refuses_more_than_the_guard_is_a_note(owner, client):
    client(REFUSES)
    assert told(driven(owner), "- a write", "note") == ["did not happen, though the guard lets it: refused"]


@pytest.mark.parametrize("does", ["sys.exit(3)", "print('x' * 99, file=sys.stderr); os._exit(1)"])
def test_a_client_that_does_not_come_to_the_end_is_wrong(owner, client, does):
    client(does)
    assert told(driven(owner), "real client", "wrong")


def test_a_client_that_hangs_is_ended(owner, client, monkeypatch):
    monkeypatch.setattr(real, "LONGEST", 1.0)
    client("import time; time.sleep(60)")
    assert "did not answer within 1 s" in told(driven(owner), "real client", "wrong")[0]


def test_where_the_guard_denies_nothing_that_is_said(owner, client):
    owner.locks("self_protection = false\n" + REDIRECT)
    client(OBEYS)
    assert told(driven(owner), "- a command", "note")


def test_a_configuration_that_cannot_be_used_is_wrong(owner, client):
    client(OBEYS)
    owner.config.unlink()
    assert told(driven(owner), "real client", "wrong")


def test_no_client_is_a_note(owner, monkeypatch):
    monkeypatch.setattr(real, "client", lambda: "")
    assert told(driven(owner), "real client", "note")


def test_it_is_not_driven_under_settings_that_lead_away(owner, client):
    client(RUNS)
    path = owner.root / "managed-settings.json"
    path.write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": "https://elsewhere"}}))
    (hook,) = owner.hooks()
    (finding,) = real.driven(hook, {"managed": str(path)})
    assert (finding.mark, "not driven" in finding.sentence) == ("note", True)
