"""What one writes first with the public API: slower, and right nevertheless."""

import pytest

from wasmguard.errors import BundleError, GuestFault
from wasmguard.sandbox.naive import Naive


@pytest.mark.parametrize(("guest", "answer"), [("empty_map", b"\x80"), ("allow", b"\x81\xa6effect\xa5allow")])
def test_it_answers_as_the_guest_does(assembled, guest, answer):
    asked = Naive(assembled(guest))
    assert [asked.evaluate(b"\x80") for _ in range(3)] == [answer] * 3


def test_every_event_gets_a_fresh_instance(assembled):
    counts = Naive(assembled("counter"))
    assert len({counts.evaluate(b"\x80") for _ in range(3)}) == 1


@pytest.mark.parametrize("guest", ["loop_start", "recursion", "answer_wraps"])
def test_who_does_not_answer_is_stopped(assembled, guest):
    with pytest.raises(GuestFault):
        Naive(assembled(guest)).evaluate(b"\x80")


def test_what_is_no_module_is_refused():
    with pytest.raises(BundleError, match="cannot be compiled"):
        Naive(b"\0asm\x01\0\0\0nothing")
