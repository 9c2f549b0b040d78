"""Acts are told in words, and those without words by their fields."""

from wasmguard.workshop import explain_acts as words


def test_acts_are_told_in_words():
    assert words.act({"kind": "off", "seconds": 1800, "terminal": "/dev/pts/3"}) == "for 30 min, at /dev/pts/3"
    assert (
        words.act({"kind": "reload", "old": "a" * 32, "new": "b" * 32, "error": ""}) == "aaaaaaaaaaaa -> bbbbbbbbbbbb"
    )
    assert words.act({"kind": "lost", "count": 3, "why": "disk full"}) == "3 records were not kept: disk full"
    assert words.act({"kind": "damaged", "bytes": 7}) == "7 bytes were no records"
    allowed = {"kind": "allowed", "tool": "Write", "seconds": 600, "policies": ["a", "b"], "record": "0193"}
    assert words.act(allowed) == "Write once in 10 min, without a, b (record 0193)"
    assert words.act({"kind": "revoked", "record": "0193"}) == "the exception that came from record 0193"
    assert words.act({"kind": "acknowledged", "record": "t1", "session": "s"}) == "the alarm t1 in session s"
    assert words.act({"kind": "daemon", "act": "ended", "digest": "ab" * 16}) == "ended, plan abababababab"
    assert words.act({"kind": "some day", "who": "me", "id": "00", "time": 1}) == "who me"
    assert words.in_words({"kind": "some day", "who": "me"}) == ""


def test_acts_that_make_no_sense_are_told_all_the_same():
    for kind in words._WORDS:
        assert words.in_words({"kind": kind, "policies": 3, "seconds": "x", "digest": 7}) or kind in ("off", "daemon")
        assert "\x1b" not in words.act({"kind": kind, **dict.fromkeys(("tool", "record", "why", "act"), "a\x1b[2J")})
    assert words.in_words({"kind": ["off"]}) == ""
