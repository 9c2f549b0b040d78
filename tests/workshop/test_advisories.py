"""Versions as they compare, and which advisories concern them."""

import pytest

from wasmguard.workshop.advisories import AS_OF, OLDEST, TABLE, concerning, numbers


@pytest.mark.parametrize(
    ("version", "read"),
    [("50.0.1", (50, 0, 1)), ("50.0.2rc1", (50, 0, 2)), ("51", (51,)), ("50.0.1.post2", (50, 0, 1)), ("dev", ())],
)
def test_a_version_is_its_numbers(version, read):
    assert numbers(version) == read


@pytest.mark.parametrize("advisory", TABLE, ids=lambda advisory: advisory.name)
def test_an_advisory_concerns_what_came_before_its_fix_and_nothing_after(advisory):
    fixed = ".".join(map(str, advisory.fixed))
    assert advisory in concerning("50.0.0")
    assert advisory not in concerning(fixed)
    assert advisory.fixed > OLDEST
    assert advisory.published <= AS_OF
