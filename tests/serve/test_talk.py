"""The conversation over frames, byte by byte and without a socket."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard import link
from wasmguard.serve.talk import FrameTalk

PATH = "/run/s"
CONTEXT = {"HOME": "/home/u", "CLAUDE_PROJECT_DIR": "/p"}


def asking(event=b"{}", **context):
    return link.question(link.EVENT, link.with_context(context, event, PATH))


def heard(*pieces):
    """A talk after *pieces*."""
    talk = FrameTalk(PATH)
    for piece in pieces:
        talk.received(piece)
    return talk


def questions(talk):
    while question := talk.question():
        yield question


@given(st.binary(max_size=200), st.lists(st.integers(1, 60), max_size=30))
def test_a_question_is_the_same_in_any_pieces(event, sizes):
    frames, talk, found = asking(event, **CONTEXT) * 2, FrameTalk(PATH), []
    for size in [*sizes, len(frames)]:
        talk.received(frames[:size])
        frames = frames[size:]
        found += questions(talk)
    assert [(q.kind, q.payload, q.context, q.ours, q.last) for q in found] == 2 * [
        (link.EVENT, event, CONTEXT, True, False)
    ]
    assert not any((talk.over, talk.need, talk.begun, talk.out))


def test_no_part_of_a_question_is_one():
    frame = asking(b'{"a":1}', **CONTEXT)
    for end in range(len(frame)):
        talk = heard(frame[:end])
        assert talk.question() is None
        assert not talk.over
        assert talk.begun is (end > 0)
        assert talk.need == (len(frame) - end if end >= link.QUESTION else 0)


def test_what_is_announced_is_told_before_it_comes():
    frame = asking(b"x" * 5_000_000)
    talk = heard(frame[: link.QUESTION])
    assert talk.need == len(frame) - link.QUESTION
    talk.received(frame[link.QUESTION : 1_000_000])
    assert talk.need == len(frame) - 1_000_000


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0",
        b"wg\x02",
        link.MAGIC + b"\x09" + bytes(20),
        link.question(4, b""),  # only HTTP asks that
        link.question(link.EVENT, b"")[:20] + b"\xff\xff\xff\xff",
        link.question(link.EVENT, b""),  # no context
        link.question(link.EVENT, b"\0\0\0\5abc"),
        link.question(link.EVENT, b"\xff\xff\xff\xffabc"),
        link.question(link.EVENT, b"\0\0\0\x14") + asking(),  # a context that reaches into the next question
    ],
)
def test_garbage_ends_the_talk_and_is_not_answered(garbage):
    talk = heard(garbage)
    assert talk.question() is None
    assert talk.over
    talk.received(asking())
    assert talk.question() is None
    assert not talk.out
    assert not talk.need


def test_garbage_behind_a_question_ends_the_talk_after_its_answer():
    talk = heard(asking() + b"nonsense")
    question = talk.question()
    talk.answer(question, 0, b"{}\n", b"")
    assert talk.question() is None
    assert talk.over
    assert bytes(talk.out) == link.answered(0, b"{}\n")


@given(st.binary(max_size=100))
def test_nothing_that_is_said_raises(data):
    for talk in (heard(data), heard(asking()[: link.QUESTION] + data), heard(link.MAGIC + data)):
        list(questions(talk))


@pytest.mark.parametrize("kind", [link.STATUS, link.STOP])
def test_other_questions_carry_nothing(kind):
    (question,) = questions(heard(link.question(kind, b"")))
    assert (question.kind, question.payload, question.context) == (kind, b"", {})


def test_a_question_of_another_version_says_so_and_is_not_read():
    frame = bytearray(link.question(link.EVENT, b"something else"))
    frame[4:20] = b"9.9.9".ljust(16, b"\0")
    (question,) = questions(heard(bytes(frame)))
    assert not question.ours
    assert not question.payload


def test_answers_come_out_in_their_order():
    talk = heard(asking(b"1") + asking(b"2"))
    for question in questions(talk):
        talk.answer(question, link.ANSWERED, question.payload, b"why")
    assert bytes(talk.out) == link.answered(0, b"1", b"why") + link.answered(0, b"2", b"why")
    assert not talk.over


def test_the_last_answer_ends_the_talk():
    talk = heard(asking())
    talk.answer(talk.question().replaced(last=True), link.ELSEWHERE, b"", b"")
    assert talk.over


def test_large_payloads_in_small_pieces_are_not_copied_again_and_again():
    frame, talk, begun = memoryview(asking(b"x" * (64 << 20))), FrameTalk(PATH), perf_counter()
    for place in range(0, len(frame), 4096):
        talk.received(frame[place : place + 4096])
    assert len(talk.question().payload) == 64 << 20
    assert perf_counter() - begun < 20  # 0.1 s; copied with every piece it would be minutes


def test_an_event_for_another_socket_is_not_ours():
    """Somebody made a link to it: the client wants a daemon with another configuration."""
    talk = FrameTalk("/elsewhere")
    talk.received(asking())
    question = talk.question()
    assert not question.ours
    assert "SOCKET" not in question.context
    talk.answer(question, link.ELSEWHERE, b"", b"")
    talk.received(link.question(link.STATUS, b""))
    assert talk.question().ours
