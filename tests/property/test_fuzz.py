"""A short run of `benchmarks/fuzz.py`: nothing escapes, and what would escape is noticed."""

import os

import pytest

from wasmguard.errors import OutsideGrant
from wasmguard.guest.codec import Answer
from wasmguard.guest.grants import Grants, answered


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("paths", {"accepted": 0.1, "refused": 0.1}),
        ("answers", {"refused": 0.1, "decoded, then a fault": 0.1, "accepted": 0.1, "rewritten": 0.005}),
        ("texts", {"whole": 0.1, "cut": 0.1}),
    ],
)
def test_nothing_escapes_and_nothing_is_left_untried(fuzz, kind, outcomes):
    total, violations = fuzz.fuzzed(kind, 20_000, seed=7, workers=1)
    assert violations == []
    assert total.outcomes.total() == 20_000
    assert {name: total.outcomes[name] / 20_000 > least for name, least in outcomes.items()} == dict.fromkeys(
        outcomes, True
    )


def below(path, root):
    """Whether *path* looks as if it lay below *root*, as one would write it first."""
    if type(path) is not str or not path.isprintable() or not os.path.normpath(path).startswith(f"{root}/"):
        raise OutsideGrant("no")


def believed(data):
    """An answer that is read as one would write it first."""
    from msgpack import unpackb

    return Answer(**unpackb(data))


def wished(_policy, answer, event, _grants):
    """A verdict that takes every rewrite for granted."""
    said = answered("p", answer.replaced(rewrite=None, permissions=(), state=None), event, Grants())
    return said.replaced(rewrite={**event.input, **answer.rewrite} if answer.rewrite else None)


@pytest.mark.parametrize(
    ("kind", "name", "naive"),
    [
        ("paths", "check_within", below),
        ("paths", "check_within", lambda path, root: None),
        ("answers", "decode_answer", believed),
        ("answers", "answered", wished),
        ("texts", "one_line", lambda text, cap: text[:cap]),
        ("texts", "lines", lambda text, cap: text.replace("\x1b", "")[:cap]),
        ("texts", "quoted", lambda text: f'"{text}"'),
    ],
)
def test_a_rule_that_does_not_hold_is_found(fuzz, monkeypatch, kind, name, naive):
    monkeypatch.setattr(fuzz, name, naive)
    _, violations = fuzz.fuzzed(kind, 3_000, seed=7, workers=1)
    assert len(violations) == 1
    assert violations[0].startswith("seed 7, part 0: ")


def test_the_same_seed_tries_the_same(fuzz):
    first, second = (fuzz.fuzzed("answers", 500, seed=3, workers=1)[0].outcomes for _ in range(2))
    assert first == second != fuzz.fuzzed("answers", 500, seed=4, workers=1)[0].outcomes
