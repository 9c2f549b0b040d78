"""Commands that change the guard itself: what an owner does at a terminal, the agent may not run."""

import pytest

from tests.protection.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("own"))
    for name in ("records/granted", "records/spool", "records/000001.db", "plans/alarms/a", "plans/exceptions/e"):
        made.put(f".local/state/wasmguard/{name}")
    return made


@pytest.mark.parametrize(
    "command",
    [
        "wasmguard allow 0193a4c2 --once",
        "wasmguard allow --once --for 8h last",
        "wasmguard allow --revoke all",
        "wasmguard --config x allow last --once",
        "uv run wasmguard allow last --once",
        "python3 -m wasmguard allow last --once",
        "echo allow | script -qc 'wasmguard allow last --once' /dev/null",
        "wasmguard verify --acknowledge 0193a4c2",
        "wasmguard verify --acknowledge=0193a4c2",
        "wasmguard verify --ack 0193a4c2",
        "wasmguard --config x verify --acknowledge 0193a4c2",
        "wasmguard verify --acknowledge 0193a4c2 --help",
        "uv run wasmguard verify --acknowledge 0193a4c2",
        "python3 -I -m wasmguard verify --acknowledge 0193a4c2",
        "env -i wasmguard verify --acknowledge 0193a4c2",
        "script -qc 'wasmguard verify --acknowledge 0193a4c2' /dev/null",
        "nohup setsid wasmguard verify --acknowledge 0193a4c2 &",
        "true && wasmguard verify --chain && wasmguard verify --acknowledge 0193a4c2",
    ],
)
def test_exceptions_and_alarms_are_the_owners(house, command):
    assert "the agent may not" in house.bash(command)


@pytest.mark.parametrize(
    "code",
    [
        "from wasmguard import exceptions",
        "import wasmguard.alarm as a; a.end(a.standing()[0])",
        "from wasmguard.workshop.allow import acknowledge",
        "from wasmguard import granted",
        "from wasmguard import spool",
    ],
)
def test_code_that_does_it_from_within_is_refused(house, code):
    assert house.bash(f'python3 -c "{code}"') != ""


@pytest.mark.parametrize(
    "command",
    [
        "rm ~/.local/state/wasmguard/records/granted",
        "rm -rf ~/.local/state/wasmguard/records",
        "rm -r ~/.local/state/wasmguard/plans/alarms",
        "rmdir ~/.local/state/wasmguard/plans/alarms",
        "find ~/.local/state/wasmguard/plans -name 'a*' -delete",
        "mv ~/.local/state/wasmguard/plans/alarms /tmp/x",
        "truncate -s 0 ~/.local/state/wasmguard/records/granted",
        "cp /dev/zero ~/.local/state/wasmguard/records/granted",
        "cd ~/.local/state/wasmguard/plans && rm -r alarms",
        "echo x > ~/.local/state/wasmguard/plans/exceptions/0123",
        "sqlite3 ~/.local/state/wasmguard/records/000001.db 'delete from records'",
        "ln -sf /tmp/x ~/.local/state/wasmguard/records/spool",
        "chmod 000 ~/.local/state/wasmguard/plans/alarms",
    ],
)
def test_their_files_are_no_tools(house, command):
    assert "the agent may not" in house.bash(command)


@pytest.mark.parametrize("tool", ["Write", "Edit", "NotebookEdit", "mcp__files__write"])
@pytest.mark.parametrize("name", ["records/granted", "records/spool", "plans/alarms/0123", "plans/exceptions/0123"])
def test_nor_any_other_tools(house, tool, name):
    given = {"file_path": f"{house.home}/.local/state/wasmguard/{name}", "content": "x"}
    assert house.tool(tool, given) != ""


@pytest.mark.parametrize(
    "command",
    [
        "wasmguard verify",
        "wasmguard verify --chain --json",
        "uv run wasmguard verify --head",
        "wasmguard log --effect deny -n 5",
        "wasmguard explain last",
        "wasmguard allow --help",
        "echo wasmguard verify --acknowledge x",
    ],
)
def test_looking_is_anybodys(house, command):
    assert house.bash(command) == ""
