"""Self-protection in the real Claude Code: the agent may write anywhere, but not what would switch the guard off."""

import pytest

from tests.e2e.test_claude_code import END, policy

pytestmark = pytest.mark.e2e

ANYTHING = ("--permission-mode", "bypassPermissions")
OFF = '{"disableAllHooks": true}'


def runs(owner, tool, **given):
    """What becomes of one call of *tool*, and what it was told."""
    owner.locks(policy(owner.guest("pass")))
    script = [[{"tool": tool, "input": given}], END]
    outcome = owner.runs(script, *ANYTHING)
    (call,) = outcome.calls
    return outcome, call


@pytest.mark.parametrize(
    "path", ["$DATA/.claude/settings.json", "$DATA/.Claude/Settings.local.json", "$DATA/../guard/wasmguard.toml"]
)
def test_a_write_to_what_switches_the_guard_off_is_denied(owner, path):
    outcome, call = runs(owner, "Write", file_path=path, content=OFF)
    assert call.is_error
    assert "the agent may not write" in call.result
    assert outcome.files() == {}


@pytest.mark.parametrize(
    "command",
    [
        "mkdir -p $DATA/.claude && echo '{}' > $DATA/.claude/settings.json",
        "cd $DATA/../guard && cp /dev/null wasmguard.toml",
        "rm -rf $DATA/../guard",
        "wasmguard off --for 10m",
    ],
)
def test_a_command_that_plainly_does_it_is_denied(owner, command):
    before = owner.config.parent.exists()
    outcome, call = runs(owner, "Bash", command=command, description="d")
    assert call.is_error
    assert "wasmguard: the agent may not" in call.result
    assert outcome.files() == {}
    assert before
    assert owner.config.read_text().startswith("[[policy]]")


def test_an_ordinary_command_beside_them_runs(owner):
    outcome, call = runs(owner, "Bash", command="cat ../guard/wasmguard.toml > $DATA/copy", description="d")
    assert not call.is_error
    assert list(outcome.files()) == ["data/copy"]
