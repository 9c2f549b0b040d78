"""What an author may say in a manifest, and what an owner may answer."""

import re
import tomllib

import pytest

from wasmguard.errors import BundleError, ConfigError
from wasmguard.guest.manifest import DOTS, LARGEST, Manifest
from wasmguard.limits import SAFE_INTEGER

LEAST = """\
abi = 1
name = "path-redirect"
version = "0.1.0"
summary = "Moves paths"
events = ["PreToolUse"]
"""
FULL = """\
abi = 1
name = "path-redirect"
version = "0.1.0"
summary = "Moves the paths that tools write to into one folder"
language = "rust"
license = "Apache-2.0"
events = ["PreToolUse"]              # what it can judge; the owner may choose fewer
tools = ["Write", "mcp__files__*"]
reads = ["hook_event_name", "tool_name", "tool_input", "cwd"]
limits = "tight"

[asks]
effects = ["deny"]
rewrite = ["Write.file_path", "mcp__files__*.path"]

[settings.root]
type = "string"
default = "/sandbox"
summary = "Absolute path of the folder that writes are moved into"

[settings.dry_run]
type = "boolean"

[settings.most]
type = "integer"

[settings.names]
type = "strings"
required = true
"""
OWNER = "wasmguard.toml:3: policy `x`"


def parse(text):
    return Manifest.parse(text, "policy/manifest.toml")


def refused(text):
    """The lines of the refusal of *text*."""
    with pytest.raises(BundleError) as caught:
        parse(text)
    lines = str(caught.value).split("\n")
    assert all(re.match(r"policy/manifest\.toml(:\d+)?: ", line) for line in lines)
    return lines


def unsettled(settings, text=FULL):
    with pytest.raises(ConfigError) as caught:
        parse(text).settled(settings, OWNER)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{OWNER}: `settings.") for line in lines)
    return lines


def with_line(line, text=LEAST):
    """*text* in which *line* replaces the line of the same key, or is added to it."""
    key = line.split("=")[0].strip()
    kept = [old for old in text.splitlines() if old.split("=")[0].strip() != key]
    return "\n".join([line, *kept])


def test_a_manifest_says_what_it_says():
    manifest = parse(FULL)
    assert (manifest.abi, manifest.name, manifest.version) == (1, "path-redirect", "0.1.0")
    assert manifest.summary == "Moves the paths that tools write to into one folder"
    assert (manifest.language, manifest.license, manifest.limits) == ("rust", "Apache-2.0", "tight")
    assert manifest.events == ("PreToolUse",)
    assert manifest.tools == ("Write", "mcp__files__*")
    assert manifest.reads == ("hook_event_name", "tool_name", "tool_input", "cwd")
    assert manifest.asks.effects == ("deny",)
    assert manifest.asks.rewrite == ("Write.file_path", "mcp__files__*.path")
    assert manifest.settings["root"].default == "/sandbox"
    assert manifest.settings["names"].required


def test_it_may_say_that_the_module_is_one_of_opa():
    assert parse(with_line('abi = "opa"')).abi == "opa"


def test_what_it_leaves_out_asks_for_nothing():
    manifest = parse(LEAST)
    assert manifest.tools is None
    assert manifest.reads is None
    assert manifest.limits == "default"
    assert manifest.asks.effects == ()
    assert manifest.asks.rewrite == ()
    assert manifest.settings == {}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("abi = 2", "`abi`: ABI `2` is not known: write `abi = 1`"),
        ("abi = true", "`abi`: ABI `true` is not known"),
        ("abi = 1.0", "`abi`: ABI `1.0` is not known"),
        ('abi = "1"', '`abi`: ABI `"1"` is not known: write `abi = 1`'),
        ('abi = "rego"', '`abi`: ABI `"rego"` is not known: write `abi = "opa"` for what `opa build` makes'),
        ('name = "No Net"', '`name`: `"No Net"` is not a name'),
        ('name = ""', '`name`: `""` is not a name'),
        (f'name = "{"a" * 65}"', "is not a name"),
        ("version = 1", '`version`: an integer where a text belongs: write `version = "0.1.0"`'),
        ('version = "one two"', "is not a version"),
        ("events = []", '`events`: an empty list: write at least one, like `events = ["PreToolUse"]`'),
        ('events = "PreToolUse"', '`events`: a text where a list belongs: write `events = ["PreToolUse"]`'),
        ('events = ["preToolUse"]', '`events[0]`: `"preToolUse"` is not the name of an event'),
        ("tools = []", "`tools`: an empty list"),
        ('tools = ["Write", "*Edit"]', '`tools[1]`: `"*Edit"` is not the name of a tool'),
        ('tools = ["W*te"]', "is not the name of a tool"),
        ('reads = ["tool_input.command"]', "is not the name of an event's field"),
        ('limits = "rommy"', "`limits`: `rommy` is not known here: did you mean `roomy`?"),
        ("limits = 1", '`limits`: an integer where a word belongs: write `limits = "tight"`'),
        ("tols = 1", "`tols`: unknown key: did you mean `tools`?"),
        ('asks = { effects = ["alow"] }', "`asks.effects[0]`: `alow` is not known here: did you mean `allow`?"),
        ('asks = { rewrite = ["file_path"] }', '`asks.rewrite[0]`: `"file_path"` is not a tool and one of its fields'),
        ('asks = { rewrite = ["*.command"] }', "is not a tool and one of its fields"),
        ('asks = { state = "4 KiB" }', "`asks.state`: a text where a table belongs"),
        ("asks = 1", "`asks`: an integer where a table belongs: write `asks = { effects ="),
        ("settings = { root = 1 }", "`settings.root`: an integer where a table belongs"),
        ("settings = { root = {} }", '`settings.root.type`: missing: add `type = "string"`'),
        ('settings = { root = { type = "text" } }', "`settings.root.type`: `text` is not known here"),
        ('settings = { "a b" = { type = "string" } }', '`settings."a b"`: `"a b"` is not a name'),
        (
            'settings = { r = { type = "string", defalt = 1 } }',
            "`settings.r.defalt`: unknown key: did you mean `default`?",
        ),
        (
            'settings = { r = { type = "string", default = 1 } }',
            "`settings.r.default`: `1` is no text: write it in quotes",
        ),
        ('settings = { r = { type = "boolean", default = 1 } }', "is no boolean"),
        ('settings = { r = { type = "integer", default = true } }', "`true` is no integer"),
        ('settings = { r = { type = "integer", default = "1" } }', '`"1"` is no integer'),
        ('settings = { r = { type = "integer", default = 9007199254740993 } }', "is no integer"),
        ('settings = { r = { type = "strings", default = "a" } }', "is no list of texts"),
        ('settings = { r = { type = "strings", default = ["a", 1] } }', "is no list of texts"),
        ('settings = { r = { type = "string", default = 1979-05-27 } }', "`1979-05-27` is no text"),
        ('settings = { r = { type = "string", required = true, default = "a" } }', "cannot have a default"),
        (
            'settings = { r = { type = "string", required = 1 } }',
            "`settings.r.required`: an integer where true or false",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key_and_what_to_write(line, cause):
    lines = refused(with_line(line))
    assert len(lines) == 1
    assert cause in lines[0]
    assert lines[0].startswith("policy/manifest.toml:1: `")


@pytest.mark.parametrize("key", ["abi", "name", "version", "summary", "events"])
def test_a_missing_key_is_told_with_a_line_to_add(key):
    text = "\n".join(line for line in LEAST.splitlines() if not line.startswith(key))
    (line,) = refused(text)
    added = line.partition("add `")[2].removesuffix("`")
    assert parse(f"{text}\n{added}")


def test_all_mistakes_are_told_at_once():
    assert len(refused("abi = 2\ntols = 1\n")) == 6


# -- a stranger's file


def test_texts_are_cleaned_and_cut_where_they_enter():
    manifest = parse(with_line(f'summary = "a\\u001b[31m\\u202e\\nb{"x" * 300}"'))
    assert manifest.summary.startswith("a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER} bxx")
    assert len(manifest.summary) == 200
    setting = parse(LEAST + '[settings.a]\ntype = "string"\nsummary = "a\\u0007"').settings["a"]
    assert setting.summary == "a\N{REPLACEMENT CHARACTER}"


def test_a_default_with_hidden_characters_is_refused():
    (line,) = refused(LEAST + '[settings.a]\ntype = "strings"\ndefault = ["plain", "\\u202e"]')
    assert "`settings.a.default`: it has a character that does not show itself" in line


@pytest.mark.parametrize(
    "text",
    [
        '"\\u001b[2J" = 1',
        'name = "\\u001b[2J\\u202e"',
        'limits = "\\u0007\\n\\nwasmguard: allowed"',
        '[settings."\\u001b\\n"]\ntype = "\\u001b"',
        'abi = "\\u001b"',
        "\x1b = 1",
        'a = "\u2028 \u202e" b',
    ],
)
def test_no_message_carries_a_steering_character(text):
    for line in refused(text):
        assert line.isprintable()


def test_a_message_is_short_whatever_the_manifest_says():
    long = "x" * 30_000
    lines = refused(f'{long} = 1\nname = "{long}"\nlimits = "{long}"\n[settings.{long}]\ntype = "{long}"')
    assert all(len(line) <= 600 for line in lines)


def test_of_a_thousand_mistakes_twenty_are_told():
    lines = refused("\n".join(f"key{number} = 1" for number in range(1000)))
    assert len(lines) == 21
    assert lines[-1] == "policy/manifest.toml: 985 more problems"


def test_a_manifest_has_a_size():
    fill = LARGEST - len(LEAST.encode()) - 2
    assert parse(LEAST + "# " + "é" * (fill // 2))
    assert "more than 65536 bytes" in refused(LEAST + "# " + "é" * (fill // 2 + 1))[0]


def test_a_key_of_a_thousand_parts_does_not_reach_the_parser(monkeypatch):
    monkeypatch.setattr(tomllib, "loads", lambda _: pytest.fail("parsed"))
    assert refused("# one\n" + ".".join("a" * (DOTS + 2)) + " = 1") == [
        f"policy/manifest.toml:2: more than {DOTS} dots: write shorter lines"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "[" * 1000,
        "a = " + "[" * 30_000,
        "a = " + "{b=" * 15_000,
        "a = " + "9" * 60_000,
        LEAST + "[settings.a]\ntype = " + "[" * 400 + "]" * 400,
        LEAST + "[settings.a]\ntype = 'string'\ndefault = " + "[" * 400 + "]" * 400,
        "\n".join(f"[{'.'.join('a' * DOTS)}.k{number}]" for number in range(300)),
        "\n".join(f"[[settings.k{number}]]" for number in range(3000)),
        "a = '" + "." * 60_000 + "'",
        "a = '''\n" + ".\n" * 30_000 + "'''",
        "= = =",
        "a = 1\na = 2",
        "\ufeff" + LEAST,
        "\ud800",
    ],
)
def test_nothing_but_a_refusal_comes_out_of_nonsense(text):
    refused(text)


def test_a_syntax_error_has_its_line_and_shows_it():
    (line,) = refused(LEAST + "\nlimits 3\n")
    assert line.startswith("policy/manifest.toml:7: `limits 3`: not TOML: expected '='")


def test_a_manifest_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        parse(LEAST).limits = "roomy"


# -- the owner's settings


def test_settings_are_the_owner_s_and_the_defaults():
    manifest = parse(FULL)
    assert manifest.settled({"names": []}, OWNER) == {"root": "/sandbox", "names": []}
    assert manifest.settled({"names": ["a"], "root": "/x", "dry_run": False, "most": -3}, OWNER) == {
        "root": "/x",
        "names": ["a"],
        "dry_run": False,
        "most": -3,
    }


def test_a_default_may_be_empty_or_false():
    text = LEAST + "".join(
        f"[settings.{kind}]\ntype = '{kind}'\ndefault = {default}\n"
        for kind, default in {"string": "''", "boolean": "false", "integer": "0", "strings": "[]"}.items()
    )
    assert parse(text).settled({}, OWNER) == {"string": "", "boolean": False, "integer": 0, "strings": []}


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"names": [], "rot": 1}, "`settings.rot`: the policy has no such setting: did you mean `root`?"),
        ({"names": [], "zzz": 1}, "write one of `dry_run`, `most`, `names`, `root`"),
        ({}, "`settings.names`: missing: add it to `settings` of the policy"),
        ({"names": "a"}, '`settings.names`: `"a"` is no list of texts: write `["one"]`'),
        ({"names": [1]}, "`[1]` is no list of texts"),
        ({"names": [], "root": 1}, "`1` is no text: write it in quotes"),
        ({"names": [], "dry_run": 1}, "`1` is no boolean: write `true` or `false`"),
        ({"names": [], "dry_run": "true"}, '`"true"` is no boolean'),
        ({"names": [], "most": True}, "`true` is no integer"),
        ({"names": [], "most": 1.0}, "`1.0` is no integer"),
        ({"names": [], "most": SAFE_INTEGER + 1}, "is no integer: write digits, up to 2**53"),
    ],
)
def test_a_wrong_setting_is_told(settings, cause):
    (line,) = unsettled(settings)
    assert cause in line


def test_all_wrong_settings_are_told_at_once():
    assert len(unsettled({"rot": 1, "root": 1})) == 3


def test_a_policy_without_settings_takes_none():
    assert parse(LEAST).settled({}, OWNER) == {}
    assert unsettled({"a": 1}, LEAST) == [f"{OWNER}: `settings.a`: the policy has no such setting: remove it"]
