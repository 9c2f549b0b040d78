"""The front desk: exit codes, and errors of one line on standard error."""

import json

import pytest
from click.testing import CliRunner

from wasmguard import __version__
from wasmguard.cli import main


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner().invoke(main, [str(word) for word in arguments])

    return invoke


def test_the_version_is_printed(run):
    assert run("--version").output == f"wasmguard, version {__version__}\n"


def test_help_fits_eighty_columns_and_cuts_no_sentence(run):
    for command in ([], *([name] for name in main.commands)):
        said = run(*command, "--help").output
        assert all(len(line) <= 80 for line in said.splitlines())
        assert "..." not in said.replace("[ARGS]...", "")


def test_lock_says_what_was_pinned_and_what_stayed(run, configured):
    path = configured("pass")
    assert "pinned, compiled in" in run("lock", "--config", path).output
    again = run("lock", "--config", path)
    assert (again.exit_code, "unchanged" in again.output) == (0, True)


def test_check_explains(run, configured):
    done = run("check", "--config", configured("pass"))
    assert (done.exit_code, "asked in this order" in done.output) == (0, True)


def test_schema_is_json(run):
    assert json.loads(run("schema").output)["title"] == "wasmguard.toml"


@pytest.mark.parametrize("command", ["lock", "check"])
def test_an_error_is_one_line_on_standard_error_and_exit_code_1(run, tmp_path, own_home, command):
    done = run(command, "--config", tmp_path / "none.toml")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("wasmguard: configuration `")
    assert len(done.stderr.splitlines()) == 1


def test_every_problem_of_a_configuration_is_told_at_once(run, configured):
    path = configured("pass", "deny", **{"pass": {"tols": "1"}, "deny": {"on_fault": '"allow"'}})
    said = run("check", "--config", path).stderr.splitlines()
    assert len(said) == 2
    assert ":4:" in said[0]


@pytest.mark.parametrize("arguments", [["bogus"], ["lock", "--bogus"], ["lock", "extra"]])
def test_wrong_usage_is_exit_code_2(run, arguments):
    assert run(*arguments).exit_code == 2
