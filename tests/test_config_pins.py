"""`lock` writes digests into a file that a person wrote: nothing else in it may change."""

import os
import stat
import string
import tomllib

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard import config_pins
from wasmguard.config_pins import pinned, write_pins
from wasmguard.errors import ConfigError, HostError
from wasmguard.sandbox.cache import digest

A, B = "a" * 64, "b" * 64

TWO = """\
# Mine. Do not touch.
[limits]
fuel = 1   # not much

[[policy]]
name     = "one"
module   = "builtin:path-redirect"          # or a path
events   = ["PreToolUse"]
settings = { root = "/sandbox" }

  [[policy]]   # two
  module = './two.wasm'
  name = "two"
  sha256 = 'old' # by lock
  [policy.settings]
  module = "no module of a policy"
"""


def test_a_pin_stands_behind_the_module_and_is_written_like_it():
    assert pinned(TWO, {"one": A}) == TWO.replace("# or a path\n", f'# or a path\nsha256   = "{A}"\n')


def test_an_old_pin_gets_another_value():
    assert pinned(TWO, {"two": B}) == TWO.replace("'old'", f'"{B}"')


def test_several_pins_at_once():
    assert pinned(TWO, {"two": B, "one": A}) == pinned(pinned(TWO, {"one": A}), {"two": B})


def test_the_same_pins_change_nothing():
    once = pinned(TWO, {"one": A, "two": B})
    assert pinned(once, {"one": A, "two": B}) == once
    assert pinned(TWO, {}) == TWO


def test_windows_line_ends_stay():
    crlf = TWO.replace("\n", "\r\n")
    assert pinned(crlf, {"one": A, "two": B}) == pinned(TWO, {"one": A, "two": B}).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[[policy]]\nname="x"\nmodule="y"', f'[[policy]]\nname="x"\nmodule="y"\nsha256="{A}"'),
        ('[[policy]]\nname="x"\n\tmodule =\t"y"#c', f'[[policy]]\nname="x"\n\tmodule =\t"y"#c\n\tsha256 =\t"{A}"'),
        ('[[policy]]\n"name"="x"\n"module" = "y"', f'[[policy]]\n"name"="x"\n"module" = "y"\n"sha256" = "{A}"'),
        ('[[policy]]\nmodule = """\ny"""\nname="x"', f'[[policy]]\nmodule = """\ny"""\nsha256 = "{A}"\nname="x"'),
        ('policy=[{name="x",module="y"}]', f'policy=[{{name="x",module="y", sha256="{A}"}}]'),
        ('policy=[{module = "y" , name="x"}] # c', f'policy=[{{module = "y", sha256 = "{A}" , name="x"}}] # c'),
        ('policy=[{name="x",module="y",sha256=""}]', f'policy=[{{name="x",module="y",sha256="{A}"}}]'),
    ],
)
def test_every_way_to_write_a_policy_can_be_pinned(before, after):
    assert pinned(before, {"x": A}) == after


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=3)
VALUES = st.text(string.ascii_letters + "\"'\\#=[]\n\r\té", max_size=8)
OTHERS = st.sampled_from(["events", "tools", "settings", "grants.effects", "# comment", "limits.fuel"])


@st.composite
def configurations(draw):
    """A configuration with some policies, written by hand in many ways."""
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    parts = []
    for name in names:
        pairs = {"name": name, "module": draw(VALUES)} | ({"sha256": "old"} if draw(st.booleans()) else {})
        equals = draw(st.sampled_from(["=", " = ", "   = "]))
        lines = [f"{key}{equals}{tomlkit.item(value).as_string()}" for key, value in pairs.items()]
        lines += [f"{other}{' = [1]' * (other[0] != '#')}" for other in draw(st.lists(OTHERS, unique=True))]
        comment = draw(st.sampled_from(["", "  # module = 1", ' # sha256 = ""']))
        lines = [draw(st.sampled_from(["", "  ", "\t"])) + line for line in draw(st.permutations(lines))]
        parts.append("\n".join([f"[[policy]]{comment}", *(line + comment for line in lines)]))
    end = draw(st.sampled_from(["", "\n", "\n\n# end", "\n[limits]\nfuel = 1\n"]))
    return "\n".join(parts) + end, draw(st.lists(st.sampled_from(names), unique=True)) if names else []


@settings(max_examples=150, deadline=None)
@given(configurations())
def test_nothing_changes_but_the_pins(drawn):
    source, names = drawn
    before, after = tomllib.loads(source), pinned(source, dict.fromkeys(names, A))
    for policy in before.get("policy", ()):
        if policy["name"] in names:
            policy["sha256"] = A
    assert tomllib.loads(after) == before
    assert [line for line in source.split("\n") if "sha256" not in line] == [
        line for line in after.split("\n") if "sha256" not in line
    ]


def test_a_policy_that_is_not_there_cannot_be_pinned():
    with pytest.raises(ConfigError, match="no policy `three` in the configuration"):
        pinned(TWO, {"three": A})


# -- the file


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "wasmguard.toml"
    path.write_text(TWO, encoding="utf-8", newline="")
    return path


def write(config, pins, **options):
    return write_pins(str(config), pins, **options)


def test_the_digest_of_the_new_file_comes_back(config):
    assert write(config, {"one": A}) == digest(config.read_bytes())
    assert config.read_text(encoding="utf-8") == pinned(TWO, {"one": A})


def test_a_file_that_does_not_change_is_not_written(config):
    write(config, {"one": A, "two": B})
    before = config.stat()
    write(config, {"one": A, "two": B})
    assert config.stat() == before


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_the_mode_stays(config, mode):
    config.chmod(mode)
    write(config, {"one": A})
    assert stat.S_IMODE(config.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(config):
    os.chown(config, 12345, 54321)
    write(config, {"one": A})
    assert (config.stat().st_uid, config.stat().st_gid) == (12345, 54321)


def test_a_symlink_stays_and_the_real_file_changes(config, tmp_path):
    real = config.rename(tmp_path / "dotfile")
    config.symlink_to("dotfile")
    write(config, {"one": A})
    assert config.is_symlink()
    assert real.read_text(encoding="utf-8") == pinned(TWO, {"one": A})


def test_nothing_is_left_behind(config):
    write(config, {"one": A})
    assert list(config.parent.iterdir()) == [config]


def test_a_write_that_fails_leaves_the_old_file(config, monkeypatch):
    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="cannot be written: no space left on device"):
        write(config, {"one": A})
    assert config.read_text(encoding="utf-8") == TWO
    assert list(config.parent.iterdir()) == [config]


def test_what_was_written_meanwhile_is_not_pinned(config):
    locked = digest(config.read_bytes())
    config.write_text(TWO.replace("fuel = 1", "fuel = 2"), encoding="utf-8")
    with pytest.raises(HostError, match="changed while it was being locked: run `wasmguard lock` again"):
        write(config, {"one": A}, digest=locked)
    assert write(config, {"one": A}, digest=digest(config.read_bytes()))


@pytest.mark.parametrize("extra", ["\nfuel = 3", '\nname = "one"', "\n[limits2]"])
def test_a_pin_that_would_change_something_else_is_not_written(config, monkeypatch, extra):
    edit = config_pins._edit

    def clumsy(*given):
        start, end, text = edit(*given)
        return start, end, text + extra

    monkeypatch.setattr(config_pins, "_edit", clumsy)
    with pytest.raises(HostError, match="the digests do not fit into the configuration"):
        write(config, {"one": A})
    assert config.read_text(encoding="utf-8") == TWO


@pytest.mark.parametrize("text", ["fuel 3", "[[policy]]\nname = 'one'", "policy = 3", "policy = [3]", "\udcff"])
def test_what_is_no_configuration_any_more_is_not_pinned(config, text):
    config.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError):
        write(config, {"one": A})


def test_a_missing_file_cannot_be_pinned(tmp_path):
    with pytest.raises(HostError, match="cannot be written: no such file or directory"):
        write(tmp_path / "absent.toml", {})
