"""Cases: what is written is what is meant, and nothing that is misspelt holds anything."""

import pytest

from wasmguard.errors import BundleError
from wasmguard.guest.manifest import Manifest
from wasmguard.workshop import cases
from wasmguard.workshop.cases import parsed, read_cases, sent_settings

WHOLE = """\
[[case]]
name = "one"
event = { hook_event_name = "Stop" }
before = [{ hook_event_name = "PreToolUse" }]
state = "01ff"
settings = { a = 1 }
effect = "deny"
reason = "why"
notes = []

# a comment
[[case]]
name = "two"
tool = "Write"
input = { file_path = "/x" }
quiet = true
"""
MANIFEST = """\
abi = 1
name = "p"
version = "1"
summary = "s"
events = ["PreToolUse"]
[settings.root]
type = "string"
default = "/sandbox"
"""


def flaw(lines):
    """The one line about a case with these *lines*, without its place."""
    with pytest.raises(BundleError) as refused:
        parsed(f"[[case]]\n{lines}\n", "c.toml")
    (line,) = str(refused.value).splitlines()
    return line


def test_a_case_says_everything_and_where_it_stands():
    one, two = parsed(WHOLE, "cases/a.toml")
    assert (one.where, two.where) == ("cases/a.toml:1", "cases/a.toml:12")
    assert one.events == ({"hook_event_name": "PreToolUse"}, {"hook_event_name": "Stop"})
    assert (one.state, one.effect, one.settings) == (b"\x01\xff", "deny", {"a": 1})
    assert one.expected == {"reason": "why", "notes": []}


def test_tool_and_input_make_a_call_in_a_folder():
    event = parsed(WHOLE, "a.toml")[1].event
    assert event == {
        "hook_event_name": "PreToolUse", "tool_name": "Write", "cwd": cases.CWD, "tool_input": {"file_path": "/x"}
    }  # fmt: skip
    (other,) = parsed('[[case]]\nname = "x"\ntool = "Read"\ncwd = "/here"\neffect = "pass"\n', "a.toml")
    assert (other.event["cwd"], other.event["tool_input"]) == ("/here", {})


def test_quiet_is_a_pass_of_which_nobody_hears():
    two = parsed(WHOLE, "a.toml")[1]
    assert (two.effect, two.quiet, two.expected) == ("pass", True, {})


GOOD = 'name = "x"\ntool = "Write"\n'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (GOOD + 'efect = "deny"', "c.toml:4: `case[0].efect`: unknown key: did you mean `effect`?"),
        (GOOD + 'effect = "denied"', '`case[0].effect`: `"denied"`: did you mean `deny`?'),
        (GOOD + "effect = 1", "`case[0].effect`: `1`: write a word in quotes"),
        (GOOD + "quiet = false", "`case[0].quiet`: `false`: write `true`, or leave it out"),
        (GOOD + 'quiet = 1', "`case[0].quiet`: `1`: write `true`"),
        (GOOD + 'quiet = true\neffect = "pass"', "stands beside `quiet`"),
        (GOOD + 'quiet = true\nreason = "x"', "c.toml:5: `case[0].reason`: stands beside `quiet`"),
        (GOOD + 'effect = "deny"\nevent = {}', "`case[0].tool`: stands beside `event`"),
        (GOOD + 'effect = "deny"\nstate = "0"', "hexadecimal digits in quotes"),
        (GOOD + 'effect = "deny"\nreason_matches = "("', "no regular expression"),
        (GOOD + 'effect = "deny"\nnotes = [1]', "write a list of texts"),
        (GOOD + 'effect = "deny"\nbefore = [1]', "write a list of tables"),
        (GOOD + 'effect = "deny"\ninput = "x"', "write a table"),
        (GOOD, "c.toml:1: `case[0]`: expects nothing: add `effect`"),
        ('name = "x"\neffect = "deny"', "has no event: add `event`, or `tool` and `input`"),
        ('tool = "x"\neffect = "deny"', "has no name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_what_to_write(lines, said):
    assert said in flaw(lines)


def test_a_file_without_cases_or_with_other_tables_is_refused():
    with pytest.raises(BundleError, match=r"c.toml:1: `cases`: unknown key: did you mean `case`\?"):
        parsed('[[cases]]\nname = "x"\n', "c.toml")
    with pytest.raises(BundleError, match="there is no case in it"):
        parsed("", "c.toml")
    with pytest.raises(BundleError, match="not TOML"):
        parsed("[[case]\n", "c.toml")


def test_every_file_of_a_folder_is_read_and_every_problem_told(tmp_path):
    (tmp_path / "b.toml").write_text("x = 1\n")
    (tmp_path / "a.toml").write_bytes(b"\xff")
    (tmp_path / "c.txt").write_text("no case")
    with pytest.raises(BundleError) as refused:
        read_cases(str(tmp_path), "cases")
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [f"{tmp_path}/a.toml", "cases/b.toml"]
    (tmp_path / "a.toml").write_text(WHOLE)
    (tmp_path / "b.toml").unlink()
    assert [case.file for case in read_cases(str(tmp_path), "cases")] == ["cases/a.toml"] * 2
    assert read_cases(str(tmp_path / "none")) == []


def test_a_file_beyond_any_use_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "LARGEST", 10)
    (tmp_path / "a.toml").write_text(WHOLE)
    with pytest.raises(BundleError, match="split it"):
        read_cases(str(tmp_path))


def test_settings_are_sent_as_a_host_would_and_what_it_would_refuse_is_told():
    manifest = Manifest.parse(MANIFEST, "m")
    one, two = parsed(WHOLE, "a.toml")
    assert sent_settings(two, manifest) == ({"root": "/sandbox"}, "")
    settings, why = sent_settings(one, manifest)
    assert settings == {"a": 1}
    assert why.startswith("a.toml:1: `settings.a`: the policy has no such setting")
    assert sent_settings(one, None) == ({"a": 1}, "")
