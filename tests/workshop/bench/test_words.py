"""Numbers are said with the digits that mean something, and what a call costs in one sentence."""

import copy
import json
from pathlib import Path

import pytest

from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.variant import CHAIN, OURS, PEER, POLICY

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))


@pytest.fixture
def document():
    return copy.deepcopy(SAMPLE)


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (0, "0 us"),
        (0.088, "88 ns"),
        (0.82, "0.82 us"),
        (9.7, "9.70 us"),
        (9.96, "9.96 us"),
        (9.996, "10.0 us"),
        (24.83, "24.8 us"),
        (181.2, "181 us"),
        (999.4, "999 us"),
        (999.6, "1.00 ms"),
        (1_180, "1.18 ms"),
        (24_800, "24.8 ms"),
        (3_100_000, "3.10 s"),
        (3_600_000_000, "3,600 s"),
        (-212, "-212 us"),
    ],
)
def test_times_have_three_digits_and_the_unit_that_suits(us, said):
    assert words.time(us) == said


@pytest.mark.parametrize(("us", "said"), [(400, "400 us"), (1_120, "1.1 ms"), (71_000, "71 ms"), (684_300, "684 ms")])
def test_fewer_digits_never_cut_what_is_before_the_point(us, said):
    assert words.time(us, 2) == said


@pytest.mark.parametrize(
    ("low", "high", "said"), [(175, 190, "175 to 190 us"), (960, 1_100, "960 us to 1.10 ms"), (8, 8, "8.00 to 8.00 us")]
)
def test_an_interval_says_its_unit_once_if_it_has_one(low, high, said):
    assert words.within(low, high) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(512, "512 B"), (65_536, "64 KiB"), (1_179_648, "1.1 MiB"), (16 * 2**20, "16 MiB"), (2**31, "2 GiB")],
)
def test_memory_is_said_in_the_units_of_its_limits(number, said):
    assert words.size(number) == said


@pytest.mark.parametrize(
    ("number", "said"), [(508, "508 B"), (5_120, "5.1 kB"), (51_200, "51 kB"), (5_000_000, "5 MB")]
)
def test_events_are_said_in_the_units_of_their_names(number, said):
    assert words.payload(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "-"), (0, "0"), (11_902, "11,902"), (999_999, "999,999"), (1_280_000, "1.28 M"), (20_000_000, "20 M")],
)
def test_fuel_keeps_all_digits_below_a_million(number, said):
    assert words.fuel(number) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.002, "0.2 %"),
        (0.31, "31 %"),
        (1, "100 %"),
        (-0.0009, "-0.1 %"),
        (25, "2,500 %"),
    ],
)
def test_shares_are_said_in_percent(part, said):
    assert words.share(part) == said


@pytest.mark.parametrize(("part", "said"), [(0.101, "+10.1 %"), (-0.03, "-3.0 %"), (0, "+0.0 %")])
def test_changes_have_their_sign(part, said):
    assert words.change(part) == said


@pytest.mark.parametrize(("number", "said"), [(1.62, "1.6 x"), (0.25, "0.25 x"), (37.2, "37 x"), (1_234, "1,234 x")])
def test_ratios_have_two_digits(number, said):
    assert words.ratio(number) == said


def test_names_cannot_steer_a_terminal():
    assert words.name("a\x1b[31m\nb") == "a\ufffd[31m b"


def test_many_names_are_counted():
    evil = "b\x1b[31m"
    assert words.listed(["a", evil]) == f"`a`, `{words.name(evil)}`"
    assert words.listed(list("abcdefg")) == "`a`, `b`, `c`, `d`, `e` and 2 more"


def test_our_places_among_the_others_are_ours():
    assert all(words.ours({"kind": kind}) for kind in (CHAIN, POLICY, OURS))
    assert not words.ours({"kind": PEER})


def test_the_sentence_says_what_all_policies_cost_as_most_people_run_them(document):
    chain = next(row for row in document["rows"] if row["id"] == "cell/chain")
    next(row for row in document["rows"] if row["id"] == "native-client/chain")["median"] = 1_800
    chain |= {"median": 181.2, "low": 175.4, "high": 190.1, "p99": 240.4}
    assert words.told_briefly(document) == (
        "a call costs 181 us at the median (175 to 190), 240 us at the 99th percentile, for 3 policies; "
        "1.80 ms with the process of a hook, by `native-client`"
    )


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ({"daemon", "serve"}, "; 14.0 ms with the process of a hook, by `daemon`"),
        ({"serve"}, "; 25.0 ms with the process of a hook, by `serve`"),
        ({"http"}, ""),
    ],
)
def test_a_hook_is_told_by_the_best_client_that_was_measured_and_no_round_trip_is_one(document, paths, told):
    rows = [row for row in document["rows"] if row["path"] in {"cell", *paths}]
    document["rows"] = sorted(rows, key=lambda row: row["subject"] != words.ROUND_TRIP)
    for row in rows:
        row["median"] = {"daemon/chain": 14_000, "serve/chain": 25_000}.get(row["id"], row["median"])
    assert words.told_briefly(document).endswith(f"for 3 policies{told}")


def test_the_sentence_says_units_that_differ(document):
    chain = next(row for row in document["rows"] if row["id"] == "cell/chain")
    chain |= {"median": 1_010, "low": 960, "high": 1_100, "p99": 2_400}
    said = words.told_briefly(document)
    assert said.startswith("a call costs 1.01 ms at the median (960 us to 1.10 ms), 2.40 ms at")


def test_the_sentence_names_another_path_a_rate_and_leaves_out_what_is_not_known(document):
    document["rows"] = [row for row in document["rows"] if row["id"] == "serve/chain"]
    document["rows"][0] |= {"median": 24_800, "low": None, "high": None, "n": 99}
    document["rows"][0]["rate"] = {"asked": 500.0, "reached": 495.0, "late": 0.1}
    assert words.told_briefly(document) == (
        "a call costs 24.8 ms at the median, for 3 policies, by the path `serve`, at 500 a second"
    )


def test_more_than_can_be_decided_is_told(document):
    row = next(row for row in document["rows"] if row["id"] == "cell/chain")
    row["rate"] = {"asked": 50_000.0, "reached": 6_001.2, "late": 1.0}
    said = words.told_briefly(document)
    assert "at 50,000 a second, which is too many: 6,001 a second were decided" in said


def test_the_sentence_is_about_the_only_policy(document):
    document["policies"] = document["policies"][:1]
    document["rows"] = [row for row in document["rows"] if row["subject"] in ("null policy", "path-redirect")]
    assert words.told_briefly(document).endswith("for 1 policy")
    assert words.headline(document)["id"] == "cell/path-redirect"


def test_nothing_is_said_of_a_run_that_measured_nothing(document):
    document["rows"] = []
    assert words.told_briefly(document) == "nothing was measured"
    assert words.headline(document) is None
    for policy in document["policies"]:
        policy["effects"] = dict.fromkeys(policy["effects"], 0)
    assert words.told_briefly(document) == "nothing was measured: no policy is asked about any of these events"
    assert words.told_briefly(document | {"complete": False}) == "nothing was measured"
