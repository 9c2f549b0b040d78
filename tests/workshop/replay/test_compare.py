from tests.workshop.replay.happened import event, said
from wasmguard.decision import settle
from wasmguard.workshop.replay.compare import WORDS, changed


def moved(path, effect="pass", policy="move"):
    return said(effect, policy, rewrite={"file_path": path, "content": "c"})


def test_the_same_is_no_change():
    assert changed(event(), said("deny", reason="a"), said("deny", reason="a")) is None
    assert changed(event(), settle(()), said()) is None


def test_a_stricter_effect_is_by_who_carries_it_now_a_looser_one_by_who_did():
    stricter = changed(event(), said(), said("deny", "new"))
    assert (stricter.what, stricter.policy, stricter.effect) == ("pass -> deny", "new", True)
    looser = changed(event(), said("ask", "old"), said("allow", "new"))
    assert (looser.what, looser.policy) == ("ask -> allow", "old")


def test_a_rewrite_comes_goes_or_is_another():
    assert changed(event(), said(), moved("/s/x")).what == "rewrite added"
    assert changed(event(), moved("/s/x"), said()).what == "rewrite gone"
    another = changed(event(), moved("/s/x"), moved("/t/x"))
    assert (another.what, another.policy, another.rewrite, another.effect) == ("another rewrite", "move", True, False)


def test_a_rewrite_is_told_beside_an_effect():
    change = changed(event(), moved("/s/x"), said("ask", "new"))
    assert change.what == "pass -> ask, rewrite gone"
    assert change.effect
    assert change.rewrite


def test_what_nobody_runs_has_no_rewrite():
    change = changed(event(), moved("/s/x"), said("deny"))
    assert change.what == "pass -> deny"
    assert not change.rewrite


def test_a_rewrite_to_what_it_was_is_none():
    assert changed(event("/etc/x"), said(), moved("/etc/x")) is None


def test_a_rewritten_output_is_a_change():
    hidden = said("pass", "hide", output={"text": "x"})
    change = changed(event(name="PostToolUse"), said(), hidden)
    assert (change.what, change.policy, change.output) == ("output added", "hide", True)
    assert changed(event(), hidden, hidden) is None


def test_other_words_are_told_and_do_not_count():
    change = changed(event(), said("deny", reason="a"), said("deny", reason="b"))
    assert change.what == WORDS
    assert not change.counts
