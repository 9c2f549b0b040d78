"""Groups that the database counts are what the lines say one by one."""

from collections import Counter

from wasmguard.records import query
from wasmguard.workshop.stats.grouped import QUARTER, Group, grouped


def test_groups_count_what_the_lines_say(kept_records):
    bodies = []
    for place in range(60):
        effect = "deny" if place % 5 == 0 else "pass"
        verdicts = [{"policy": "guard", "effect": effect, "reason": "no", "us": 1.0, "answer": b""}]
        body = kept_records.decision(f"T{place % 3}", effect, verdicts, us=float(place % 4))
        bodies.append({**body, "time": kept_records.now - place * QUARTER})
    kept_records.keep([*bodies, kept_records.act("off", seconds=60)])
    found, lines = grouped(), [line for line in query.lines(newest=100) if line.effect]
    assert len(lines) == 60
    named = (Group(line.event, line.tool, line.effect, line.policy or "", line.flags & 7) for line in lines)
    assert found.groups == Counter(named)
    assert found.quarters == Counter((line.time // QUARTER, line.effect == "deny") for line in lines)
    assert found.times == Counter(line.us for line in lines)
    assert grouped(tool="T1", effect="deny").groups.total() == 4
    assert grouped(tool="nobody").groups.total() == 0
    assert grouped(since=kept_records.now + 1).groups.total() == 0
