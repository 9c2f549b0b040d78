"""The text for Prometheus."""

import re

from wasmguard.serve import metrics
from wasmguard.serve.board import Board

LINE = re.compile(r'(# (HELP|TYPE) wasmguard_\w+ .+|wasmguard_\w+(\{\w+="[^"]*"\})? [0-9.e+-]+)')


def test_every_line_is_a_sample_or_about_one_and_each_is_typed_once():
    text = metrics.text(Board(2))
    lines = text.splitlines()
    assert text.endswith("\n")
    assert all(LINE.fullmatch(line) for line in lines)
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(typed)) == len(typed)
    for line in lines:
        if not line.startswith("#"):
            name = re.match(r"\w+", line)[0]
            assert name in typed or re.sub("_(bucket|sum|count)$", "", name) in typed


def test_the_histogram_counts_what_is_below_each_bound():
    board = Board(2)
    for seat, microseconds in zip(board.seats, (3.0, 300.0), strict=True):
        seat.event("deny", microseconds, rewrote=False, faulted=False)
    samples = dict(line.rsplit(" ", 1) for line in metrics.text(board).splitlines() if line[0] != "#")
    buckets = {float(name.split('"')[1]): int(n) for name, n in samples.items() if "_bucket" in name}
    assert sorted(buckets.values()) == list(buckets.values())
    assert {bound: n for bound, n in buckets.items() if n == 0} == {2e-6: 0}
    assert {n for bound, n in buckets.items() if 4e-6 <= bound < 300e-6} == {1}
    assert {n for bound, n in buckets.items() if bound > 400e-6} == {2}
    assert samples["wasmguard_decision_seconds_count"] == "2"
    assert float(samples["wasmguard_decision_seconds_sum"]) == 303e-6
    assert samples['wasmguard_events_total{effect="deny"}'] == "2"
