"""The table of granted inputs: what ran is compared with what was decided about, whatever process asks."""

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wasmguard import granted, spool
from wasmguard.errors import HostError
from wasmguard.granted import Table, edited, forms

pytestmark = pytest.mark.usefixtures("own_home")

WIRE = Path(__file__).parent / "wire" / "claude"
ONE, OTHER = forms("Bash", {"command": "ls"})[0], forms("Bash", {"command": "rm"})[0]
CALL = ("claude", "session", "toolu_1")


@pytest.fixture
def table(tmp_path):
    made = Table(str(tmp_path / "table"), key=bytes(32))
    yield made
    made.close()


def colliding(table, number):
    """So many calls whose slots are in one bucket."""
    found, at = [], None
    for n in range(10**6):
        here = granted._bucket(table._mac("claude", "s", f"c{n}").digest())
        at = here if at is None else at
        if here == at:
            found.append(f"c{n}")
        if len(found) == number:
            return found
    raise AssertionError


def test_what_was_granted_is_known_again(table):
    table.remember(*CALL, ONE)
    assert table.look(*CALL, ONE) == "as granted"


def test_another_input_is_another(table):
    table.remember(*CALL, ONE)
    assert table.look(*CALL, OTHER) == "another"


def test_a_denied_call_that_ran_is_told_whatever_its_input(table):
    table.refuse(*CALL)
    assert {table.look(*CALL, ONE), table.look(*CALL, b""), table.look(*CALL, OTHER)} == {"denied"}


def test_the_last_word_about_a_call_counts(table):
    table.remember(*CALL, ONE)
    table.refuse(*CALL)
    assert table.look(*CALL, ONE) == "denied"
    table.remember(*CALL, OTHER)
    assert (table.look(*CALL, OTHER), table.look(*CALL, ONE)) == ("as granted", "another")


@pytest.mark.parametrize(
    "call",
    [
        ("codex", "session", "toolu_1"),
        ("claude", "other", "toolu_1"),
        ("claude", "session", "toolu_2"),
        ("claudes", "ession", "toolu_1"),
        ("claude", "sessiont", "oolu_1"),
        ("claude", "session\0toolu_1", ""),
    ],
)
def test_a_grant_is_for_one_agent_session_and_call(table, call):
    table.remember(*CALL, ONE)
    assert table.look(*call, ONE) == "unknown"


def test_a_call_without_an_id_is_never_known(table):
    table.remember("claude", "session", "", ONE)
    table.refuse("claude", "session", "")
    assert table.look("claude", "session", "", ONE) == "unknown"


def test_ids_may_be_any_text(table):
    call = ("claude", "\ud800", "é\0" * 10_000)
    table.remember(*call, ONE)
    assert table.look(*call, ONE) == "as granted"


def test_the_oldest_of_a_bucket_makes_room_and_no_other(table):
    calls = colliding(table, 7)
    for number, call in enumerate(calls):
        table.remember("claude", "s", call, ONE)
        known = [c for c in calls if table.look("claude", "s", c, ONE) == "as granted"]
        assert known == calls[max(0, number - 3) : number + 1]


def test_a_call_that_is_told_again_pushes_nobody_out(table):
    calls = colliding(table, 4)
    for call in (*calls, *[calls[1]] * 9):
        table.remember("claude", "s", call, ONE)
    assert {table.look("claude", "s", call, ONE) for call in calls} == {"as granted"}


def test_the_file_is_the_owners_and_holes(table):
    old = os.umask(0)
    try:
        table.remember(*CALL, ONE)
    finally:
        os.umask(old)
    seen = os.stat(table.path)
    assert stat.S_IMODE(seen.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(table.folder).st_mode) == 0o700
    assert seen.st_size == granted.SIZE
    assert seen.st_blocks * 512 < granted.SIZE / 8


def test_no_slot_crosses_a_page():
    assert granted.BUCKET % granted.SLOT == 0
    assert 4096 % granted.SLOT == 0
    assert granted._NAME + 1 + granted._VALUE == granted.SLOT


def test_no_link_and_no_pipe_takes_its_place(table, tmp_path):
    os.makedirs(table.folder, mode=0o700)
    target = tmp_path / "target"
    target.write_bytes(b"")
    os.symlink(target, table.path)
    with pytest.raises(HostError):
        table.remember(*CALL, ONE)
    os.unlink(table.path)
    os.mkfifo(table.path, 0o600)
    with pytest.raises(HostError):
        table.remember(*CALL, ONE)
    os.unlink(table.path)
    os.link(target, table.path)
    with pytest.raises(HostError, match="another name"):
        table.remember(*CALL, ONE)
    assert target.read_bytes() == b""


def test_a_file_that_others_may_write_does_not_count(table):
    table.remember(*CALL, ONE)
    os.chmod(table.path, 0o666)
    with pytest.raises(HostError, match="open to others"):
        Table(table.folder, key=bytes(32)).look(*CALL, ONE)


def test_a_file_that_was_cut_is_an_error_and_then_whole_again(table):
    table.remember(*CALL, ONE)
    os.truncate(table.path, 0)
    with pytest.raises(HostError, match="was cut"):
        table.remember(*CALL, ONE)
    table.remember(*CALL, ONE)
    assert table.look(*CALL, ONE) == "as granted"


def test_what_was_removed_is_unknown_and_not_believed_from_memory(table):
    table.remember(*CALL, ONE)
    os.unlink(table.path)
    assert table.look(*CALL, ONE) == "unknown"
    table.remember(*CALL, ONE)
    assert Table(table.folder, key=bytes(32)).look(*CALL, ONE) == "as granted"


def test_whoever_writes_the_file_cannot_grant_another_input(table):
    table.remember(*CALL, OTHER)
    data = Path(table.path).read_bytes()
    table.remember("claude", "session", "toolu_evil", ONE)  # its value in the slot of the call
    evil = granted._bucket(table._mac("claude", "session", "toolu_evil").digest())
    place = data.index(table._mac(*CALL).digest()[: granted._NAME])
    value = Path(table.path).read_bytes()[evil + 16 : evil + 32]
    with open(table.path, "r+b") as file:
        file.seek(place + 16)
        file.write(value)
    assert table.look(*CALL, ONE) == "another"
    with open(table.path, "r+b") as file:
        file.seek(place)
        file.write(bytes(granted.SLOT))
    assert table.look(*CALL, ONE) == "unknown"


def test_another_key_knows_nothing(table):
    table.remember(*CALL, ONE)
    assert Table(table.folder, key=b"k" * 32).look(*CALL, ONE) == "unknown"


def test_bytes_by_chance_are_no_slot(table):
    calls = colliding(table, 1)
    name = table._mac("claude", "s", calls[0]).digest()[: granted._NAME]
    table.remember(*CALL, ONE)
    with open(table.path, "r+b") as file:
        file.seek(granted._bucket(name) + 8)
        file.write(name)
    assert table.look("claude", "s", calls[0], ONE) == "unknown"
    table.remember("claude", "s", calls[0], ONE)
    assert table.look("claude", "s", calls[0], ONE) == "as granted"


def _granting(folder, first):
    own = Table(folder, key=bytes(32))
    for n in range(first, first + 300):
        own.remember("claude", "s", f"call {n}", ONE)
        assert own.look("claude", "s", f"call {n}", ONE) == "as granted"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_and_forks_share_it_without_locks(table):
    table.remember(*CALL, ONE)  # the descriptor is inherited
    fork = multiprocessing.get_context("fork")
    working = [fork.Process(target=_granting, args=(table.folder, n * 300)) for n in range(4)]
    for process in working:
        process.start()
    for process in working:
        process.join(60)
    assert [process.exitcode for process in working] == [0] * 4
    assert [n for n in range(1200) if table.look("claude", "s", f"call {n}", ONE) != "as granted"] == []
    assert table.look(*CALL, ONE) == "as granted"


def test_a_grant_outlives_kill_9():
    code = "import os, signal; from wasmguard import granted as g;"
    code += f"g.remember('claude', 's', 'c', {ONE!r}); os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert granted.look("claude", "s", "c", ONE) == "as granted"
    assert granted.look("claude", "s", "c", OTHER) == "another"


def test_the_table_of_this_user_is_beside_the_records(own_home):
    granted.remember(*CALL, ONE)
    granted.refuse("claude", "session", "toolu_2")
    assert os.path.exists(os.path.join(spool.folder(), "granted"))
    assert granted.look(*CALL, ONE) == "as granted"
    assert granted.look("claude", "session", "toolu_2", ONE) == "denied"


def test_a_state_folder_that_moved_is_noticed(monkeypatch, tmp_path):
    granted.remember(*CALL, ONE)
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert granted.look(*CALL, ONE) == "unknown"


# The form that is compared


def ran(table, tool, given, executed, *, output=None, cwd="/"):
    """What is known of a call of *tool* that was granted *given* and ran with *executed*."""
    table.remember(*CALL, *forms(tool, given, cwd))
    whole, left = forms(tool, executed, cwd)
    return table.look(*CALL, whole, left if edited(output) else b"")


def test_the_order_of_keys_and_the_spelling_of_numbers_do_not_matter():
    one = {"b": 1.0, "a": {"d": [1, {"f": -0.0, "e": 2}], "c": None}}
    assert forms("x", one) == forms("x", {"a": {"c": None, "d": [1, {"e": 2, "f": 0}]}, "b": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.5}),
        ({"a": 1}, {"a": "1"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": None}, {}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": "\ud800"}, {"a": "\ufffd"}),
    ],
)
def test_everything_else_in_an_input_does(one, other):
    assert forms("Write", one) != forms("Write", other)


def test_what_msgpack_cannot_say_is_no_input():
    with pytest.raises(ValueError, match=r"."):
        forms("Bash", {"a": 2**70})


def calls_that_were_recorded():
    """The input of each before it, and the event after it."""
    before, after = {}, []
    for path in sorted(WIRE.rglob("P*ToolUse*.json")):
        event = json.loads(path.read_text())
        if event["hook_event_name"] == "PreToolUse":
            before[path.parent, event["tool_use_id"]] = event["tool_input"]
        elif event["hook_event_name"] in ("PostToolUse", "PostToolUseFailure"):
            after.append(((path.parent, event["tool_use_id"]), event))
    return [(before[key], event) for key, event in after if key in before]


def test_no_recorded_call_ran_with_another_input(table):
    known = calls_that_were_recorded()
    assert len(known) >= 15
    for given, event in known:
        assert ran(table, event["tool_name"], given, event["tool_input"]) == "as granted", event["tool_name"]


ASKED = {"questions": [{"question": "q?", "header": "h", "options": [], "multiSelect": False}]}


@pytest.mark.parametrize(
    ("tool", "given", "executed"),
    [
        ("AskUserQuestion", ASKED, {**ASKED, "answers": {"q?": "a"}}),
        ("AskUserQuestion", ASKED, {**ASKED, "answers": {"q?": "a"}, "annotations": {}, "metadata": {"x": 1}}),
        ("ExitPlanMode", {}, {"plan": "edited", "planFilePath": "/p"}),
        ("ExitPlanMode", {"plan": "mine"}, {"plan": "edited"}),
        ("Artifact", {"slug": "s"}, {"slug": "s", "__artifactPlanConsentAsk": False}),
    ],
)
def test_what_a_person_answered_or_the_client_noted_is_no_swap(table, tool, given, executed):
    assert ran(table, tool, given, executed) == "as granted"


@pytest.mark.parametrize(
    ("tool", "given", "executed"),
    [
        ("Write", {"file_path": "/a", "content": "x"}, {"file_path": "/b", "content": "x"}),
        ("Write", {"file_path": "/a", "content": "x"}, {"file_path": "/a", "content": "y"}),
        ("Bash", {"command": "ls"}, {"command": "ls", "run_in_background": True}),
        ("Bash", {"command": "ls"}, {"command": "ls", "_simulatedSedEdit": {"filePath": "/etc/x"}}),
        ("Bash", {"command": "ls"}, {"command": "ls", "__x": 1}),
        ("AskUserQuestion", ASKED, {"questions": [], "answers": {}}),
        ("ExitPlanMode", {}, {"plan": "p", "allowedPrompts": [{"tool": "Bash", "prompt": "all"}]}),
        ("mcp__s__ExitPlanMode", {}, {"plan": "p"}),
        ("mcp__Artifact__x", {}, {"__a": 1}),
        ("Artifact", {"slug": "s"}, {"slug": "t", "__a": 1}),
    ],
)
def test_everything_else_is_a_swap(table, tool, given, executed):
    assert ran(table, tool, given, executed) == "another"


HUMAN = {"userModified": True}


def test_a_person_may_edit_a_change_that_the_client_showed(table):
    given = {"file_path": "/a", "content": "x"}
    assert ran(table, "Write", given, {"file_path": "/a", "content": "y"}, output=HUMAN) == "as granted"
    change = {"file_path": "/a", "old_string": "x", "new_string": "y", "replace_all": False}
    assert ran(table, "Edit", change, {**change, "new_string": "z"}, output=HUMAN) == "as granted"


@pytest.mark.parametrize(
    ("tool", "executed", "output"),
    [
        ("Write", {"file_path": "/b", "content": "x"}, HUMAN),
        ("Write", {"file_path": "/a", "content": "y", "mode": "777"}, HUMAN),
        ("Write", {"file_path": "/a", "content": "y"}, {"userModified": 1}),
        ("Write", {"file_path": "/a", "content": "y"}, None),
        ("Bash", {"file_path": "/a", "content": "y"}, HUMAN),
        ("mcp__s__Write", {"file_path": "/a", "content": "y"}, HUMAN),
    ],
)
def test_and_neither_where_it_goes_nor_anything_else(table, tool, executed, output):
    assert ran(table, tool, {"file_path": "/a", "content": "x"}, executed, output=output) == "another"


def test_a_denied_change_is_not_granted_by_being_edited(table):
    whole, left = forms("Write", {"file_path": "/a", "content": "x"})
    table.refuse(*CALL)
    assert table.look(*CALL, whole, left) == "denied"


def test_a_worktree_is_the_same_through_a_link(table, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    given, real, cwd = {"path": "link"}, {"path": str(tmp_path / "real")}, str(tmp_path)
    assert ran(table, "EnterWorktree", given, real, cwd=cwd) == "as granted"
    assert ran(table, "EnterWorktree", given, {"path": cwd}, cwd=cwd) == "another"
    assert ran(table, "EnterWorktree", given, {}, cwd=cwd) == "another"
    assert ran(table, "EnterWorktree", {"path": "a\0"}, {"path": "a\0"}, cwd=cwd) == "as granted"
    assert ran(table, "Read", given, real, cwd=cwd) == "another"
