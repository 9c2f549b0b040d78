"""Scales have round labels that do not touch, names are cut in their middle, and text stays text."""

import random
import re
from itertools import pairwise

import pytest

from wasmguard.workshop.bench import page_style as style
from wasmguard.workshop.bench.svg import (
    Plot,
    Row,
    Scale,
    anchor,
    bar,
    cut,
    escaped,
    in_rows,
    label,
    listed,
    percent,
    tag,
)


def test_text_is_escaped_in_elements_and_attributes():
    said = tag("text", escaped("<b>&\"'"), title='"><script>')
    assert said == '<text title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;&quot;&#x27;</text>'


def test_attributes_without_a_value_are_left_out():
    assert tag("rect", class_=None, stroke_width=2) == '<rect stroke-width="2"/>'


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([85, 239], 50, 500), ([3, 4000], 2, 5000), ([7], 2, 20), ([], 0.5, 2), ([0, -1, 30], 10, 100)],
)
def test_a_logarithmic_scale_ends_at_round_values(values, low, high):
    scale = Scale.around(values, log=True)
    assert (pytest.approx(scale.low), pytest.approx(scale.high)) == (low, high)


def test_every_value_has_a_place_within_the_scale_that_was_made_around_it():
    chance = random.Random(7)
    for _ in range(300):
        values = [10 ** chance.uniform(-4, 22) for _ in range(chance.randint(1, 9))]
        for log in (True, False):
            scale = Scale.around(values, log=log)
            assert scale.low <= min(values) * 1.0001
            assert max(values) <= scale.high * 1.0001
            assert all(0 <= scale.place(value) <= 1 for value in values)
            assert sorted(map(scale.place, values)) == [scale.place(value) for value in sorted(values)]


def test_labels_are_few_and_do_not_touch_on_a_phone():
    """328 px wide, 12 px letters: a label of 7 of them takes about 50 px."""
    chance = random.Random(8)
    for _ in range(300):
        scale = Scale.around([10 ** chance.uniform(-3, 12) for _ in range(3)], log=True)
        places = [scale.place(value) for value in scale.ticks()]
        assert 2 <= len(places) <= 7
        assert places == sorted(places)
        boxes = []
        for place in places:
            start = {"start": 0, "middle": 25, "end": 50}[anchor(place)]
            boxes.append((place * 328 - start, place * 328 - start + 50))
        assert all(left[1] < right[0] + 2 for left, right in pairwise(boxes))


def test_a_linear_scale_begins_at_nothing():
    scale = Scale.around([3, 18])
    assert (scale.low, scale.high, scale.ticks()) == (0, 20, [0, 5, 10, 15, 20])


def test_what_has_no_logarithm_stands_at_the_lower_end():
    scale = Scale.around([1, 1000], log=True)
    assert scale.place(0) == scale.place(-5) == 0


def test_a_long_name_keeps_both_ends():
    assert cut("short", 30) == "short"
    assert cut("a" * 40 + "the-end", 20) == "a" * 10 + "…" + "aathe-end"
    assert all(len(cut("x" * 80, most)) == most for most in range(10, 80))


def test_a_long_name_is_said_twice_and_whole_in_its_title():
    name = "long-" * 20
    said = label(name, "0%", 10)
    assert said.count('class="wide"') == said.count('class="narrow"') == 1
    assert said.count(f"<title>{name}</title>") == 2
    assert label("short", "0%", 10) == '<text x="0%" y="10">short</text>'


def test_the_smallest_bar_is_seen():
    width = float(re.search(r'width="([\d.]+)%"', bar(0, 0, 0, 10))[1])
    assert width > 0


def test_marks_stay_within_the_plot():
    assert percent(0) == "0.50%"
    assert percent(1) == "99.50%"


def test_rows_stand_below_each_other():
    plot = Plot(name="p", title="t", description="d", scale=Scale(low=0, high=1), said=str, band=14)
    drawn = in_rows(plot, [Row(name="one", figure="1"), Row(name="group", heading=True), Row(name="two", figure="2")])
    height = float(re.search(r'<svg [^>]*height="([\d.]+)"', drawn)[1])
    at = [float(y) for y in re.findall(r'y="([\d.]+)" class="(?:name|heading)"', drawn)]
    assert at == sorted(at)
    assert len(at) == 3
    assert at[-1] + 14 < height
    assert 'id="p-title">t<' in drawn
    assert 'aria-labelledby="p-title p-desc"' in drawn


def test_a_description_ends():
    assert listed(["a", "b"]) == "a; b."
    assert listed(list("abcdefgh")) == "a; b; c; d; and 4 more."


def contrast(one, other):
    """WCAG 2.2, relative luminance."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    first, second = sorted((light(one), light(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


@pytest.mark.parametrize("scheme", [style.LIGHT, style.DARK])
def test_words_stand_out_from_their_ground(scheme):
    for ink in ("ink", "quiet", "warn", "good", "bad"):
        for ground in ("paper", "panel"):
            assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
    for part in style.PARTS:
        assert contrast(style.ON_PARTS, part) >= 4.5, part


@pytest.mark.parametrize(("scheme", "inks"), [(style.LIGHT, style.INKS_LIGHT), (style.DARK, style.INKS_DARK)])
def test_marks_stand_out_from_the_paper(scheme, inks):
    for ink in (*inks, scheme["mark"]):
        assert contrast(ink, scheme["paper"]) >= 3, ink


# Machado, Oliveira, Fernandes (2009), table 1, severity 1.0: what is seen with one kind of cones less (linear light).
BLIND = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def lab(colour, matrix):
    """CIE L*a*b* (D65) of a colour as it is seen through *matrix*."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    red, green, blue = (min(1, max(0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in matrix)
    xyz = (
        (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047,
        0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
        (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883,
    )
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("kind", BLIND)
@pytest.mark.parametrize("colours", [style.PARTS, style.INKS_LIGHT, style.INKS_DARK])
def test_colours_differ_for_colour_blind_readers(kind, colours):
    """A difference of 2.3 is just seen (Mahy 1994); any two have four times that at least."""
    seen = [lab(colour, BLIND[kind]) for colour in colours]
    for i, one in enumerate(seen):
        for j, other in enumerate(seen[:i]):
            apart = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
            assert apart > 4 * 2.3, (colours[i], colours[j])
