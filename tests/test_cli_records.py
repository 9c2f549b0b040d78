"""The commands that tell of records: what they take, what they print and how they end."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from wasmguard import spool
from wasmguard.cli_desk import FrontDesk
from wasmguard.cli_records import Since, explain, log, stats
from wasmguard.errors import UsageError
from wasmguard.guest.codec import packed

MOMENT = 1_795_330_000_000
ROOT = Path(__file__).parents[1]
CODE = f"""import sys; sys.path.insert(0, {str(ROOT)!r})
from wasmguard.cli_desk import FrontDesk
from wasmguard.cli_records import log
FrontDesk("wasmguard", sections={{"x": (log,)}}).main()"""


def body(place, effect="pass", tool="Bash"):
    fields = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": {"command": f"echo {place}"}}
    verdict = {"policy": "guard", "effect": effect, "reason": "no", "us": 1.0, "fuel": 5, "answer": bytes(16)}
    return {
        "v": 1,
        "id": place.to_bytes(10, "big"),
        "time": MOMENT + place,
        "kind": "decision",
        "agent": "claude",
        "event": "PreToolUse",
        "tool": tool,
        "session": "s1",
        "call": f"t{place}",
        "fields": fields,
        "inputs": "full",
        "effect": effect,
        "verdicts": [verdict],
        "us": 100.0,
    }


@pytest.fixture
def run(own_home):
    desk = FrontDesk("wasmguard", sections={"Records": (log, explain, stats)})

    def invoke(*words):
        return CliRunner().invoke(desk, [str(word) for word in words])

    return invoke


@pytest.fixture
def recorded(own_home):
    with spool.Spool() as waiting:
        for place in range(1, 31):
            waiting.append(packed(body(place, "deny" if place % 10 == 0 else "pass", "Read" if place % 3 else "Bash")))


def test_without_records_each_says_so(run):
    assert "there are no records yet" in run("log").stdout
    assert run("log").exit_code == 0
    assert run("explain").exit_code == 1
    assert "there are no records yet" in run("stats").stdout


def test_the_newest_come_last_and_there_are_twenty(run, recorded):
    lines = run("log").stdout.splitlines()
    numbers = [int(line.split()[1]) for line in lines if line[:1].isdigit() and " " in line]
    assert numbers == list(range(11, 31))
    assert len(run("log", "-n", "all").stdout.splitlines()) == 1 + 30 + 3
    assert run("log", "-n", "0").stdout == ""
    assert len(run("log", "-n", "2", "--json").stdout.splitlines()) == 2


def test_filters_are_all_obeyed(run, recorded):
    found = run("log", "-n", "all", "--effect", "deny", "--tool", "Read", "--policy", "guard", "--json").stdout
    assert [json.loads(line)["seq"] for line in found.splitlines()] == [10, 20]
    found = run("log", "--json", "--session", "s1", "--since", datetime.fromtimestamp(MOMENT / 1000).isoformat())
    assert len(found.stdout.splitlines()) == 20


def test_nothing_found_says_what_there_would_be(run, recorded):
    assert (
        "no record with tool `Wirte` among 30: tools with records are `Bash`, `Read`"
        in run("log", "--tool", "Wirte").stdout
    )
    assert "the last one is of" in run("log", "--since", "2040-01-01").stdout
    assert "tools with records are `Bash`, `Read`" in " ".join(run("stats", "--tool", "Wirte").stdout.split())
    assert "policies with records are `guard`" in " ".join(run("log", "--policy", "nobody").stdout.split())
    assert max(map(len, run("log", "--session", "x" * 40, "--tool", "Bash").stdout.splitlines())) <= 80
    assert run("log", "--tool", "Wirte", "--json").stdout == ""


def test_what_log_prints_is_the_record_for_programs(run, recorded):
    record = json.loads(run("log", "-n", "1", "--json").stdout)
    assert (record["seq"], len(record["hash"]), record["fields"]["tool_input"]) == (30, 64, {"command": "echo 30"})


def test_explain_and_stats_answer_people_and_programs(run, recorded):
    assert "Record 30: PreToolUse of Bash: denied" in run("explain").stdout
    assert json.loads(run("explain", "30", "--json").stdout)["seq"] == 30
    assert run("explain", "31").exit_code == 2
    assert json.loads(run("stats", "--json").stdout)["effects"] == {"pass": 27, "allow": 0, "ask": 0, "deny": 3}
    assert "27 passed" in run("stats").stdout
    assert json.loads(run("stats", "--shadow", "--json").stdout)["shadows"] == []


def test_the_page_is_written_whole_or_not_at_all(run, recorded, tmp_path):
    path = tmp_path / "report.html"
    assert run("stats", "--html", path).exit_code == 0
    assert "</html>" in path.read_text()
    done = run("stats", "--html", tmp_path)
    assert (done.exit_code, "cannot be written" in done.stderr) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "report.html"]


@pytest.mark.parametrize("word", ["", "h", "2", "2x", "-1h", "2026-13-01", "99999999d", "tomorrow", "9999999999"])
def test_what_is_no_time_is_refused(word):
    with pytest.raises(UsageError):
        Since().convert(word, None, None)


def test_times_are_local_and_in_the_past():
    now = datetime.now().timestamp() * 1000
    assert Since().convert("2h", None, None) == pytest.approx(now - 7_200_000, abs=60_000)
    assert Since().convert("2026-11-22", None, None) == datetime(2026, 11, 22).timestamp() * 1000
    assert Since().convert("2026-11-22T09:30", None, None) == datetime(2026, 11, 22, 9, 30).timestamp() * 1000
    assert now - 2 * 86_400_000 < Since().convert("today", None, None) <= now


@pytest.mark.parametrize("words", [["-n", "-1"], ["-n", "some"], ["--effect", "denied"], ["--since", "then"], ["more"]])
def test_wrong_usage_is_one_line(run, words):
    done = run("log", *words)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_that_closes_is_no_error(recorded, own_home):
    command = '"$0" -c "$1" log -n all --json | head -n 1'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, CODE], capture_output=True, timeout=60, check=False, env={**os.environ}
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (1, b"")


def test_following_shows_what_comes_and_ends_with_ctrl_c(recorded, own_home):
    import signal

    command = [sys.executable, "-c", CODE, "log", "-n", "1", "-f", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["seq"] == 30
        spool.append(packed(body(31)))
        assert json.loads(process.stdout.readline())["seq"] == 31
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip() == b""


def test_colour_is_for_terminals_only(run, recorded):
    assert "\x1b" not in run("log").stdout + run("explain").stdout + run("stats").stdout
