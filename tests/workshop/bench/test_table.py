"""What is printed fits 80 columns, in any locale, says what was measured, and obeys nobody's name."""

import copy
import fcntl
import io
import json
import os
import re
import struct
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from wasmguard.workshop.bench.table import console_for, tell

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def document():
    return copy.deepcopy(SAMPLE)


@pytest.fixture
def default(document):
    """A run as it is by default: seven policies, one path."""
    rows = {row["subject"]: row for row in document["rows"] if row["path"] == "cell"}
    sizes = {row["subject"]: row for row in document["sizes"]["rows"]}
    names = [f"policy-{number}" for number in range(7)]
    document["policies"] = [{**document["policies"][0], "name": name} for name in names]
    for of, into in ((rows, document), (sizes, document["sizes"])):
        alone = [{**of["tool-gate"], "subject": name, "id": f"cell/{name}"} for name in names]
        into["rows"] = [of["null policy"], *alone, of["chain"]]
    document["machine"]["warnings"], document["missing"] = [], []
    return document | dict.fromkeys(("check", "compare", "adversarial"))


def told(document, stream=None):
    stream = stream or io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    tell(document, console_for(stream))
    return stream.buffer.getvalue().decode(stream.encoding)


def section(said, title):
    """The lines of a section, without its title."""
    return next(part for part in said.split("\n\n") if part.startswith(title)).splitlines()[1:]


def terminal(columns):
    """A terminal that wide: its own end of it, and what was written to it when it is closed."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return master, open(slave, "w", encoding="utf-8", newline="")


def at_terminal(document, columns, **given):
    master, stream = terminal(columns)
    said = b""
    with stream:
        console = console_for(stream, **given)
        with console.capture() as captured:
            tell(document, console)
        said = captured.get()
    os.close(master)
    return said


def test_no_line_is_wider_than_80_columns(document, default):
    for one in (document, default):
        assert max(map(cell_len, told(one).splitlines())) <= 80


def test_no_line_ends_with_blanks(document):
    assert not [line for line in told(document).splitlines() if line != line.rstrip()]


def test_a_default_run_is_seen_at_a_glance(default):
    assert len(told(default).splitlines()) <= 42


def test_the_answer_comes_first_and_then_where_it_was_measured(document):
    document |= dict.fromkeys(("check", "compare"))
    lines = told(document).splitlines()
    assert lines[0].startswith("a call costs ")
    assert "AMD EPYC" in lines[2]
    assert "2 of 4 cores" in lines[2]
    assert "17 events of builtin:mix" in " ".join(lines[2:5])
    assert "! governor is `powersave`" in " ".join(lines[3:6])


def test_each_policy_has_a_line_with_its_times(document):
    row = next(row for row in document["rows"] if row["id"] == "cell/tool-gate")
    row |= {
        "min": 72.84,
        "median": 95.21,
        "low": 93.3,
        "high": 99.0,
        "p90": 112.4,
        "p99": 1_140,
        "p999": 12_566,
        "max": 6e6,
    }
    row |= {"per_second": 10_126.2}
    lines = section(told(document), "Time of a decision, us: cell")
    assert lines[0].split() == ["policy", "min", "p50", "+/-", "p90", "p99", "p99.9", "max", "per", "s"]
    line = next(line for line in lines if line.startswith("tool-gate"))
    assert line.split()[1:10] == ["72.8", "95.2", "4", "%", "112", "1,140", "13ms", "6.0s", "10,126"]
    assert "█" in line


def test_numbers_end_in_the_same_column(document):
    lines = section(told(document), "Time of a decision, us: cell")
    ends = {line.index(line.split()[1]) + len(line.split()[1]) for line in lines if not line.startswith("null")}
    assert len(ends) == 1


def test_what_is_no_figure_at_all_is_not_told_as_one(document):
    row = next(row for row in document["rows"] if row["id"] == "cell/tool-gate")
    row |= {"median": 100.0, "low": 90.0, "high": 223.0}
    line = next(
        line for line in section(told(document), "Time of a decision, us: cell") if line.startswith("tool-gate")
    )
    assert line.split()[3] == ">99%"


def test_slow_decisions_are_told_in_milliseconds(document):
    lines = section(told(document), "Time of a decision, ms: from outside")
    assert [line.split()[0] for line in lines[1:]] == ["serve", "daemon", "daemon", "http", "native-client"]


def test_too_few_times_have_no_percentiles_and_too_few_rounds_no_interval(document):
    row = next(row for row in document["rows"] if row["id"] == "cell/tool-gate")
    row |= {"n": 99, "low": None, "high": None}
    line = next(
        line for line in section(told(document), "Time of a decision, us: cell") if line.startswith("tool-gate")
    )
    assert [line.split()[place] for place in (3, 5, 6)] == ["-", "-", "-"]


def test_fuel_is_told_with_its_share_of_the_limit(document):
    policy = document["policies"][1]
    policy["fuel"] |= {"min": 12_987, "median": 13_174.5, "max": 1_186_447}
    policy["used"]["fuel"] = 0.0593
    said = told(document)
    lines = section(said, "Fuel and sizes, exact")
    assert "limits: 20 M fuel, 16 MiB memory, 4 MiB module, 100 ms" in said
    assert "of 20 M" in lines[0]
    line = next(line for line in lines if line.startswith("tool-gate"))
    assert " ".join(line.split()).startswith("tool-gate 12,987 13,174 1.19 M 5.9 % 192 KiB 31 KiB 112 ms 500 us")


def test_limits_that_differ_are_told_each(document):
    document["policies"][1]["limits"] = {**document["policies"][1]["limits"], "fuel": 100_000_000}
    said = told(document)
    assert "limits of tool-gate: 100 M fuel, 16 MiB memory" in said
    assert "limits of path-redirect, sensitive-paths: 20 M fuel" in said
    assert section(said, "Fuel and sizes")[0].split()[5] == "share"  # of which limit is another for each


def test_a_policy_that_was_asked_nothing_has_no_fuel(document):
    document["policies"][0]["fuel"] |= {"min": None, "median": None, "max": None}
    document["policies"][0]["memory"] = None
    line = next(line for line in section(told(document), "Fuel and sizes") if line.startswith("path-redirect"))
    assert line.split()[1:6] == ["-"] * 5


def test_faults_are_told(document):
    document["policies"][0]["effects"] |= {"pass": 1, "fault": 2}
    assert "! path-redirect: 2 of 9 events ended in a fault" in told(document)


def test_where_the_time_goes_is_a_bar_of_words(document):
    document["policies"][1]["split"] = dict.fromkeys(("encode", "instantiate", "evaluate", "decode", "gate"), 1.0) | {
        "carry": None
    }
    lines = section(told(document), "Where the time of a decision goes")
    line = next(line for line in lines if line.startswith("tool-gate"))
    assert line.split()[1:7] == ["1.00"] * 5 + ["-"]
    assert re.fullmatch("e+i+v+d+g+", line.split()[7])


def test_of_many_policies_the_mean_is_told(default):
    lines = section(told(default), "Where the time of a decision goes")
    assert [line[:9] for line in lines[1:]] == ["mean of 7", "  gate: e"]


def test_three_sizes_are_a_table(document):
    lines = section(told(document), "By the size of a Write")
    assert lines[0].split() == ["policy", "0.5", "kB", "5", "kB", "50", "kB", "500", "kB", "5", "MB"]
    document["sizes"]["rows"].reverse()
    lines = section(told(document), "By the size of a Write")
    assert (lines[1][:4], lines[-1][:5]) == ("null", "chain")
    document["sizes"]["events"]["list"][2:] = document["sizes"]["events"]["list"][:1] * 3
    assert "By the size of" not in told(document)


def test_sizes_among_the_events_of_the_run_are_a_table_too(document):
    document["sizes"] = None
    head = section(told(document), "By the size of a Write")[0]
    assert head.split() == ["policy", "508", "B", "5", "kB", "50", "kB"]


def test_the_scale_of_a_distribution_ends_where_there_is_more_than_one(document):
    rows = [row for row in document["rows"] if row["path"] == "cell"]
    for row in rows:
        row |= {"min": 70.0, "n": 500, "p99": 300.0, "p999": 9e6}
    assert "70.0 to 300 us, log" in told(document)
    rows[0] |= {"n": 1_000, "p999": 1_570.0}
    assert "70.0 us to 1.57 ms, log" in told(document)


def test_each_path_stands_beside_its_floor(document):
    rows = {row["id"]: row for row in document["rows"]}
    rows["native-client/chain"]["median"], rows["floor//bin/true"]["median"] = 1_800.0, 1_100.0
    lines = section(told(document), "By path")
    assert re.search(r"native-client +1.80 ms +\S+ ms /bin/true +1.1 ms 1.6 x +700 us", "\n".join(lines))


def test_a_path_without_a_floor_is_told_all_the_same(document):
    for row in document["rows"]:
        row["floor"] = "floor/of nobody"
    assert all(line.split()[-1] == "-" for line in section(told(document), "By path")[1:-1])


def test_others_are_listed_by_their_time(document):
    rows = {row["subject"]: row for row in document["rows"]}
    rows["extism 1.1.1"]["median"] = 0.01
    lines = section(told(document), "Compared with others")
    assert lines[1].startswith("extism 1.1.1")
    assert any(line.startswith("wasmguard: cell ") for line in lines)


def test_ours_are_not_listed_twice(document):
    document["rows"].append({**document["rows"][-1], "subject": "wasmguard, no daemon", "kind": "ours"})
    assert "wasmguard: cell" not in told(document)


def test_a_wide_terminal_has_room_for_remarks(document):
    assert "a plain function, no sandbox" not in told(document)
    assert "a plain function, no sandbox" in at_terminal(document, 120)


def test_a_check_says_what_failed(document):
    said = told(document)
    assert "FAILED  fuel of tool-gate to Bash: 11,902 to " in said
    assert "FAILED  time of cell/sensitive-paths" in said
    assert "FAILED  something got worse" in said


def test_a_check_that_went_well_says_ok_and_what_changed(document):
    document["check"] |= {"ok": True, "answers": [{"policy": "tool-gate", "event": "Bash"}]}
    document["check"]["fuel"] = [{"policy": "a", "event": "Bash", "before": 10, "after": 9, "change": -0.1}]
    nothing = dict.fromkeys(("before", "after", "ratio", "low", "high"))
    document["check"]["time"] = [{"id": "cell/a", **nothing, "verdict": "noise", "why": "it was not measured"}]
    said = "\n".join(section(told(document), "Checked against figures.json"))
    assert "FAILED" not in said
    assert "ok      nothing got worse" in said
    assert "changed fuel of a to Bash: 10 to 9 (-10.0 %)" in said


def test_much_of_one_kind_is_counted(document):
    document["check"]["answers"] = [{"policy": "a", "event": f"e{number}"} for number in range(40)]
    said = told(document)
    assert "e11" in said
    assert "e12" not in said
    assert "28 more: see --json" in said


def test_versions_are_compared(document):
    document["compare"]["time"].append(
        {"path": "serve", "ratio": None, "low": None, "high": None, "verdict": "no difference"}
    )
    document["compare"]["fuel"].append({"event": "Stop", "before": None, "after": 7})
    document["compare"]["memory"] = [None, 65_536]
    lines = section(told(document), "builtin:tool-gate compared with builtin:path-redirect")
    assert "  time of library: slower, 1.098 x (1.081 to 1.117)" in lines
    assert "  time of serve: no difference beyond noise" in lines
    assert lines[0] == "  above builtin:path-redirect is path-redirect, builtin:tool-gate is tool-gate"
    assert re.search(r"  fuel \+63.8 % to \+121.6 %, 9 events", "\n".join(lines))
    assert "  module 14 KiB to 31 KiB; memory - to 64 KiB" in lines


def test_of_two_versions_the_verdict_comes_first_and_not_what_both_cost_together(document):
    document["check"] = None
    document["policies"][0]["module"], document["policies"][1]["module"] = "old.wasm", "new.wasm"
    document["compare"]["fuel"] = [{"event": "Bash", "before": 100, "after": 110}]
    said = " ".join(told(document).splitlines()[:4])
    assert said.startswith(
        "new.wasm against old.wasm: slower by `library`, no difference beyond noise by `cell`; fuel +10.0 % "
    )
    assert "a call costs" not in said
    document["policies"][0]["module"] = "new.wasm"
    assert told(document).startswith("tool-gate against path-redirect: ")


def test_versions_that_were_not_timed_alike_cannot_be_told(document):
    document["compare"] |= {"time": [], "fuel": [{"event": "Bash", "before": None, "after": 9}]}
    said = told(document)
    assert "time cannot be told; fuel cannot be told" in " ".join(said.split())
    document["compare"]["fuel"] = [{"event": "Bash", "before": 9, "after": 9}]
    assert "fuel the same, 1 events" in told(document)


def test_a_check_comes_to_one_sentence_at_the_top(document):
    document["compare"] = None
    document["check"]["fuel"].append({"policy": "a", "event": "Write", "before": 10, "after": 12, "change": 0.2})
    said = " ".join(told(document).splitlines()[:3])
    assert said.startswith(
        "something got worse since figures.json: a burns +20.0 % fuel at Write, "
        "cell/sensitive-paths takes 1.1 x its time, 1 more below"
    )
    document["check"] |= {"ok": True, "fuel": [], "time": [], "answers": []}
    assert told(document).startswith("nothing got worse since figures.json in fuel; times cannot be compared\n")


def test_a_time_that_drowns_in_noise_is_called_neither_the_same_nor_slower(document):
    document["check"] |= {"ok": True, "fuel": [], "answers": []}
    document["compare"] = None
    document["check"]["time"] = [one for one in document["check"]["time"] if one["verdict"] != "slower"]
    said = told(document)
    first = "nothing got worse since figures.json, as far as can be told: 1 of 3 times drown in noise"
    assert " ".join(said.splitlines()[:2]).startswith(first)
    lines = section(said, "Checked against figures.json")
    assert lines[:2] == ["  ok      fuel is the same for all events", "  ok      times, of 3: 2 the same"]
    assert lines[2].startswith("  unsure  time of cell/tool-gate: 93.2 us to 95.2 us, 1.021 x")


def test_who_was_not_asked_as_a_hook_is_told_what_comes_on_top(document, default):
    said = "a call that comes by a hook also takes its process"
    assert said not in told(copy.deepcopy(SAMPLE) | {"compare": None})
    assert said in told(default)


def test_a_run_that_was_stopped_before_its_parts_were_known_is_told(document):
    for policy in document["policies"]:
        del policy["split"]
    assert "Where the time" not in told(document)


def test_crafted_inputs_are_told_with_who_did_not_stand(document):
    lines = section(told(document), "Inputs that an agent could craft")
    line = next(line for line in lines if line.startswith("1 MB in quotes"))
    assert line.split()[4:] == ["1", "MB", "9.1", "100", "tool-gate", "FAILED"]
    assert lines[1].split()[-1] == "ok"
    said = " ".join(" ".join(lines).split())
    assert "FAILED 1 MB in quotes, tool-gate: deny became pass: looser than `deny` on the plain input" in said


def test_of_each_crafted_input_whoever_took_most_of_its_time_is_told(document):
    one = document["adversarial"][0]
    document["adversarial"].append({**one, "policy": "other", "milliseconds": 99.0})
    document["adversarial"].append({**one, "policy": "another", "milliseconds": 120.0, "bound": 1_000.0})
    line = section(told(document), "Inputs that an agent could craft")[1]
    assert line.split()[-4:] == ["99", "100", "other", "ok"]


def test_an_open_loop_says_what_it_reached(document):
    row = next(row for row in document["rows"] if row["id"] == "cell/chain")
    row["rate"] = {"asked": 5_000.0, "reached": 4_012.3, "late": 0.21}
    said = told(document)
    assert "chain: 5,000 a second asked, 4,012 reached, 21 % began more than 1 ms late" in said
    line = next(line for line in section(said, "Time of a decision, us: cell") if line.startswith("chain"))
    assert " 4,012 " in line  # and not one by the time that it takes, in which it waits


def test_what_is_missing_is_told(document):
    assert "not measured: `nah`: not installed" in told(document)


def test_an_interrupted_run_says_so_and_tells_what_there_is(document):
    document |= {"complete": False, "policies": [], "rows": [], "missing": []}
    document |= dict.fromkeys(("measuring", "sizes", "check", "compare", "adversarial"))
    document["machine"] |= {"load_before": [], "load_after": [], "busy": None, "virtual": None, "memory": None}
    said = told(document)
    assert said.startswith("nothing was measured\n")
    assert "stopped before its end" in said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (None, None, "measuring costs 88 ns a decision, 0.1 % of the null policy min"),
        (-0.19, 0.13, "null policy; blocks with a clock took -19.0 % to +13.0 % longer than blocks without"),
    ],
)
def test_what_measuring_costs_is_told_with_its_noise(document, low, high, said):
    document["measuring"] |= {"low": low, "high": high}
    assert said in " ".join(told(document).split())


def named(document, name):
    """*document*, where everything that somebody else names has that name."""
    for policy in document["policies"]:
        policy["name"] = name
    for row in document["rows"] + document["sizes"]["rows"]:
        row["subject"] = row["about"] = name
    for entry in document["check"]["fuel"] + document["check"]["answers"] + document["adversarial"]:
        entry["policy"] = name
    document["compare"] |= {"before": name, "after": name}
    document["events"]["source"] = document["missing"][0] = document["machine"]["processor"] = name
    return document


def test_names_are_no_markup(document):
    assert told(named(document, "[red]x[/]")).count("[red]x[/]") > 30


def test_names_steer_no_terminal(document):
    said = told(named(document, "\x1b[31ma\x07\r\nb\u202e"))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", said)


@pytest.mark.parametrize("name", ["名前" * 40, "x" * 300, "e\u0301" * 90], ids=["wide", "long", "marks"])
def test_long_and_wide_names_break_no_line(document, name):
    assert max(map(cell_len, told(named(document, name)).splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_cannot_say_bars_gets_others(document, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    said = told(named(document, "名é"), stream)
    assert "####" in said
    assert "?" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_pipe_gets_plain_text_even_if_colours_are_forced(document, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    said = told(document)
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) == 80


def test_a_terminal_gets_colours(document):
    said = at_terminal(document, 80)
    assert "\x1b[1;31mFAILED" in said


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(document, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert "\x1b" not in at_terminal(document, 80)


def test_a_caller_may_want_no_colours(document):
    assert "\x1b" not in at_terminal(document, 80, no_color=True)


@pytest.mark.parametrize(("columns", "width"), [(40, 80), (80, 80), (132, 132), (0, 80)])
def test_it_is_as_wide_as_its_terminal_and_never_narrower_than_80(columns, width):
    master, stream = terminal(columns)
    with stream:
        assert console_for(stream).width == width
    os.close(master)


def test_a_wide_terminal_shows_whole_names(document):
    name = "a-policy-with-a-name-of-40-characters-xx"
    assert name not in section(told(named(document, name)), "Fuel and sizes")[1]
    said = at_terminal(named(document, name), 132, no_color=True)
    assert section(said, "Fuel and sizes")[1].startswith(name)
    assert max(map(cell_len, said.splitlines())) <= 132
