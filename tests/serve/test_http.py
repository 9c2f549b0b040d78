"""The conversation over HTTP: who is answered, and what."""

import json
from pathlib import Path

import pytest

from wasmguard import link
from wasmguard.link import ANSWERED, BLOCKED, ELSEWHERE, EVENT, PIECE, STATUS
from wasmguard.serve.http import CONTINUE, KEPT, NAMES, HttpTalk
from wasmguard.serve.http_head import LARGEST
from wasmguard.serve.talk import METRICS, PERMISSION, SCHEMA

WIRE = Path(__file__).parents[1] / "wire" / "claude" / "2.1.329"
TOKEN, PORT, MOST = "t" * 43, 8123, 100_000
DENY = b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}\n'


def new_talk(token=TOKEN, most=MOST):
    return HttpTalk(token, PORT, lambda: most)


def request(body=b"{}", *, method="POST", path="/v1/hook/claude-code", version="1.1", **headers):
    """A request as it should be, but for the *headers*: None leaves one out, `_` stands for `-`."""
    said = {"host": f"127.0.0.1:{PORT}", "authorization": f"Bearer {TOKEN}"}
    if method == "POST":
        said |= {"content-type": "application/json", "content-length": str(len(body))}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in said.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode("latin-1") + body


def recorded(event="PreToolUse.Write.json"):
    """What the real client sent, and the event in it."""
    body = (WIRE / event).read_bytes()
    head = (WIRE / "http-request.txt").read_bytes().replace(b"\n", b"\r\n")
    for name, value in (("TOKEN", TOKEN), ("PORT", PORT), ("LENGTH", len(body))):
        head = head.replace(f"${name}".encode(), str(value).encode())
    return head + b"\r\n" + body, body


def said(talk):
    """The statuses, headers and bodies that *talk* has to send; it has sent them then."""
    rest, found = bytes(talk.out), []
    talk.out.clear()
    while rest:
        head, rest = rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        version, status, name = first.split(" ", 2)
        assert (version, name) == ("HTTP/1.1", NAMES[int(status)].decode())
        assert not any(header.startswith("access-control-") for header in headers)
        length = int(headers["content-length"])
        assert length > 0  # an empty 2xx would be a pass
        assert len(rest) >= length
        found.append((int(status), headers, rest[:length]))
        rest = rest[length:]
    return found


def refused(data, **options):
    """The status and headers of the only answer to *data*, which is a refusal."""
    talk = new_talk(**options)
    talk.received(data)
    assert talk.question() is None
    assert talk.over
    assert (talk.need, talk.begun) == (0, False)
    ((status, headers, body),) = said(talk)
    assert status >= 400
    assert headers["connection"] == "close"
    assert body.count(b"\n") == 1
    assert list(json.loads(body)) == ["error"]
    talk.received(request())  # what comes now is not heard
    assert (talk.question(), bytes(talk.out)) == (None, b"")
    return status, headers


def answered(talk, code=ANSWERED, answer=b"{}\n", complaint=b""):
    """The answer to the question that *talk* has."""
    talk.answer(talk.question(), code, answer, complaint)
    (answer,) = said(talk)
    return answer


# What the real client asks


def test_the_real_clients_request_is_a_question():
    talk, (data, body) = new_talk(), recorded()
    talk.received(data)
    question = talk.question()
    assert (question.kind, question.payload, question.ours, question.last) == (EVENT, body, True, False)
    assert question.context == {"HOME": "/home/user"}
    assert bytes(talk.out) == b""


def test_the_answer_is_200_and_json_that_nobody_keeps():
    talk = new_talk()
    talk.received(recorded()[0])
    status, headers, body = answered(talk, answer=DENY)
    assert (status, body) == (200, DENY)
    assert headers == {
        "server": "wasmguard",
        "content-type": "application/json",
        "content-length": str(len(DENY)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "connection": "keep-alive",
        "keep-alive": f"timeout={KEPT}",
    }
    assert not talk.over


def test_a_block_is_200_too():
    talk = new_talk()
    talk.received(request())
    assert answered(talk, BLOCKED, DENY, b"why\n")[0::2] == (200, DENY)


def test_a_connection_carries_one_event_after_the_other():
    talk = new_talk()
    for number in range(100):
        talk.received(request(b"%d" % number))
        question = talk.question()
        assert question.payload == b"%d" % number
        talk.answer(question, ANSWERED, b"{}\n", b"")
        assert [status for status, _, _ in said(talk)] == [200]
    assert not talk.over


def test_an_event_may_come_in_any_pieces():
    data, body = recorded()
    for size in (1, 2, 3, 7, 100):
        talk = new_talk()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for piece in pieces[:-1]:
            talk.received(piece)
            assert talk.question() is None
            assert talk.begun
        talk.received(pieces[-1])
        assert not talk.begun
        assert talk.question().payload == body


def test_what_is_missing_of_a_body_is_told():
    talk, data = new_talk(), request(b"x" * 1000)
    talk.received(data[:-1000])
    assert (talk.need, talk.begun) == (1000, True)
    talk.received(data[-1000:-1])
    assert (talk.need, talk.begun) == (1, True)
    talk.received(b"x")
    assert (talk.need, talk.begun) == (0, False)


def test_an_empty_body_is_an_event_of_no_bytes():
    talk = new_talk()
    talk.received(request(b""))
    assert (talk.need, talk.question().payload) == (0, b"")


def test_questions_that_are_sent_ahead_wait_for_their_turn():
    talk = new_talk()
    talk.received(b"".join(request(b"%d" % number) for number in range(5)))
    for number in range(5):
        question = talk.question()
        assert question.payload == b"%d" % number
        assert talk.question() is None
        talk.received(b"")
        assert talk.question() is None
        talk.answer(question, ANSWERED, b'{"n":%d}\n' % number, b"")
        assert [body for _, _, body in said(talk)] == [b'{"n":%d}\n' % number]
    assert talk.question() is None
    assert not talk.begun


def test_garbage_behind_a_question_is_refused_after_its_answer():
    talk = new_talk()
    talk.received(request() + b"\x16\x03\x01garbage\r\n\r\n")
    talk.answer(talk.question(), ANSWERED, b"{}\n", b"")
    assert [status for status, _, _ in said(talk)] == [200, 400]
    assert talk.over


def test_what_is_sent_ahead_has_a_bound():
    talk = new_talk()
    talk.received(request())
    question = talk.question()
    for _ in range(2 * MOST // 1000 + 2 * PIECE // 1000):
        talk.received(b"x" * 1000)
    assert talk.over
    assert len(talk._in) == 0
    talk.answer(question, ANSWERED, b"{}\n", b"")
    assert bytes(talk.out) == b""


def test_a_body_is_no_question_ahead():
    talk = new_talk(most=10_000_000)
    talk.received(request(b"x" * 5_000_000))
    assert len(talk.question().payload) == 5_000_000


# The callback form of SDKs


def test_whether_a_tool_may_run_is_posted_like_an_event():
    talk = new_talk()
    talk.received(request(b'{"toolName":"Write"}', path="/v1/can-use-tool", x_home="/home/u"))
    question = talk.question()
    assert (question.kind, question.payload) == (PERMISSION, b'{"toolName":"Write"}')
    assert question.context == {"HOME": "/home/u"}
    assert question.ours


def test_what_is_no_answer_is_not_sent_to_a_callback_either():
    for answer in (b"", b"null\n", b"[]", b"{"):
        talk = new_talk()
        talk.received(request(path="/v1/can-use-tool"))
        assert answered(talk, answer=answer)[0] == 500


def test_a_refusal_names_the_server_too():
    _, headers = refused(request(authorization=None))
    assert headers["server"] == "wasmguard"


# Status and metrics


@pytest.mark.parametrize(
    ("path", "kind", "mime"),
    [
        ("/v1/status", STATUS, "application/json"),
        ("/v1/schema", SCHEMA, "application/json"),
        ("/metrics", METRICS, "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_status_and_metrics_are_got(path, kind, mime):
    talk = new_talk()
    talk.received(request(b"", method="GET", path=path))
    assert talk.question().kind == kind
    talk = new_talk()
    talk.received(request(b"", method="GET", path=path))
    status, headers, _ = answered(talk, answer=b'{"a": 1}')
    assert (status, headers["content-type"]) == (200, mime)


def test_metrics_are_text():
    talk = new_talk()
    talk.received(request(b"", method="GET", path="/metrics"))
    assert answered(talk, answer=b"wasmguard_events_total 1\n")[0::2] == (200, b"wasmguard_events_total 1\n")


# Who is not answered, in the order of the rules


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LocalHost:{PORT}", f"[::1]:{PORT}"])
def test_this_machine_has_three_names(host):
    talk = new_talk()
    talk.received(request(host=host))
    assert talk.question()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", f"127.0.0.1:{PORT + 1}", f"evil.example:{PORT}", f"127.0.0.1.evil.example:{PORT}"),
        *(f"127.0.0.2:{PORT}", f"0.0.0.0:{PORT}", f"127.1:{PORT}", f"localhost.:{PORT}", f"user@localhost:{PORT}", ""),
        *(f"[::]:{PORT}", f"localhost:0{PORT}", f"localhost:{PORT}, localhost:{PORT}"),
    ],
)
def test_any_other_name_was_rebound_to_it(host):
    assert refused(request(host=host))[0] == 421


def test_a_request_without_a_host_is_none():
    assert refused(request(host=None))[0] == 400
    assert refused(request(host=None, version="1.0"))[0] == 400


@pytest.mark.parametrize("header", ["origin", "sec_fetch_site", "sec_fetch_mode", "sec_fetch_dest", "sec_fetch_user"])
@pytest.mark.parametrize("value", ["null", "none", f"http://localhost:{PORT}", ""])
def test_browsers_are_not_answered(header, value):
    assert refused(request(**{header: value}))[0] == 403


@pytest.mark.parametrize(
    "shown",
    [
        *(None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"),
        *(f"Bearer  {TOKEN}", f"Bearer {TOKEN} x", f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN[:-1]}é", "Bearer $TOKEN"),
    ],
)
def test_who_does_not_show_the_token_is_not_answered(shown):
    status, headers = refused(request(authorization=shown))
    assert (status, headers["www-authenticate"]) == (401, "bearer")


def test_an_empty_token_opens_nothing():
    for shown in ("Bearer ", "Bearer", f"Bearer {TOKEN}"):
        assert refused(request(authorization=shown), token="")[0] == 401


def test_the_scheme_has_no_case():
    talk = new_talk()
    talk.received(request(authorization=f"bearer {TOKEN}"))
    assert talk.question()


@pytest.mark.parametrize(
    "changes", [{"path": "/"}, {"method": "GET"}, {"content_type": "text/plain"}, {"content_length": "999999999"}]
)
def test_without_the_token_nobody_learns_what_else_is_wrong(changes):
    first = new_talk()
    first.received(request(authorization=None))
    other = new_talk()
    other.received(request(authorization=None, **changes))
    assert first.out == other.out


def test_strangers_send_no_body():
    talk = new_talk()
    data = request(b"x" * 50_000, authorization="Bearer x")
    talk.received(data[:-50_000])
    assert talk.over
    talk.received(data[-50_000:])
    assert len(talk._in) == 0


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/hook",
        "/v1/hook/claude-code/",
        "/v1/hook/claude-code?x",
        "/v1/can-use-tool/",
        "/v1/can_use_tool",
        "//v1/status",
        "/v1/stop",
        "/V1/status",
    ],
)
def test_nothing_is_anywhere_else(path):
    assert refused(request(path=path))[0] == 404
    assert refused(request(b"", method="GET", path=path))[0] == 404


def test_the_server_as_a_whole_has_no_options():
    assert refused(request(b"", method="OPTIONS", path="*"))[0] == 404


@pytest.mark.parametrize("path", ["/v1/hook/claude-code", "/v1/can-use-tool"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_an_event_is_posted(path, method):
    status, headers = refused(request(b"", method=method, path=path))
    assert (status, headers["allow"]) == (405, "post")


@pytest.mark.parametrize("path", ["/v1/status", "/v1/schema", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_status_is_not_posted(path, method):
    status, headers = refused(request(b"", method=method, path=path))
    assert (status, headers["allow"]) == (405, "get")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (415, {"content_type": "text/plain"}),
        (415, {"content_type": None}),
        (415, {"content_encoding": "gzip"}),
        (411, {"content_length": None}),
        (411, {"content_length": None, "transfer_encoding": "chunked"}),
        (501, {"content_length": None, "transfer_encoding": "gzip"}),
        (400, {"transfer_encoding": "chunked"}),
        (400, {"content_length": "2, 2"}),
        (413, {"content_length": str(link.LARGEST + 1)}),
        (417, {"expect": "something"}),
        (400, {"x_home": "relative"}),
        (400, {"x_claude_config_dir": "~/x"}),
    ],
)
def test_what_is_no_event_is_refused(status, headers):
    assert refused(request(**headers))[0] == status
    assert refused(request(path="/v1/can-use-tool", **headers))[0] == status


def test_an_event_over_the_limit_is_taken_as_from_a_hook_so_that_it_gets_a_refusal_in_its_own_form():
    """A status would leave the output as it is where a policy takes secrets out of it."""
    body = b"{" + b" " * MOST + b"}"
    talk = new_talk()
    talk.received(request(body))
    assert talk.question().payload == body
    assert refused(request(body, path="/v1/can-use-tool"))[0] == 413


def test_the_largest_question_may_change_while_the_daemon_lives():
    most = [1]
    talk = HttpTalk(TOKEN, PORT, lambda: most[0])
    most[0] = 10
    talk.received(request(b"x" * 10, path="/v1/can-use-tool"))
    assert talk.question()


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\0", b"wg\x01\x01", b"GET / HTTP/1.1\n", b"\r\n\r\n", b"\0", b"GET / HTTP/1.1\r\n A"]
)
def test_garbage_is_refused_as_soon_as_it_is(data):
    talk = new_talk()
    talk.received(data)
    if not talk.over:
        talk.received(b": b\r\n\r\n")
    assert [status for status, _, _ in said(talk)] == [400]


def test_http_2_is_told_what_is_spoken():
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")[0] == 505


def test_headers_without_an_end_are_refused():
    talk, sent = new_talk(), 0
    talk.received(b"GET / HTTP/1.1\r\n")
    while not talk.over:
        talk.received(b"A: b\r\n" * 100)
        sent += 600
        assert sent <= LARGEST + 600
    assert [status for status, _, _ in said(talk)] == [431]


# How a connection ends


@pytest.mark.parametrize(
    "options",
    [
        {"connection": "close"},
        {"connection": "Close"},
        {"connection": "x,\tclose"},
        {"version": "1.0"},
        {"version": "1.0", "connection": "keep-alive"},
    ],
)
def test_the_last_question_is_answered_and_the_connection_closed(options):
    talk = new_talk()
    talk.received(request(**options) + request())
    question = talk.question()
    assert question.last
    talk.answer(question, ANSWERED, DENY, b"")
    ((status, headers, body),) = said(talk)
    assert (status, headers["connection"], body) == (200, "close", DENY)
    assert talk.over
    assert talk.question() is None


def test_a_daemon_that_ends_says_so_and_never_passes():
    talk = new_talk()
    talk.received(request())
    status, headers, body = answered(talk, ELSEWHERE, b"", b"")
    assert (status, headers["connection"], list(json.loads(body))) == (503, "close", ["error"])
    assert talk.over


@pytest.mark.parametrize("answer", [b"", b"\n", b" ", b"null\n", b"[]\n", b'{"a":', b'"{}"', b"{}\0"])
@pytest.mark.parametrize("code", [ANSWERED, BLOCKED])
def test_what_the_client_would_take_for_no_opinion_is_not_sent(code, answer):
    talk = new_talk()
    talk.received(request())
    assert answered(talk, code, answer)[0] == 500
    assert talk.over


@pytest.mark.parametrize("code", [1, 4, -1, 255])
def test_a_code_that_nobody_knows_is_no_answer(code):
    talk = new_talk()
    talk.received(request())
    assert answered(talk, code, b"{}\n")[0] == 500


# Expect


def test_who_waits_to_be_told_is_told_once():
    talk, data = new_talk(), request(b"x" * 10, expect="100-continue")
    talk.received(data[:-10])
    assert bytes(talk.out) == CONTINUE
    talk.received(data[-10:-5])
    assert bytes(talk.out) == CONTINUE
    talk.out.clear()
    talk.received(data[-5:])
    assert bytes(talk.out) == b""
    assert talk.question().payload == b"x" * 10


@pytest.mark.parametrize("options", [{"version": "1.0"}, {"content_length": "0"}])
def test_who_need_not_wait_is_not_told(options):
    talk, data = new_talk(), request(b"", **{"expect": "100-continue", "content_length": "10", **options})
    talk.received(data)
    assert bytes(talk.out) == b""


def test_a_stranger_is_not_told_to_send_a_body():
    assert refused(request(expect="100-continue", authorization=None)[:-2])[0] == 401
    assert refused(request(expect="100-continue", content_length=str(link.LARGEST + 1))[:-2])[0] == 413
