"""How an evaluation fails: plain values, and one sentence for each, whoever says them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.errors import GuestFault, InvalidAnswer, OutOfFuel, OutOfMemory, OutOfTime, StackOverflow, Trapped
from wasmguard.limits import DEFAULT
from wasmguard.sandbox import traps
from wasmguard.sandbox.failure import LAST, RANGE, REFUSED, REPORTED, ROOM, TRAP, UNKNOWN, Failed, Runs, fault

U64 = st.integers(0, 2**64 - 1)


@given(st.integers(0, 255), U64, U64, st.text())
def test_every_failure_is_a_fault_on_one_clean_line(kind, first, second, text):
    made = fault((kind, first, second, text), DEFAULT, 100)
    assert isinstance(made, GuestFault)
    assert str(made).isprintable()
    assert len(str(made)) < 1300  # a text is cut to 500 characters, and quoted


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        ((TRAP, traps.OUT_OF_FUEL, 3, ""), OutOfFuel, "limit 20_000_000"),
        ((TRAP, traps.INTERRUPT, 3, ""), OutOfTime, "limit 100 ms"),
        ((TRAP, traps.STACK_OVERFLOW, 2, ""), StackOverflow, "stack overflow in wasmguard_alloc"),
        ((TRAP, 7, 3, ""), Trapped, "trapped in wasmguard_evaluate: integer divide by zero"),
        ((TRAP, UNKNOWN, 99, ""), Trapped, "trapped in no known phase: trap 255"),
        ((REFUSED, 0, 0, "memory"), OutOfMemory, "cannot start within its limits: memory: raise `limits.memory` or "),
        ((REFUSED, 0, 0, "instance count too high"), OutOfMemory, 'too high: take `limits.profile = "roomy"`'),
        ((REFUSED, 4, 0, "too much"), Trapped, "failed in evaluate: too much"),
        ((ROOM, 0, 5000, ""), InvalidAnswer, "gave no room for 5_000 bytes"),
        ((ROOM, 0xFFFF, 5000, ""), InvalidAnswer, "outside its memory (0xffff for 5_000 bytes)"),
        ((RANGE, 0, 0, ""), InvalidAnswer, "it is empty"),
        ((RANGE, 16, 101, ""), InvalidAnswer, "101 bytes (limit 100)"),
        ((RANGE, 2**32 - 1, 100, ""), InvalidAnswer, "100 bytes at 0xffffffff are outside its memory"),
        ((REPORTED, 0, 0, 'it "says"'), InvalidAnswer, r'(untrusted text): "it \"says\""'),
        ((LAST + 1, 0, 0, ""), Trapped, "in a way that no policy can"),
    ],
)
def test_each_failure_has_its_fault_and_names_its_limit(failure, kind, says):
    made = fault(failure, DEFAULT, 100)
    assert type(made) is kind
    assert says in str(made)


def test_a_failure_holds_clean_short_text_from_the_beginning():
    assert Failed(REPORTED, text="\x1b[0m" + "x" * 10_000).failure[3] == "\ufffd[0m" + "x" * 495 + "…"


def test_only_the_clock_makes_a_failure_out_of_time():
    assert Failed(TRAP, traps.INTERRUPT, 3).out_of_time
    assert not Failed(TRAP, traps.OUT_OF_FUEL, 3).out_of_time
    assert not Failed(RANGE, traps.INTERRUPT).out_of_time


def test_a_guest_that_runs_here_fails_with_the_same_fault_and_its_fuel():
    class Fails(Runs):
        def run(self, request):
            failed = Failed(TRAP, traps.OUT_OF_FUEL, 3)
            failed.fuel = 7
            raise failed

    with pytest.raises(OutOfFuel) as caught:
        Fails(DEFAULT, 100).evaluate(b"")
    assert caught.value.fuel == 7
    assert caught.value.__cause__ is None
