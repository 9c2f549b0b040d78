"""What an owner may write, what it comes to, and how mistakes are told."""

import os
import re
import tomllib

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.agents.claude import KNOWN
from wasmguard.config import grants_of, load, schema, write_pins
from wasmguard.config_limits import LimitsConfig
from wasmguard.decision import Effect
from wasmguard.errors import BundleError, ConfigError
from wasmguard.guest.grants import Grants, Max, OneOf, Within
from wasmguard.guest.manifest import Manifest
from wasmguard.limits import DEFAULT, HARD_MAX, PROFILES, ROOMY, TIGHT
from wasmguard.sandbox.cache import digest

DESIGN = """\
[limits]                       # all optional; defaults are named profiles with sources
fuel = 20_000_000
memory = "16 MiB"

[[policy]]
name     = "sandbox-writes"
module   = "builtin:path-redirect"          # or a path; later a registry reference
events   = ["PreToolUse"]
tools    = ["Write", "Edit"]
settings = { root = "/sandbox" }
grants.rewrite."Write.file_path" = { within = "/sandbox" }
grants.effects = ["deny", "ask"]            # the default; add "allow" to let it approve
on_fault = "deny"
shadow   = false
"""
FULL = """\
[limits]
profile = "roomy"
clock = "2 s"

[[policy]]
name = "one"
module = "./one"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
events = ["PreToolUse", "Stop"]
tools = ["Bash", "mcp__*"]
on_fault = "ask"
shadow = true
[policy.settings]
deep = { list = [1, 2.5, "three", true, { four = 4 }] }
[policy.limits]
fuel = 1_000
[policy.grants]
effects = ["allow"]
permissions = ["session"]
[policy.grants.rewrite]
"Write.content" = { max = "64 KiB" }
"Bash.command" = { max = 100, silent = true }
"Bash.timeout" = { one_of = [1000, "x", true] }
"mcp__files__*.path" = { within = "/srv/files" }

[[policy]]
name = "two"
module = "~/two.wasm"
"""
LEAST = '[[policy]]\nname = "x"\nmodule = "y"\n'  # what a test adds stands on line 4


@pytest.fixture
def loaded(tmp_path):
    def load_text(text, name="wasmguard.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(str(path))

    return load_text


@pytest.fixture
def refused(loaded, tmp_path):
    """The lines of the refusal of a text, without the path."""

    def lines(text):
        with pytest.raises(ConfigError) as caught:
            loaded(text)
        told = str(caught.value).split("\n")
        assert all(line.startswith(f"{tmp_path}/wasmguard.toml:") for line in told)
        return [line.removeprefix(f"{tmp_path}/wasmguard.toml:") for line in told]

    return lines


@pytest.fixture
def policy(loaded):
    """The one policy of a text that adds to `LEAST`."""
    return lambda added: loaded(LEAST + added).policy[0]


# -- reading


def test_the_example_of_the_design_says_what_it_says(loaded, tmp_path):
    config = loaded(DESIGN)
    assert config.path == str(tmp_path / "wasmguard.toml")
    assert config.base == str(tmp_path)
    assert config.digest == digest(DESIGN.encode())
    (policy,) = config.policy
    assert (policy.name, policy.module, policy.sha256) == ("sandbox-writes", "builtin:path-redirect", None)
    assert (policy.events, policy.tools) == (("PreToolUse",), ("Write", "Edit"))
    assert policy.settings == {"root": "/sandbox"}
    assert (policy.on_fault, policy.shadow) == ("deny", False)


def test_everything_that_can_be_written_is_read(loaded):
    one, two = loaded(FULL).policy
    assert (one.on_fault, one.shadow, one.tools) == ("ask", True, ("Bash", "mcp__*"))
    assert one.sha256 == "0123456789abcdef" * 4
    assert one.settings == {"deep": {"list": [1, 2.5, "three", True, {"four": 4}]}}
    assert (two.events, two.tools, two.settings) == (None, None, {})


def test_what_is_left_out_is_strict(policy):
    least = policy("")
    assert (least.on_fault, least.shadow, least.sha256) == ("deny", False, None)


def test_an_empty_file_asks_nobody(loaded):
    assert loaded("").policy == ()


def test_policies_keep_the_owner_s_order(loaded):
    names = ["c", "a", "b"]
    assert [p.name for p in loaded("".join(f'[[policy]]\nname="{n}"\nmodule="m"\n' for n in names)).policy] == names


def test_a_relative_path_is_made_absolute(loaded, tmp_path, monkeypatch):
    loaded(DESIGN)
    monkeypatch.chdir(tmp_path)
    config = load("wasmguard.toml")
    assert (config.path, config.base) == (str(tmp_path / "wasmguard.toml"), str(tmp_path))


def test_a_symlink_is_fine_and_paths_start_where_the_link_is(loaded, tmp_path):
    loaded(DESIGN, "dotfile")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "wasmguard.toml").symlink_to(tmp_path / "dotfile")
    assert load(str(tmp_path / "config" / "wasmguard.toml")).base == str(tmp_path / "config")


def test_a_policy_knows_where_its_settings_are(loaded, tmp_path):
    one, two = (config := loaded(FULL)).policy
    assert config.where(one) == f"{tmp_path}/wasmguard.toml:13: policy `one`"
    assert config.where(two) == f"{tmp_path}/wasmguard.toml:26: policy `two`"


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.toml`: does not exist: write it, or .*--config PATH"):
        load(str(tmp_path / "absent.toml"))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owner and mode mean something on POSIX only")
@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o644, True), (0o664, True), (0o666, False), (0o602, False)]
)
def test_a_file_that_everybody_may_write_is_not_used(loaded, tmp_path, mode, fine):
    loaded(DESIGN)
    (tmp_path / "wasmguard.toml").chmod(mode)
    if fine:
        assert load(str(tmp_path / "wasmguard.toml"))
    else:
        with pytest.raises(ConfigError, match="open for writing to others"):
            load(str(tmp_path / "wasmguard.toml"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_somebody_else_s_file_is_not_used(loaded, tmp_path):
    loaded(DESIGN)
    os.chown(tmp_path / "wasmguard.toml", 12345, 0)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        load(str(tmp_path / "wasmguard.toml"))


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="not a regular file"):
        load(str(tmp_path))


def test_a_huge_file_is_no_configuration(loaded):
    with pytest.raises(ConfigError, match="more than 1_048_576 bytes"):
        loaded(b"#" * (2**20 + 1))


def test_a_file_that_is_not_utf8_has_its_line(refused):
    assert refused(b"[limits]\nfuel = 1\n# \xff\n") == ["3: not UTF-8: save the file as UTF-8"]


# -- mistakes


@pytest.mark.parametrize(
    ("added", "line", "told"),
    [
        ("tols = []", 4, "`policy[0].tols`: unknown key: did you mean `tools`?"),
        ("zzz = 1", 4, "`policy[0].zzz`: unknown key: write one of `events`, `grants`, `limits`, `matcher`,"),
        ("events = []", 4, '`policy[0].events`: an empty list: write at least one, like `events = ["PreToolUse"]`'),
        ('events = ["pre_tool_use"]', 4, '`policy[0].events[0]`: `"pre_tool_use"` is not the name of an event'),
        (
            'events = "PreToolUse"',
            4,
            '`policy[0].events`: a text where a list belongs: write `events = ["PreToolUse"]`',
        ),
        ('tools = [\n"Write",\n"*"\n,"a b"]', 7, '`policy[0].tools[2]`: `"a b"` is not the name of a tool'),
        ('on_fault = "allow"', 4, "`policy[0].on_fault`: `allow` is not known here: write one of `ask`, `deny`"),
        ('on_fault = "pass"', 4, "`policy[0].on_fault`: `pass` is not known here"),
        ("shadow = 1", 4, "`policy[0].shadow`: an integer where true or false belongs: write `shadow = true`"),
        ('shadow = "true"', 4, "`policy[0].shadow`: a text where true or false belongs"),
        (
            'sha256 = "ABC"',
            4,
            "`policy[0].sha256`: not a SHA-256 in 64 lower-case hexadecimal digits: remove it and run",
        ),
        (f'sha256 = "{"A" * 64}"', 4, "`policy[0].sha256`: not a SHA-256"),
        (f'sha256 = "{"a" * 64}\\n"', 4, "`policy[0].sha256`: not a SHA-256"),
        ("settings = 1", 4, "`policy[0].settings`: an integer where a table belongs: write `settings = { root ="),
        ("[policy.settings]\n\nwhen = 1979-05-27", 6, "`policy[0].settings.when`: `1979-05-27` is a date or a time"),
        ("settings.a = [{ b = nan }]", 4, "`policy[0].settings.a`: `nan` is not finite"),
        ("settings.a = 9007199254740993", 4, "`policy[0].settings.a`: an integer beyond 2**53"),
        (f"settings.a = {'[' * 20}{']' * 20}", 4, "`policy[0].settings.a`: nested deeper than 16 levels"),
        ("limits.fuel = 0", 4, "`policy[0].limits.fuel`: 0 is not between 1 and the hard maximum 1_000_000_000"),
        ("[policy.limits]\nstack = '2 MiB'", 5, "`policy[0].limits.stack`: 2_097_152 is not between 1 and the hard"),
        ("[policy.limits]\nmemry = 1", 5, "`policy[0].limits.memry`: unknown key: did you mean `memory`?"),
        (
            'grants.state = "4 KB/s"',
            4,
            '`policy[0].grants.state.max`: `"4 KB/s"` cannot be read: write it like `"4 KiB"`, in `B`, `kB`',
        ),
        (
            'grants.state = { max = "4 KiB", scope = "sesion" }',
            4,
            "`policy[0].grants.state.scope`: `sesion` is not known here: did you mean `session`?",
        ),
        (
            'grants.state = { max = "4 KiB", scope = 1 }',
            4,
            '`policy[0].grants.state.scope`: an integer where a word belongs: write `scope = "session"`',
        ),
        (
            'grants.state = { scope = "owner" }',
            4,
            '`policy[0].grants.state.max`: missing: add `max = "4 KiB"`',
        ),
        (
            'grants.state = { max = "4 KiB", expire = "30 d" }',
            4,
            "`policy[0].grants.state.expire`: unknown key: did you mean `expires`?",
        ),
        (
            'grants.state = { max = "4 KiB", expires = "30 m" }',
            4,
            '`"30 m"` cannot be read: write it like `"30 d"`, in `s`, `min`, `h` or `d`',
        ),
        (
            'grants.state = { max = "4 KiB", expires = 30 }',
            4,
            '`30` has no unit: write it like `"30 d"`, in `s`, `min`, `h` or `d`',
        ),
        ("timeout = 1", 4, '`policy[0].timeout`: `1` has no unit: write it like `"1 s"`, in `ms` or `s`'),
        ("timeout = true", 4, '`policy[0].timeout`: `true` cannot be read: write it like `"1 s"`, in `ms` or `s`'),
        (
            'grants.rewrite_output."Bash.stdout" = { max = "1 KiB" }',
            4,
            '`"Bash.stdout"` is not the name of a tool: write it without a field',
        ),
        (
            'matchers = { PreTooluse = "Bash" }',
            4,
            "unknown event `PreTooluse`: did you mean `PreToolUse`?",
        ),
        (
            'events = ["PostToolUse", "PerToolUse"]',
            4,
            "`policy[0].events[1]`: unknown event `PerToolUse`: did you mean `PreToolUse`?",
        ),
        (
            'grants.rewrite_output."Bash" = { max = 0 }',
            4,
            "0 is not between 1 and the hard maximum",
        ),
        (
            'grants.effects = ["alow"]',
            4,
            "`policy[0].grants.effects[0]`: `alow` is not known here: did you mean `allow`?",
        ),
        ('grants.efects = ["allow"]', 4, "`policy[0].grants.efects`: unknown key: did you mean `effects`?"),
        (
            'grants.permissions = ["sesion"]',
            4,
            "`policy[0].grants.permissions[0]`: `sesion` is not known here: did you",
        ),
        (
            "grants.permissions = 1",
            4,
            "`policy[0].grants.permissions`: an integer where a list belongs: write `permissions",
        ),
        (
            'grants.rewrite.Write.file_path = { within = "/x" }',
            4,
            '`policy[0].grants.rewrite.Write`: `"Write"` is not a',
        ),
        ('grants.rewrite."*.command" = { max = 1 }', 4, '`policy[0].grants.rewrite."*.command"`: `"*.command"` is not'),
        (
            'grants.rewrite."Write.a" = {}',
            4,
            '`policy[0].grants.rewrite."Write.a"`: a rewrite has one constraint: write',
        ),
        ('grants.rewrite."Write.a" = { max = 1, one_of = [1] }', 4, "a rewrite has one constraint"),
        ('grants.rewrite."Write.a" = { within = "/x", silent = true }', 4, "`silent` says nothing about a path"),
        (
            'grants.rewrite."Write.a" = { within = "x" }',
            4,
            '`policy[0].grants.rewrite."Write.a".within`: the path does not',
        ),
        ('grants.rewrite."Write.a" = { within = "/" }', 4, "the root of a grant cannot be `/`"),
        (
            '[policy.grants.rewrite."Write.a"]\n# here\nmax = "2 MiB"',
            6,
            "2_097_152 is not between 1 and the hard maximum",
        ),
        ('grants.rewrite."Write.a" = { max = true }', 4, '`true` cannot be read: write it like `"16 MiB"`'),
        ('grants.rewrite."Write.a" = { one_of = [] }', 4, "an empty list: write at least one, like `one_of = ["),
        ('grants.rewrite."Write.a" = { one_of = [1.5] }', 4, '"Write.a".one_of[0]`: no text, integer or boolean'),
        ('grants.rewrite."Write.a" = { one_of = [9007199254740993] }', 4, "an integer beyond 2**53"),
        (
            '[[policy]]\nmodule = "y"\nname = "x"',
            6,
            "`policy[1].name`: `x` is the name of `policy[0]` already: write another",
        ),
        ('[[policy]]\nmodule = "y"\nname = "wasmguard"', 6, "`policy[1].name`: `wasmguard` is the name under which"),
        (
            '[[policy]]\nmodule = "y"\nname = "No Net"',
            6,
            '`policy[1].name`: `"No Net"` is not a name: write lower-case',
        ),
        ('[[policy]]\nname = "z"', 4, '`policy[1].module`: missing: add `module = "builtin:path-redirect"`'),
        ('[[policy]]\nmodule = ""\nname = "z"', 5, "`policy[1].module`: not a path: write `builtin:` and a name"),
        ('[[policy]]\nmodule = "a\\nb"\nname = "z"', 5, "`policy[1].module`: not a path"),
        ("[[policies]]", 4, "`policies`: unknown key: did you mean `policy`?"),
        ("[limit]\nfuel = 1", 4, "`limit`: unknown key: did you mean `limits`?"),
        ('[limits]\nfuel = "20"', 5, "`limits.fuel`: a text where an integer belongs: write `fuel = 20_000_000`"),
        ("[limits]\nfuel = true", 5, "`limits.fuel`: true or false where an integer belongs"),
        ("[limits]\nfuel = 1.0", 5, "`limits.fuel`: a number where an integer belongs"),
        ('[limits]\nprofile = "tigt"', 5, "`limits.profile`: `tigt` is not known here: did you mean `tight`?"),
        ('[limits]\nclock = "3 s"', 5, "`limits.clock`: 3_000 is not between 1 and the hard maximum 2_000"),
        ('[limits]\nclock = "1 h"', 5, '`limits.clock`: `"1 h"` cannot be read: write it like `"100 ms"`'),
        ("[limits]\nmemory = 1.5", 5, "`limits.memory`: `1.5` cannot be read"),
        ("[limits]\nfuel = 1\nfuel = 2", 6, "`fuel = 2`: not TOML: cannot overwrite a value"),
        ("fuel 3", 4, "`fuel 3`: not TOML: expected '=' after a key"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_write(refused, added, line, told):
    lines = refused(LEAST + added)
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{line}: `")
    assert told in lines[0]


def test_one_table_instead_of_a_list_is_told(refused):
    assert refused('[policy]\nname = "x"') == [
        "1: `policy`: one table where a list of them belongs: write `[[policy]]`, in two pairs of brackets"
    ]


def test_all_mistakes_are_told_at_once_and_in_the_order_of_the_file(refused):
    lines = refused("[limits]\nfule = 1\n[[policy]]\nnam = 'x'\nmodule = 3\n[policy.grants]\nstate = 0\n")
    assert [line.split(":")[0] for line in lines] == ["2", "3", "4", "5", "7"]


def test_every_line_to_add_can_be_added(refused, loaded):
    text = "[[policy]]\n"
    added = [re.search(r"add `(.*)`", line)[1] for line in refused(text)]
    assert loaded(text + "\n".join(added)).policy[0].name == "sandbox-writes"


# -- limits


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("memory", 65_536, 65_536),
        ("memory", '"65536"', None),
        ("memory", '"64 KiB"', 65_536),
        ("memory", '"64KiB"', 65_536),
        ("memory", '"16 MiB"', 16 * 2**20),
        ("memory", '"5 MB"', 5_000_000),
        ("memory", '"5 kB"', 5_000),
        ("memory", '"70000 B"', 70_000),
        ("memory", '"1.5 MiB"', None),
        ("memory", '"16 mib"', None),
        ("memory", '"-1 MiB"', None),
        ("memory", '" 1 MiB"', None),
        ("memory", '"1 MiB\\n"', None),
        ("memory", '"٣ MiB"', None),
        ("compile_memory", '"1 GiB"', 2**30),
        ("compile_memory", '"2 GB"', 2 * 10**9),
        ("clock", 50, 50),
        ("clock", '"50 ms"', 50),
        ("clock", '"2 s"', 2_000),
        ("compile_cpu", 7, 7),
        ("compile_cpu", '"7 s"', 7),
        ("compile_wall", '"2 min"', 120),
        ("compile_wall", '"100 ms"', None),
    ],
)
def test_a_quantity_has_a_unit_or_none(loaded, key, given, value):
    text = f"[limits]\n{key} = {given}"
    if value is None:
        with pytest.raises(ConfigError, match="cannot be read: write it like"):
            loaded(text)
    else:
        assert getattr(loaded(text).limits, key) == value


@pytest.mark.parametrize("key", [name for name in LimitsConfig.model_fields if name != "profile"])
def test_no_limit_goes_beyond_the_hard_maximum(loaded, key):
    most = getattr(HARD_MAX, key)
    assert getattr(loaded(f"limits.{key} = {most}").limits, key) == most
    with pytest.raises(
        ConfigError, match=rf"`limits\.{key}`: {most + 1:_} is not between 1 and the hard maximum {most:_}"
    ):
        loaded(f"limits.{key} = {most + 1}")
    with pytest.raises(ConfigError, match="is not between 1"):
        loaded(f"limits.{key} = -1")


def manifest(profile):
    return Manifest(abi=1, name="m", version="1", summary="", events=["Stop"], limits=profile)


def test_without_a_word_the_limits_are_the_default(loaded):
    assert loaded("").limits_for(None, None) == DEFAULT
    config = loaded(LEAST)
    assert config.limits_for(config.policy[0], None) == DEFAULT


def test_limits_come_in_layers(loaded):
    def limits(own, top="", asks="default"):
        config = loaded(f"{LEAST}{own}\n[limits]\n{top}")
        return config.limits_for(config.policy[0], manifest(asks))

    assert limits("") == DEFAULT
    assert limits("", asks="tight") == TIGHT
    assert limits("", "profile = 'tight'") == TIGHT
    assert limits("", "fuel = 7", asks="tight") == TIGHT.replaced(fuel=7)
    assert limits("", "profile = 'tight'\nfuel = 7") == TIGHT.replaced(fuel=7)
    assert limits("limits.fuel = 8", "profile = 'tight'\nfuel = 7\nclock = 9") == TIGHT.replaced(fuel=8, clock=9)
    assert limits("limits.profile = 'roomy'", "profile = 'tight'\nfuel = 7") == ROOMY
    assert limits("limits.profile = 'tight'\nlimits.fuel = 8", "clock = 9") == TIGHT.replaced(fuel=8)


def test_a_manifest_asks_for_more_than_the_default_in_vain(loaded):
    config = loaded(LEAST)
    assert config.limits_for(config.policy[0], manifest("roomy")) == DEFAULT


def test_a_policy_s_limits_are_its_own(loaded):
    config = loaded(FULL)
    one, two = config.policy
    assert config.limits_for(one, None) == ROOMY.replaced(clock=2_000, fuel=1_000)
    assert config.limits_for(two, None) == config.limits_for(None, None) == ROOMY.replaced(clock=2_000)


LAYERS = st.none() | st.sampled_from(sorted(PROFILES))
VALUES = st.none() | st.integers(1, 1000)


@given(LAYERS, LAYERS, VALUES, LAYERS, VALUES)
def test_the_last_layer_that_names_a_limit_wins(asked, top, top_fuel, own, own_fuel):
    limits = PROFILES[asked or "default"]
    for profile, fuel in [(top, top_fuel), (own, own_fuel)]:
        limits = LimitsConfig(profile=profile, fuel=fuel).over(limits)
    said = [
        PROFILES[asked or "default"].fuel,
        top and PROFILES[top].fuel,
        top_fuel,
        own and PROFILES[own].fuel,
        own_fuel,
    ]
    assert limits.fuel == [fuel for fuel in said if fuel is not None][-1]


# -- grants


def test_nothing_is_granted_unless_it_is_written(policy):
    assert grants_of(policy("")) == Grants()


def test_grants_are_what_is_written(loaded):
    one, two = loaded(FULL).policy
    assert grants_of(one) == Grants(
        effects=frozenset({Effect.PASS, Effect.ALLOW}),
        rewrite={
            "Write.content": Max(bytes=65_536, silent=False),
            "Bash.command": Max(bytes=100, silent=True),
            "Bash.timeout": OneOf(values=(1000, "x", True), silent=False),
            "mcp__files__*.path": Within(root="/srv/files"),
        },
        permissions=frozenset({"session"}),
    )
    assert grants_of(two) == Grants()


def test_grants_survive_the_plan(loaded):
    grants = grants_of(loaded(FULL).policy[0])
    assert Grants.from_data(grants.as_data()) == grants


@pytest.mark.parametrize("added", ['grants.effects = ["deny"]', "grants.effects = []", 'grants.effects = ["ask"]'])
def test_no_list_of_effects_approves_without_allow(policy, added):
    assert Effect.ALLOW not in grants_of(policy(added)).effects


def test_permissions_may_be_all_or_none(policy):
    everywhere = {"userSettings", "projectSettings", "localSettings", "session", "cliArg"}
    assert grants_of(policy("grants.permissions = true")).permissions == everywhere
    assert grants_of(policy("grants.permissions = false")).permissions == frozenset()
    assert grants_of(policy("grants.permissions = []")).permissions == frozenset()


# -- pins


def test_a_pinned_file_loads_and_says_the_same(loaded, tmp_path):
    before = loaded(DESIGN)
    after_digest = write_pins(before.path, {"sandbox-writes": "a" * 64}, before.digest)
    after = load(before.path)
    assert after.digest == after_digest
    assert after.policy[0].sha256 == "a" * 64
    assert after.policy[0].model_copy(update={"sha256": None}) == before.policy[0]


# -- the schema


@pytest.fixture(scope="module")
def valid():
    """Whether the schema takes a text."""
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    check = jsonschema.Draft202012Validator(made)
    return lambda text: check.is_valid(tomllib.loads(text))


def test_the_schema_says_what_it_is():
    made = schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert made["$id"] == "urn:wasmguard:wasmguard.toml:1"
    assert made["title"] == "wasmguard.toml"


def tables():
    made = schema()
    return [made, *made["$defs"].values()]


def test_every_key_is_described_and_no_other_is_taken():
    for table in tables():
        assert table["additionalProperties"] is False
        assert table["description"]
        for name, key in table["properties"].items():
            assert key["description"], name


def test_toml_has_no_null():
    assert "null" not in str(schema()).replace("'", '"').split('"')
    assert "None" not in str(schema())


def test_every_example_is_valid():
    made = schema()
    for table in tables():
        for key in table["properties"].values():
            for example in key.get("examples", ()):
                jsonschema.Draft202012Validator({**key, "$defs": made["$defs"]}).validate(example)


@pytest.mark.parametrize("text", ["", DESIGN, FULL, LEAST, LEAST + "grants.permissions = true"])
def test_the_schema_takes_what_is_right(valid, loaded, text):
    assert loaded(text)
    assert valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "tols = 1",
        LEAST + "tols = 1",
        LEAST + "grants.state = { most = '4 KiB' }",
        LEAST + "grants.rewrite.Write.file_path = { within = '/x' }",
        LEAST + 'grants.rewrite."Write.a" = { max = 1, within = "/x" }',
        LEAST + 'grants.rewrite."Write.a" = {}',
        LEAST + 'grants.rewrite."Write.a" = { one_of = [1.5] }',
        LEAST + "on_fault = 'allow'",
        LEAST + "events = []",
        LEAST + "limits.memory = true",
        LEAST + "limits.memory = '1 parsec'",
        LEAST + "limits.fuel = '20'",
        "[[policy]]\nname = 'x'",
        "[policy]\nname = 'x'",
    ],
)
def test_the_schema_refuses_what_is_wrong(valid, refused, text):
    assert refused(text)
    assert not valid(text)


# -- where things are remembered


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "entries = 0",
            "`state.entries`: 0 is not between 1 and the hard maximum 1_000_000: write a number in between",
        ),
        ("entries = 1_000_001", "`state.entries`: 1_000_001 is not between 1 and the hard maximum"),
        ("entries = '9'", "`state.entries`: a text where an integer belongs: write `entries = 10_000`"),
        ('prefix = "a b"', "`state.prefix`: `a b` is no prefix: write letters, digits, `_`, `.`, `:` and `-`, 1 to 64"),
        ('prefix = ""', "`state.prefix`: `` is no prefix"),
        ('store = "redis://h:99999/0"', "`state.store`: `99999` is no port: write a number from 1 to 65535"),
        ('store = "redis://h:0"', "`state.store`: `0` is no port"),
        ('store = "sqlit"', "`state.store`: `sqlit` is no store: write `sqlite`, or `redis://host:6379/0`"),
        ('password_file = "~/p"', "`state`: `password_file` is for a Redis server: leave it out, or name the server"),
    ],
)
def test_what_is_wrong_with_a_store_is_told_in_our_words(refused, line, told):
    (said,) = refused(f"[state]\n{line}\n{LEAST}")
    assert told in said
    assert re.match(r"[12]: ", said)


@pytest.mark.parametrize(
    "store",
    [
        "redis://h/0?password=hunter2",
        "redis://u:hunter2@h/0",
        "redis://h/0#hunter2",
        "redis://h/0&PassWord=hunter2",
        "sqlite password hunter2",
    ],
)
def test_a_password_in_the_address_of_a_store_is_refused_and_not_repeated(refused, store):
    (said,) = refused(f'[state]\nstore = "{store}"\n{LEAST}')
    assert said.startswith("2: `state.store`: a password does not belong into this file")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "store", ["sqlite", "redis://h", "rediss://h.example:65535/15", "redis://[::1]:1/0", "redis://10.0.0.1/3"]
)
def test_these_are_stores(loaded, valid, store):
    text = f'[state]\nstore = "{store}"\n{LEAST}'
    assert loaded(text).state.store == store
    assert valid(text)


# -- words that are nearly right


@pytest.mark.parametrize("name", ["BeforeTool", "Notice", "MyOwnEvent"])
def test_an_event_of_another_agent_may_have_any_name(policy, name):
    assert policy(f'events = ["{name}"]').events == (name,)


def test_every_event_that_we_know_may_be_named(policy):
    names = sorted(KNOWN)
    assert policy(f"events = {names}").events == tuple(names)


@pytest.mark.parametrize("tool", ["Bash", "mcp__files__*", "mcp__files__a.b", "*"])
def test_a_grant_about_outputs_names_a_tool(policy, tool):
    assert tool in policy(f'grants.rewrite_output."{tool}" = {{ max = "1 KiB" }}').grants.rewrite_output


def test_a_manifest_asks_about_the_outputs_of_tools_as_well():
    least = 'abi = 1\nname = "p"\nversion = "1.0.0"\nsummary = "s"\nevents = ["PostToolUse"]\n'
    with pytest.raises(BundleError, match="is not the name of a tool: write it without a field"):
        Manifest.parse(least + 'asks.rewrite_output = ["Bash.stdout"]\n', "manifest.toml")
