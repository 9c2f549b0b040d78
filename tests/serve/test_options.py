"""What the command line of a hook may say."""

import pytest

from wasmguard import places
from wasmguard.errors import EventError, UsageError
from wasmguard.serve.options import NAMES, Options, parsed, settled

AGENT = ("CLAUDECODE", "CLAUDE_PROJECT_DIR")


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    for name in AGENT:
        monkeypatch.delenv(name, raising=False)
    yield
    places.tell()


@pytest.mark.parametrize("name", NAMES)
def test_an_option_and_its_value_are_two_words_or_one(name):
    for words in ([f"--{name}", "/x"], [f"--{name}=/x"]):
        assert parsed(words) == Options(**{name: "/x"})


@pytest.mark.parametrize(
    "words", [["--config"], ["x"], ["--other", "x"], ["-config", "x"], ["--config", "x", "y"], [""]]
)
def test_anything_else_is_refused(words):
    with pytest.raises(EventError, match=r"unknown argument .* usage: wasmguard serve"):
        parsed(words)


def test_outside_of_an_agent_the_environment_says_where_things_are(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/their/state")
    monkeypatch.setenv("WASMGUARD_CONFIG", "/their/config")
    assert settled(Options()) == "/their/config"
    assert places.state_dir() == "/their/state/wasmguard"


@pytest.mark.parametrize("mark", AGENT)
def test_in_an_agent_it_does_not(monkeypatch, mark):
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "WASMGUARD_CONFIG"):
        monkeypatch.setenv(name, "/theirs")
    monkeypatch.setenv(mark, "1")
    config = settled(Options())
    folders = places.state_dir(), places.cache_dir(), places.config_dir()
    assert all(path.startswith(places.home_in_database() + "/") for path in (config, *folders))


def test_what_the_command_line_says_beats_everything(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/theirs")
    assert settled(Options(config="/c", home="/home/ada", cache="/fast/cache")) == "/c"
    assert places.state_dir() == "/home/ada/.local/state/wasmguard"
    assert places.cache_dir() == "/fast/cache"


def test_a_folder_that_is_not_absolute_is_refused():
    with pytest.raises(UsageError, match="`--home` is `here`: not absolute"):
        settled(Options(home="here"))
