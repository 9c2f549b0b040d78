"""What was recorded, asked for."""

from hashlib import sha256

import pytest

from tests.records.spooled import HOUR, SMALL, START, act, changed, decision, kept, many
from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.guest.codec import packed
from wasmguard.records import found, lines, query
from wasmguard.records.counting import ERROR, FAULTED, REWROTE


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


def ids(lines):
    return [line.id for line in lines]


def hexed(bodies):
    return [body["id"].hex() for body in bodies]


def test_without_records_there_is_nothing():
    assert query.lines(newest=5) == []
    assert [*query.lines()] == [*query.records()] == []
    assert query.record("last") is None
    assert query.record("1") is None
    assert query.counts() == query.hours("effect") == {}
    assert query.blob(bytes(32)) is None
    assert query.state() == {
        "records": 0,
        "first": None,
        "last": None,
        "bytes": 0,
        "segments": 0,
        "head": "",
        "waiting": 0,
        "lost": 0,
    }


def test_a_line_says_in_short_what_its_record_says():
    body = decision(time=START + 5, tool="Write", call="toolu_1", session="s1", effect="deny")
    kept(body)
    (line,) = query.lines(newest=1)
    assert line == query.Line(
        seq=1,
        id=body["id"].hex(),
        time=START + 5,
        kind="decision",
        event="PreToolUse",
        tool="Write",
        effect="deny",
        policy="gate",
        session="s1",
        agent="claude",
        call="toolu_1",
        us=12,
        fuel=7,
        flags=0,
    )


def test_what_a_record_does_not_have_is_none():
    kept(act("off"))
    (line,) = query.lines(newest=1)
    assert (line.kind, line.event, line.tool, line.effect, line.policy, line.session) == ("off", *[None] * 5)
    assert (line.agent, line.call, line.us) == (None, None, None)


@pytest.mark.parametrize("newest", [0, 1, 7, 60, 199, 200, 500])
def test_the_newest_come_oldest_first_out_of_all_segments(newest):
    made = many(200)
    assert len(found.segments()) > 2
    assert ids(query.lines(newest=newest)) == hexed(made)[-newest or 200 :]


def test_all_come_page_by_page_oldest_first(monkeypatch):
    made = many(200)
    monkeypatch.setattr(lines, "PAGE", 7)
    monkeypatch.setattr(query, "PAGE", 7)
    assert ids(query.lines()) == hexed(made)
    assert [record.body["id"] for record in query.records()] == hexed(made)
    assert [record.seq for record in query.records(after=150)] == [*range(151, 201)]


@pytest.fixture
def mixed():
    """Some of everything, in several segments; returns the bodies."""
    made = []
    for place in range(120):
        more = {"rewrote": True, "rewrite": {"command": "x"}} if place % 5 == 0 else {}
        made.append(
            decision(
                time=START + place * 1000,
                event=("PreToolUse", "PostToolUse")[place % 2],
                tool=("Bash", "Read", "Wri\udc00te")[place % 3],
                session=f"s{place // 40}",
                effect=("pass", "ask", "deny")[place % 7 % 3],
                call=f"c{place // 2}",
                **more,
            )
        )
    made += [act("off", time=START + 120_000), decision(time=START, agent="other"), act("on", time=START + 121_000)]
    for at in range(0, len(made), 40):
        kept(*made[at : at + 40], record=SMALL)
    return made


WANTED = [
    *({"effect": "deny"}, {"tool": "Read"}, {"session": "s1"}, {"event": "PostToolUse"}, {"policy": "gate"}),
    *({"kind": "off"}, {"kind": "decision", "agent": "other"}, {"agent": "nobody"}, {"tool": "Wri\udc00te"}),
    *({"effect": "deny", "tool": "Bash"}, {"session": "s0", "effect": "ask", "event": "PreToolUse"}),
    *({"since": START + 60_000}, {"until": START + 60_000}, {"since": START + 3_000, "until": START + 3_001}),
    *({"since": START + HOUR}, {"until": START}, {"flags": REWROTE}, {"flags": REWROTE, "tool": "Bash"}),
    *({"flags": ERROR}, {"flags": REWROTE | FAULTED}, {"call": "c7"}, {"call": "c", "tool": None}, {"after": 100}),
    *({"tool": ""}, {"tool": "' OR 1=1 --"}, {"session": "s0", "tool": "Read", "since": START, "until": START + 9_000}),
]


def is_wanted(seq, body, want):
    """The same, as one would write it first."""
    carried = "gate" if body.get("effect") in ("ask", "deny") else None
    flags = REWROTE if body.get("rewrote") else 0
    return (
        seq > want.get("after", 0)
        and want.get("since", 0) <= body["time"] < want.get("until", 2**62)
        and flags & want.get("flags", 0) == want.get("flags", 0)
        and all(
            {**body, "policy": carried}.get(name) == want[name]
            for name in ("kind", "event", "tool", "effect", "policy", "session", "agent", "call")
            if want.get(name) is not None
        )
    )


def test_every_condition_finds_what_it_says_and_nothing_else(mixed):
    for want in WANTED:
        right = [body["id"].hex() for place, body in enumerate(mixed) if is_wanted(place + 1, body, want)]
        assert ids(query.lines(**want)) == right, want
        assert ids(query.lines(newest=3, **want)) == right[-3:], want
        assert [record.body["id"] for record in query.records(**want)] == right, want


def test_an_unknown_condition_is_an_error():
    with pytest.raises(TypeError, match="sesion"):
        query.lines(newest=1, sesion="s")


def test_a_record_is_what_the_chain_keeps():
    kept(decision(fields={"text": "a\ud800\u202e", "n": 2**60}))
    record = query.record("1")
    assert record.body["fields"] == {"text": "a\ud800\u202e", "n": 2**60}
    assert query.state()["head"] == f"1:{record.hash}"
    assert len(record.hash) == 64


def test_a_call_and_its_result_are_joined_both_ways():
    before = decision(call="toolu_1")
    others = [decision(call="toolu_1", session="another"), decision(call="toolu_2")]
    after = decision(call="toolu_1", event="PostToolUse", error=False)
    kept(before, *others, after)
    assert query.record("1").joined.seq == 4
    assert query.record("4").joined.seq == 1
    assert query.record("1").joined.joined is None
    assert query.record("2").joined is None
    assert query.record("3").joined is None


def test_a_result_belongs_to_the_decision_before_it():
    kept(*(decision(call="again", event=event) for event in ("PreToolUse", "PostToolUseFailure") * 2))
    assert [query.record(str(seq)).joined.seq for seq in (1, 2, 3, 4)] == [2, 1, 4, 3]


def test_a_blob_is_what_a_policy_remembered():
    kept(decision(verdicts=[{"policy": "a", "effect": "pass", "given": b"before", "state": b""}]))
    said = query.record("1").body["verdicts"][0]
    assert query.blob(said["given"]) == b"before"
    assert query.blob(said["state"]) == b""
    assert query.blob(sha256(b"before").digest()) == b"before"
    assert query.blob(sha256(b"other").digest()) is None


def test_a_blob_that_is_not_what_its_name_says_is_no_memory():
    kept(decision(verdicts=[{"policy": "a", "effect": "pass", "given": b"before"}]))
    digest = query.record("1").body["verdicts"][0]["given"]
    changed("UPDATE blobs SET data = x'00'")
    with pytest.raises(HostError, match="is damaged"):
        query.blob(digest)


@pytest.mark.parametrize(
    "statement",
    [
        *("UPDATE records SET body = '['", "UPDATE records SET body = '7'", "UPDATE records SET body = x'ff'"),
        *("UPDATE records SET hash = 'text'", "UPDATE lines SET time = 'noon'", "UPDATE lines SET kind = NULL"),
        *("UPDATE lines SET id = 'abc'", "UPDATE lines SET call = x'00'", "UPDATE lines SET us = 'x'"),
        *("DELETE FROM words", "UPDATE words SET word = x'ff' WHERE id = 1", "UPDATE lines SET tool = 99"),
        "UPDATE records SET body = CAST(x'ff22ff' AS TEXT)",
    ],
)
def test_what_is_not_as_it_was_made_is_damage_and_never_a_crash(statement):
    kept(decision(call="c"))
    changed(statement)
    with pytest.raises(HostError, match=r"000001\.db` is damaged: .*wasmguard verify"):
        [*query.records(), *query.lines()]


def test_the_state_tells_what_there_is():
    made = many(120)
    kept(act("lost", count=3, why="disk"), act("lost", count=4, why="disk"))
    with spool.Spool() as waiting:
        waiting.append(packed(decision()))
    state = query.state()
    assert (state["records"], state["segments"]) == (122, len(found.segments()))
    assert (state["first"], state["last"]) == (made[0]["time"], START)
    assert state["bytes"] > 64 * 1024
    assert state["waiting"] > 100
    assert state["lost"] == 7


def test_what_was_granted_is_the_rewrite_or_what_was_asked_for():
    kept(decision(call="a"), decision(call="b", rewrote=True, rewrite={"command": "pwd"}))
    assert query.granted_input("claude", "a") == {"command": "ls"}
    assert query.granted_input("claude", "b") == {"command": "pwd"}


@pytest.mark.parametrize("body", [{"effect": "deny"}, {"inputs": "redacted"}, {"event": "PostToolUse"}, {"agent": "x"}])
def test_what_was_not_granted_or_is_not_known_is_none(body):
    kept(decision(call="a", **body))
    assert query.granted_input("claude", "a") is None


def test_what_was_granted_is_found_before_anybody_moved_it_out_of_the_spool():
    with spool.Spool() as waiting:
        waiting.append(packed(decision(call="a")))
    assert query.granted_input("claude", "a") == {"command": "ls"}


def test_following_gives_what_comes_and_only_what_is_wanted(monkeypatch):
    kept(decision(), decision(effect="deny"))
    coming = [[decision()], [decision(effect="deny"), act("off")], [decision(effect="deny")]]

    def later(_):
        if not coming:
            raise KeyboardInterrupt
        with spool.Spool() as waiting:
            for body in coming.pop(0):
                waiting.append(packed(body))

    monkeypatch.setattr(query, "sleep", later)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen += ([line.seq for line in new] for new in query.follow(1, effect="deny"))
    assert seen == [[2], [4], [6]]
