"""Nothing in the options starts a client that takes our hooks and never calls them."""

import json
from types import SimpleNamespace

import pytest

from wasmguard.errors import ConfigError
from wasmguard.serve.sdk_settings import hooked


def base(settings=None, cwd=None, **extra_args):
    return SimpleNamespace(
        settings=settings, cwd=cwd, extra_args={key.replace("_", "-"): value for key, value in extra_args.items()}
    )


def settings_of(*given, **more):
    return json.loads(hooked(base(*given, **more)))


OFF = {"CLAUDE_CODE_SIMPLE": ""}


@pytest.mark.parametrize("given", [None, "", "  ", "{}", ' {"env": {}} ', '{"env": {"CLAUDE_CODE_SIMPLE": "1"}}'])
def test_the_simple_mode_is_off(given):
    assert settings_of(given) == {"env": OFF}


def test_other_settings_stay():
    given = {"permissions": {"deny": ["Bash"]}, "env": {"A": "b"}, "x": [1, 2.5, None]}
    assert settings_of(json.dumps(given)) == {**given, "env": {"A": "b", **OFF}}


def test_a_file_is_read_below_the_working_directory(tmp_path):
    (tmp_path / "s.json").write_text('\ufeff{"model": "m"}', encoding="utf-8")
    assert settings_of("s.json", str(tmp_path)) == {"model": "m", "env": OFF}
    assert settings_of(str(tmp_path / "s.json")) == {"model": "m", "env": OFF}


@pytest.mark.parametrize(
    "given",
    ["{x}", "{} {}", "[]", "nowhere.json", '{"env": [1]}', '{"env": "A=b"}', '{"env": null}', '{"a": NaN}', "{" * 9999],
)
def test_settings_that_cannot_be_read_are_refused(given, tmp_path):
    with pytest.raises(ConfigError, match="the options"):
        hooked(base(given, str(tmp_path)))


def test_a_file_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "s.json").write_text("[1]")
    with pytest.raises(ConfigError, match="no JSON object"):
        hooked(base("s.json", str(tmp_path)))


@pytest.mark.parametrize("name", ["bare", "settings", "permission-prompt-tool", "bare=true", "settings={}", "-bare"])
def test_arguments_that_would_undo_it_are_refused(name):
    with pytest.raises(ConfigError, match="extra argument"):
        hooked(SimpleNamespace(settings=None, cwd=None, extra_args={"debug": None, name: None}))


def test_other_arguments_stay():
    assert settings_of(debug_file="x", safe_mode=None) == {"env": OFF}
