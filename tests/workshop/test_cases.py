"""Cases: what is written is what is meant, and nothing that is misspelt holds anything."""

import os

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
    with pytest.raises(BundleError, match=r"c\.toml:1: `cases`: unknown key: did you mean `case`\?"):
        parsed('[[cases]]\nname = "x"\n', "c.toml")
    with pytest.raises(BundleError, match="`case`: there is none: write"):
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
    with pytest.raises(BundleError, match="more than 10 bytes: make it smaller"):
        read_cases(str(tmp_path))


def test_settings_are_sent_as_a_host_would_and_what_it_would_refuse_is_told():
    manifest = Manifest.parse(MANIFEST, "m")
    one, two = parsed(WHOLE, "a.toml")
    assert sent_settings(two, manifest) == ({"root": "/sandbox"}, "")
    settings, why = sent_settings(one, manifest)
    assert settings == {"a": 1}
    assert why.startswith("a.toml:1: `settings.a`: the policy has no such setting")
    assert sent_settings(one, None) == ({"a": 1}, "")


@pytest.mark.parametrize("lines", ["input = {{ a = {} }}", "settings = {{ a = {} }}"])
@pytest.mark.parametrize("value", ["1979-05-27", "nan", "99999999999999999999", f"{'[' * 70}{']' * 70}"])
def test_what_no_request_can_hold_is_refused_where_it_stands(lines, value):
    told = flaw(f'name = "x"\ntool = "Write"\neffect = "pass"\n{lines.format(value)}')
    assert told.startswith("c.toml:5: `case[0].")
    assert told.endswith(": write what JSON can say")
    assert "c.toml:3" in flaw(f'name = "x"\nevent = {{ a = {value} }}\neffect = "pass"')
    assert "before" in flaw(f'name = "x"\ntool = "Write"\neffect = "pass"\nbefore = [{{ a = {value} }}]')


@pytest.mark.parametrize("pattern", ["a{99999999999999999999}", "(" * 5000 + ")" * 5000], ids=["large", "deep"])
def test_an_expression_that_cannot_be_compiled_is_refused_in_words(pattern):
    told = flaw(f'name = "x"\ntool = "Write"\neffect = "pass"\nreason_matches = "{pattern}"')
    assert told.endswith("no regular expression: too large or too deep: write a simpler one")


@pytest.mark.parametrize(
    "key", ["input" + ".a" * 30_000 + " = 1", "input = { a" + '."a" ' * 30_000 + "= 1 }", "[case" + ".a" * 30_000 + "]"]
)
def test_keys_that_are_read_for_minutes_are_not_read(key):
    assert "nested too deep" in flaw(f'name = "x"\ntool = "Write"\neffect = "pass"\n{key}')


def test_a_text_with_many_dots_is_a_text():
    (case,) = parsed(f'[[case]]\nname = "x"\ntool = "Write"\nquiet = true\ninput.a = "{"..., a.b." * 200}"\n', "c.toml")
    assert case.event["tool_input"]["a"].count(".") == 1_000


def test_many_cases_and_many_flaws_are_not_looked_at_for_minutes():
    (line,) = refused("".join(f'[[case]]\nname = "{n}"\ntool = "x"\nquiet = true\n' for n in range(cases.MOST + 1)))
    assert line == "c.toml:1: `case`: 2_001 in one file: more than 2_000: split it"
    lines = refused("[[case]]\nodd = 1\n" * cases.MOST)
    assert lines[-1] == f"c.toml: {cases.FLAWS - 20} more problems"


def refused(text):
    """The lines about a file with this text."""
    with pytest.raises(BundleError) as found:
        parsed(text, "c.toml")
    return str(found.value).splitlines()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_or_a_device_is_no_file_of_cases(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    (tmp_path / "b.toml").symlink_to("/dev/zero")
    with pytest.raises(BundleError) as found:
        read_cases(str(tmp_path))
    assert [line.partition("`: ")[2] for line in str(found.value).splitlines()] == ["not a regular file: name one"] * 2


@pytest.mark.parametrize("text", ["[", " ", ",", ", ", ".", "'", ",'", "a", "a ", "[ "])
def test_whatever_a_text_is_made_of_it_is_looked_through_once(text):
    """In time that was quadratic these would take hours."""
    whole = f'[[case]]\nname = "x"\ntool = "W"\nquiet = true\ninput.a = """\n{text * 300_000}"""\n'
    (case,) = parsed(whole, "c.toml")
    assert len(case.event["tool_input"]["a"]) == len(text) * 300_000
