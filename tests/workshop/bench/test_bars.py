"""Drawings have the width that they were given, and what is there is seen."""

import pytest

from wasmguard.workshop.bench.bars import bar, distribution, parted


@pytest.mark.parametrize(
    ("part", "drawn", "simple"),
    [
        (0, "", ""),
        (0.001, "▏", "#"),
        (0.5, "██", "##"),
        (0.53, "██▏", "##"),
        (1, "████", "####"),
        (7, "████", "####"),
        (-1, "", ""),
    ],
)
def test_a_bar_is_as_long_as_its_part(part, drawn, simple):
    assert bar(part, 4) == drawn
    assert bar(part, 4, simple=True) == simple


def test_a_distribution_is_logarithmic_and_its_scale_holds_all():
    histogram = [[1, 80], [10, 40], [99, 1], [1_000, 8]]
    assert distribution(histogram, 1, 1_000, 6) == "█ ▄▁ ▁"
    assert distribution(histogram, 1, 1_000, 6, simple=True) == "# =. ."


def test_what_lies_outside_of_the_scale_is_drawn_at_its_ends():
    assert distribution([[0.1, 1], [10**6, 1]], 1, 1_000, 3) == "█ █"


def test_a_distribution_without_width_is_drawn_all_the_same():
    assert distribution([[5, 9]], 5, 5, 3) == "█  "
    assert distribution([], 1, 10, 3) == "   "


def test_the_parts_of_a_whole_fill_its_columns():
    assert parted([1, 1, 1], 10) == [4, 3, 3]
    assert parted([0, 61, 3, 0.1], 16) == [0, 15, 1, 0]
    assert parted([0, 0], 5) == [0, 0]
    assert parted([], 5) == []
