"""Groups that the database counts are what the lines say one by one."""

from collections import Counter

import pytest

from tests.records.spooled import START, act, decision, kept, many
from wasmguard.records import query
from wasmguard.records.found import segments
from wasmguard.records.grouped import QUARTER, Group, grouped


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


def test_groups_count_what_the_lines_say():
    bodies = []
    for place in range(60):
        effect = "deny" if place % 5 == 0 else "pass"
        bodies.append(decision(time=START - place * QUARTER, tool=f"T{place % 3}", effect=effect, us=float(place % 4)))
    kept(*bodies, act("off", seconds=60))
    found, lines = grouped(), [line for line in query.lines(newest=100) if line.effect]
    assert len(lines) == 60
    named = (Group(line.event, line.tool, line.effect, line.policy or "", line.flags & 7) for line in lines)
    assert found.groups == Counter(named)
    assert found.quarters == Counter((line.time // QUARTER, line.effect == "deny") for line in lines)
    assert found.times == Counter(line.us for line in lines)
    assert grouped(tool="T1", effect="deny").groups.total() == 4
    assert grouped(tool="nobody").groups.total() == 0
    assert grouped(since=START + 1).groups.total() == 0


def test_all_segments_count_whatever_numbers_their_words_have():
    many(150, tool="First")
    many(150, tool="Second")
    assert len(segments()) > 1
    assert {group.tool: n for group, n in grouped().groups.items()} == {"First": 150, "Second": 150}
