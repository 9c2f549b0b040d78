"""What is quick about deciding again changes no decision."""

import pytest

from tests.workshop.rerun.conftest import STATE, write
from wasmguard import plan
from wasmguard.chain import decided
from wasmguard.policy import Encoder, Policy
from wasmguard.workshop.rerun import deciding as again
from wasmguard.workshop.rerun.deciding import Deciding

MOVES = {"rewrite_constant": {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}}


@pytest.fixture
def decides(planned):
    """What decides again by these guests, and the same policies as an agent's guard asks them."""

    def make(*names, **extra):
        made = planned(*names, **extra)
        cells = plan.cells(made, slots=2, isolation="thread")
        return Deciding(made, cells), [Policy(each, cells, Encoder(), None) for each in made.policies]

    return make


def untimed(decision):
    return [verdict.replaced(microseconds=0.0) for verdict in decision.verdicts]


def test_an_answer_that_is_known_is_not_taken_for_one_about_another_event(decides):
    """The guest always answers the same: it changes nothing in the first event, something in the second, and cannot
    rewrite the third."""
    mine, policies = decides("rewrite_constant", **MOVES)
    for path in ("/sandbox/moved", "/task/x", "/sandbox/moved", 7, "/task/x"):
        made, usual = mine.decision(write(path), None), decided(policies, write(path))
        assert (made.effect, made.rewrite, untimed(made)) == (usual.effect, usual.rewrite, untimed(usual))


@pytest.mark.parametrize("name", ["deny", "pass", "ask", "unreachable", "loop_evaluate"])
def test_who_is_asked_again_and_again_says_the_same(decides, name):
    mine, policies = decides(name)
    usual = decided(policies, write())
    for _ in range(3):
        made = mine.decision(write(), None)
        assert (made.effect, made.because and made.reason, untimed(made)) == (
            usual.effect,
            usual.because and usual.reason,
            untimed(usual),
        )
        assert made.verdicts[0].microseconds > 0


def test_an_answer_that_is_known_is_about_the_state_of_its_event(decides):
    mine, _ = decides("counts", counts=STATE)
    for state in (b"\x01" + bytes(7), b"\x01" + bytes(7), b"\x05" + bytes(7)):
        (verdict,) = mine.decision(write(), {"counts": state}).verdicts
        assert (verdict.given, verdict.state) == (state, bytes([state[0] + 1]) + bytes(7))


def test_answers_that_are_known_are_of_a_bounded_number(decides, monkeypatch):
    monkeypatch.setattr(again, "ANSWERS", 3)
    mine, _ = decides("counts", counts=STATE)
    for number in range(10):
        mine.decision(write(), {"counts": bytes([number]) + bytes(7)})
        assert len(mine.policies[0]._known or ()) <= 3


def test_a_shadow_alone_is_not_obeyed(decides):
    mine, _ = decides("deny", deny={"shadow": "true"})
    decision = mine.decision(write(), None)
    assert (decision.effect.name, [verdict.shadow for verdict in decision.verdicts]) == ("PASS", [True])
