"""The demo: three recorded calls, three outcomes, nothing left behind."""

import os

from wasmguard.workshop.demo import WIDTH, demonstration


def shown():
    return list(demonstration())


def test_one_call_is_denied_one_rewritten_one_passed():
    outcomes = [style for style, _ in shown() if style in ("deny", "rewrite", "pass")]
    assert outcomes == ["deny", "rewrite", "pass"]


def test_before_and_after_of_the_rewrite_are_shown():
    lines = dict(line for line in shown() if line[0] in ("old", "new"))
    assert lines == {
        "old": "      - file_path: /etc/cron.d/backup",
        "new": "      + file_path: /sandbox/etc/cron.d/backup",
    }


def test_every_verdict_shows_policy_microseconds_and_fuel():
    text = "\n".join(line for _, line in shown())
    for word in ("no-destruction", "sandbox-writes", " us ", " fuel", "asked again"):
        assert word in text


def test_lines_fit_eighty_columns():
    assert [line for _, line in shown() if len(line) > WIDTH] == []


def test_it_leaves_nothing_behind(own_home):
    before = dict(os.environ)
    shown()
    assert not own_home.exists()
    assert dict(os.environ) == before
