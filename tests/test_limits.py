"""Tests for the limits: profiles are ordered, and none exceeds what may be had at all."""

import pytest

from wasmguard import limits
from wasmguard.limits import DEFAULT, HARD_MAX, MIB, PROFILES, ROOMY, TIGHT, Limits

EVERY_LIMIT = list(DEFAULT.as_dict())


@pytest.mark.parametrize("name", EVERY_LIMIT)
def test_every_limit_is_a_positive_whole_number(name):
    for profile in (*PROFILES.values(), HARD_MAX):
        assert type(getattr(profile, name)) is int
        assert getattr(profile, name) > 0


@pytest.mark.parametrize("name", EVERY_LIMIT)
def test_profiles_are_ordered_and_within_the_hard_maximum(name):
    assert getattr(TIGHT, name) <= getattr(DEFAULT, name) <= getattr(ROOMY, name) <= getattr(HARD_MAX, name)


def test_profiles_are_found_by_the_names_that_owners_write():
    assert PROFILES == {"tight": TIGHT, "default": DEFAULT, "roomy": ROOMY}
    assert Limits() == DEFAULT


def test_no_stack_can_be_asked_for_that_ends_the_process():
    assert HARD_MAX.stack <= 1 * MIB  # the engine aborts above its async stack of 2 MiB


def test_every_default_runs_the_largest_measured_guest():
    assert DEFAULT.table_elements >= 6_243  # Go
    assert DEFAULT.fuel >= 1_800_000  # JavaScript, a small event
    assert (ROOMY.memories, ROOMY.instances) >= (3, 31)  # components of JavaScript and Python


def test_the_longest_texts_fit_into_an_answer():
    texts = limits.REASON + limits.CONTEXT + limits.NOTES * limits.NOTE
    assert texts < DEFAULT.answer


def test_a_compile_bomb_is_refused_within_ten_seconds_by_default():
    assert DEFAULT.compile_wall < 10


def test_integers_are_safe_up_to_what_a_double_counts():
    assert float(limits.SAFE_INTEGER) + 1 == float(limits.SAFE_INTEGER)
    assert float(limits.SAFE_INTEGER - 1) + 1 == limits.SAFE_INTEGER
