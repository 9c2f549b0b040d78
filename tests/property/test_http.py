"""Laws of the conversation over HTTP: whatever comes, in whatever pieces, nothing breaks and nothing slips through."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from wasmguard.link import ANSWERED, PIECE
from wasmguard.serve.http import NAMES, HttpTalk
from wasmguard.serve.http_head import LARGEST

many = settings(max_examples=400, deadline=None, database=None)
TOKEN, PORT, MOST = "t" * 43, 8123, 1_000
FIRST = b"POST /v1/hook/claude-code HTTP/1.1"
RIGHT = {
    b"Host": b"127.0.0.1:8123",
    b"Authorization": b"Bearer " + TOKEN.encode(),
    b"Content-Type": b"application/json",
    b"Content-Length": b"2",
}


def written(first, headers, body):
    return b"\r\n".join([first, *(name + b": " + value for name, value in headers), b"", body])


ORDINARY = written(FIRST, RIGHT.items(), b"{}")

# Requests that are nearly right: the right headers, of which some are missing, doubled, changed or in another order.
words = [*RIGHT.values(), b"", b"0", b"1e9", b"close", b"chunked", b"100-continue", b"null", b"/home/u", b"~", b"gzip"]
names = [
    *RIGHT,
    b"Origin",
    b"Sec-Fetch-Site",
    b"Transfer-Encoding",
    b"Expect",
    b"Connection",
    b"X-Home",
    b"host",
    b"A b",
]
lines = st.tuples(st.sampled_from(names) | st.binary(max_size=6), st.sampled_from(words) | st.binary(max_size=8))
firsts = st.sampled_from(
    [FIRST, FIRST[:-1] + b"0", b"GET /v1/status HTTP/1.1", b"GET /metrics HTTP/1.1", b"OPTIONS * HTTP/1.1"]
)
nearly = st.builds(
    lambda first, kept, more, body: written(first, [*((name, RIGHT[name]) for name in kept), *more], body),
    firsts | st.binary(max_size=30),
    st.permutations(list(RIGHT)) | st.lists(st.sampled_from(list(RIGHT)), max_size=5),
    st.lists(lines, max_size=4),
    st.just(b"{}") | st.binary(max_size=4),
)
changed = st.builds(
    lambda at, cut, put: ORDINARY[:at] + put + ORDINARY[at + cut :],
    st.integers(0, len(ORDINARY)),
    st.integers(0, 3),
    st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b"\r\n ", b"\r\n\r\n", b"\0", b" "]),
)
streams = st.lists(nearly | changed | st.just(ORDINARY) | st.binary(max_size=40), min_size=1, max_size=4).map(b"".join)


def heard(pieces):
    """What comes of *pieces*: the questions, everything that was sent, and whether the talk is over."""
    talk, questions, sent = HttpTalk(TOKEN, PORT, lambda: MOST), [], bytearray()
    for piece in pieces:
        talk.received(piece)
        while question := talk.question():
            assert len(question.payload) <= MOST
            questions.append(question)
            talk.answer(question, ANSWERED, b'{"n":%d}\n' % len(questions), b"")
        assert 0 <= talk.need <= MOST
        assert talk.over or len(talk._in) <= LARGEST + PIECE + MOST
        sent += talk.out
        talk.out.clear()
    return questions, bytes(sent), talk.over


def statuses(sent):
    """The statuses of what was *sent*, which is nothing but whole answers."""
    found = []
    while sent:
        head, sent = sent.split(b"\r\n\r\n", 1)
        status = int(head[9:12])
        assert head.startswith(b"HTTP/1.1 ")
        if status == 100:
            continue
        assert status in NAMES
        length = int(head.rpartition(b"Content-Length: ")[2])
        assert 0 < length <= len(sent)
        assert sent[:1] == b"{"
        found.append(status)
        sent = sent[length:]
    return found


@many
@given(streams)
@example(ORDINARY * 4)
@example(b"\r\n" + ORDINARY)
def test_each_question_has_one_answer_and_nothing_is_heard_after_a_refusal(stream):
    questions, sent, over = heard([stream])
    found = statuses(sent)
    assert found[: len(questions)] == [200] * len(questions)
    refused = found[len(questions) :]
    assert len(refused) <= 1
    assert all(status >= 400 for status in refused)
    assert over or not refused


@many
@given(streams, st.lists(st.integers(0, 400), max_size=6))
def test_how_bytes_are_cut_changes_nothing(stream, cuts):
    places = sorted({min(cut, len(stream)) for cut in cuts})
    pieces = [stream[begin:end] for begin, end in zip([0, *places], [*places, len(stream)], strict=True)]
    whole, cut, single = heard([stream]), heard(pieces), heard([stream[at : at + 1] for at in range(len(stream))])
    assert whole[0] == cut[0] == single[0]
    assert statuses(whole[1]) == statuses(cut[1]) == statuses(single[1])
    assert whole[2] == cut[2] == single[2]


@many
@given(st.binary(max_size=200) | nearly.map(lambda data: data.replace(TOKEN.encode(), b"u" * 43)))
def test_without_the_token_there_is_no_question(stream):
    questions, sent, _ = heard([stream, b"\r\n\r\n"])
    assert questions == []
    assert 200 not in statuses(sent)


@many
@given(nearly)
def test_a_question_comes_only_with_all_that_is_demanded(stream):
    """Read here as carelessly as can be: whatever a generous reader finds, a question has no less."""
    questions, _, _ = heard([stream])
    head = stream.partition(b"\r\n\r\n")[0].lower()
    for demanded in (b"host: 127.0.0.1:8123", b"authorization: bearer " + TOKEN.encode()):
        assert not questions or head.count(b"\r\n" + demanded) == 1
    for refused in (b"\norigin:", b"\nsec-fetch-site:", b"\ntransfer-encoding:", b"\n ", b"\0"):
        assert not questions or refused not in head


@many
@given(st.binary(max_size=MOST))
def test_an_event_arrives_byte_for_byte(body):
    data = written(FIRST, {**RIGHT, b"Content-Length": b"%d" % len(body)}.items(), body)
    questions, _, over = heard([data, data])
    assert [question.payload for question in questions] == [body, body]
    assert not over
