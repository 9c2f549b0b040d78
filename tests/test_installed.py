"""What was installed where, and whether it still stands there."""

import json
import os
import time

import pytest

from tests.test_startup import HEAVY, loaded
from wasmguard import installed, places
from wasmguard.agents import claude_settings
from wasmguard.errors import HostError
from wasmguard.installed import Entry

pytestmark = pytest.mark.usefixtures("own_home")

COMMAND = ("/v/python", "-I", "/v/wasmguard/serve/client.py", "/run/x.sock")
EVENTS = ("SessionStart", "PreToolUse", "Stop")


def entry(path="/home/u/.claude/settings.json", **fields):
    given = {"agent": "claude-code", "scope": "user", "path": str(path), "transport": "command", "time": 5}
    given |= {"config": "/c.toml", "socket": "/run/x.sock", "events": EVENTS, "command": COMMAND}
    return Entry(**given | fields)


def settings_of(one):
    groups = {}
    for event, handler in installed.expected(one).items():
        groups[event] = [{"matcher": "*", "hooks": [dict(handler)]}]
    return {"hooks": groups}


@pytest.fixture
def here(tmp_path):
    """A settings file that holds what was installed there. Returns a function that changes it."""
    path = tmp_path / "settings.json"
    one = entry(path)
    installed.keep([entry(), one])
    whole = json.loads(json.dumps(settings_of(one)))

    def change(edit=lambda _: None):
        edit(whole)
        path.write_text(json.dumps(whole))
        return installed.missing(str(path))

    return change


def test_what_is_kept_is_there_again_and_the_owners_alone():
    both = (entry(), entry("/p/.claude/settings.local.json", scope="local", made=("file",), transport="http", url="u"))
    installed.keep(both)
    assert installed.entries() == both
    assert os.stat(installed.path()).st_mode & 0o777 == 0o600
    assert os.listdir(places.state_dir()) == [installed.NAME]
    installed.keep(())
    assert installed.entries() == ()


def test_nothing_is_installed_where_nobody_wrote_anything():
    assert installed.entries() == ()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"format": 2, "entries": []}', '{"format": 1, "entries": [{}]}', '{"format": 1, "entries": 5}'],
)
def test_a_damaged_note_says_nothing(text):
    installed.keep([entry()])
    with open(installed.path(), "w") as file:
        file.write(text)
    assert installed.entries() == ()


def test_a_note_that_others_may_write_says_nothing():
    installed.keep([entry()])
    os.chmod(installed.path(), 0o620)
    assert installed.entries() == ()


def test_a_note_that_is_a_link_a_pipe_or_too_large_says_nothing(tmp_path):
    installed.keep([entry()])
    os.rename(installed.path(), tmp_path / "real")
    os.symlink(tmp_path / "real", installed.path())
    assert installed.entries() == ()
    os.unlink(installed.path())
    os.mkfifo(installed.path(), 0o600)
    assert installed.entries() == ()
    os.unlink(installed.path())
    with open(installed.path(), "w") as file:
        os.chmod(installed.path(), 0o600)
        file.write(" " * installed.LARGEST + "{}")
    assert installed.entries() == ()


def test_a_note_that_cannot_be_written_is_an_error_and_the_old_one_stays(monkeypatch):
    installed.keep([entry()])
    monkeypatch.setattr(installed.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(HostError, match="no space left: make room there"):
        installed.keep([])
    assert installed.entries() == (entry(),)
    assert os.listdir(places.state_dir()) == [installed.NAME]


# Whether it still stands.


def test_of_many_that_change_the_note_none_loses_what_another_wrote():
    installed.keep([])
    children = []
    for number in range(8):
        if not (pid := os.fork()):
            try:
                with installed.Turn():
                    known = installed.entries()
                    time.sleep(0.02)
                    installed.keep((*known, entry(f"/p{number}/settings.json")))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert len(installed.entries()) == 8


@pytest.mark.parametrize("there", ["folder", "pipe", "nothing"])
def test_without_a_lock_the_note_can_be_changed_too(monkeypatch, there):
    installed.keep([])
    monkeypatch.setattr(installed, "PATIENCE", 0.05)
    lock = f"{installed.path()}.lock"
    if there == "folder":
        os.mkdir(lock)
    elif there == "pipe":
        os.mkfifo(lock)
    with installed.Turn(), installed.Turn():
        installed.keep([entry()])
    assert installed.entries() == (entry(),)


def test_nothing_is_missing_while_it_stands(here):
    assert here() == ()


def test_other_settings_and_other_hooks_beside_it_do_not_matter(here):
    def more(settings):
        settings["model"] = "opus"
        settings["hooks"]["PreToolUse"].insert(0, {"matcher": "Bash", "hooks": [{"type": "command", "command": "x"}]})
        settings["hooks"]["SessionStart"][0]["hooks"][0]["timeout"] = 60

    assert here(more) == ()


def handler_of(settings, event="PreToolUse"):
    return settings["hooks"][event][0]["hooks"][0]


CHANGES = {
    "gone": lambda s: s["hooks"].pop("PreToolUse"),
    "emptied": lambda s: s["hooks"]["PreToolUse"].clear(),
    "another program": lambda s: handler_of(s).update(command="/bin/true"),
    "other arguments": lambda s: handler_of(s)["args"].append("--config=/tmp/mine"),
    "only named": lambda s: handler_of(s).update(command="echo", args=["{}", *COMMAND]),
    "another matcher": lambda s: s["hooks"]["PreToolUse"][0].update(matcher="Read"),
    "a condition": lambda s: handler_of(s).update({"if": "Write"}),
    "no waiting": lambda s: handler_of(s).update({"async": True}),
    "no failing closed": lambda s: handler_of(s).pop("onFailure"),
    "failing open": lambda s: handler_of(s).update(onFailure="continue"),
    "by a shell": lambda s: handler_of(s).update(shell="bash"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_entry_that_is_gone_or_weaker_is_missing(here, change):
    assert here(change) == ("PreToolUse",)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s["hooks"]["PreToolUse"].append(5),
        lambda s: s.update(model=5),
        lambda s: s.update(permissions={"deny": 5}),
        lambda s: s.update(autoMemoryEnabled="no"),
        lambda s: s.update(x=float("nan")),
        lambda s: s.update(hooks=[]),
    ],
)
def test_everything_is_missing_from_a_file_that_the_client_ignores(here, spoil):
    assert here(spoil) == EVENTS


@pytest.mark.parametrize("data", [None, b"{", b"\xff", b"[" * 100_000, b"// x\n{}"])
def test_everything_is_missing_from_a_file_that_is_gone_or_broken(here, tmp_path, data):
    here()
    path = tmp_path / "settings.json"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    assert installed.missing(str(path)) == EVENTS


def test_a_file_is_known_by_any_of_its_names(here, tmp_path):
    here(lambda s: s["hooks"].pop("Stop"))
    (tmp_path / "link").symlink_to(tmp_path)
    assert installed.missing(str(tmp_path / "link" / "settings.json")) == ("Stop",)


def test_a_file_where_nothing_was_installed_misses_nothing(here, tmp_path):
    here()
    assert installed.missing(str(tmp_path / "other.json")) == ()


def test_over_http_each_event_goes_its_own_way(tmp_path):
    path = tmp_path / "settings.json"
    one = entry(path, transport="http", url="http://127.0.0.1:20000/v1/hook/claude-code", http="127.0.0.1:20000")
    installed.keep([one])
    settings = settings_of(one)
    assert handler_of(settings, "SessionStart")["type"] == "command"
    assert handler_of(settings)["type"] == "http"
    handler_of(settings)["headers"]["Authorization"] = "Bearer secret"
    path.write_text(json.dumps(settings))
    assert installed.missing(str(path)) == ()
    handler_of(settings)["url"] = "http://127.0.0.1:20001/v1/hook/claude-code"
    path.write_text(json.dumps(settings))
    assert installed.missing(str(path)) == ("PreToolUse",)
    assert claude_settings.PATH in one.url


def test_a_hook_that_looks_loads_nothing_heavy():
    assert not HEAVY & loaded("import wasmguard.installed, wasmguard.agents.claude_flaws")
