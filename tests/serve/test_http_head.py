"""Reading the head of a request: one way to read it, or none."""

import pytest

from wasmguard.serve import http_head
from wasmguard.serve.http_head import LARGEST, LONGEST_PATH, MOST_HEADERS, ONCE, Refused


def status_of(call, *arguments):
    with pytest.raises(Refused) as refused:
        call(*arguments)
    return refused.value.status


def test_a_head_is_read():
    head = b"POST /v1/x?y=%20 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Tab:\t b\tc \t\r\nX-Two: 1\r\nx-two: 2"
    headers = {b"host": b"a", b"x-empty": b"", b"x-tab": b"b\tc", b"x-two": b"1,2"}
    assert http_head.read(head) == (b"POST", b"/v1/x?y=%20", b"1", headers)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET / ",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.10",
        b"GET / HTTP/11",
        b"get / HTTP/1.1",
        b"G=T / HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
        b"GET v1/status HTTP/1.1",
        b"GET http://127.0.0.1/v1/status HTTP/1.1",  # for a proxy, which this is not
        b"CONNECT 127.0.0.1:80 HTTP/1.1",
    ],
)
def test_what_is_no_request_line_is_refused(line):
    assert status_of(http_head.read, line + b"\r\nHost: a") == 400


@pytest.mark.parametrize("version", [b"2", b"2.0", b"3", b"0.9", b"1.2"])
def test_another_version_is_told_so(version):
    assert status_of(http_head.read, b"PRI * HTTP/" + version) == 505


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Host",
        b": a",
        b"Host : a",
        b"Host\t: a",
        b" Host: a",
        b"Ho st: a",
        b"Host@: a",
        b"H\xc3\xb6st: a",
        b'"Host": a',
    ],
)
def test_what_is_no_header_is_refused(line):
    assert status_of(http_head.read, b"GET / HTTP/1.1\r\n" + line + b"\r\nA: b") == 400


@pytest.mark.parametrize("blank", [b" ", b"\t"])
def test_a_folded_line_is_refused(blank):
    assert status_of(http_head.read, b"GET / HTTP/1.1\r\nA: b\r\n" + blank + b"c: d") == 400


@pytest.mark.parametrize("control", [byte for byte in range(128) if byte < 32 or byte == 127 if byte != 9])
@pytest.mark.parametrize("head", [b"GET /@ HTTP/1.1\r\nA: b", b"GET / HTTP/1.1\r\nA: b@c", b"GET / HTTP/1.1\r\nA@: b"])
def test_a_control_character_is_refused(head, control):
    assert status_of(http_head.read, head.replace(b"@", bytes([control]))) == 400


@pytest.mark.parametrize("name", sorted(ONCE))
def test_a_second_header_where_one_counts_is_refused(name):
    line = name + b": x"
    assert status_of(http_head.read, b"\r\n".join([b"GET / HTTP/1.1", line, b"A: b", line.title()])) == 400


def test_there_are_at_most_100_headers():
    lines = [b"A%d: b" % number for number in range(MOST_HEADERS)]
    assert len(http_head.read(b"\r\n".join([b"GET / HTTP/1.1", *lines]))[3]) == MOST_HEADERS
    assert status_of(http_head.read, b"\r\n".join([b"GET / HTTP/1.1", *lines, b"B: b"])) == 431


@pytest.mark.parametrize(
    "come", [b"", b"P", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nA: b\r\n", b"GET / HTTP/1.1\r\nA: \xff"]
)
def test_half_a_head_is_waited_for(come):
    http_head.look_early(bytearray(come), 0)


@pytest.mark.parametrize(
    "come", [b"\x16\x03\x01\x02", b"wg\x01\x01", b"GET /\n", b"GET / HTTP/1.1\rA", b"A\0", b"\x7f"]
)
@pytest.mark.parametrize("looked", [0, 1, 2])
def test_nobody_waits_for_the_rest_of_garbage(come, looked):
    come = b"GET /" + come  # what was looked at before was no garbage yet
    assert status_of(http_head.look_early, bytearray(come), 5 if looked else 0) == 400


def test_a_line_feed_that_comes_alone_belongs_to_the_carriage_return_before_it():
    come = bytearray(b"GET / HTTP/1.1\r")
    http_head.look_early(come, 0)
    come += b"\n"
    http_head.look_early(come, len(come) - 1)
    come += b"\n"
    assert status_of(http_head.look_early, come, len(come) - 1) == 400
    assert status_of(http_head.look_early, bytearray(b"GET / HTTP/1.1\rX"), 15) == 400


def test_a_head_has_at_most_16_kilobytes():
    http_head.look_early(bytearray(b"a" * (LARGEST - 1)), 0)
    assert status_of(http_head.look_early, bytearray(b"a" * LARGEST), 0) == 431


def length(**headers):
    said = {b"content-type": b"application/json", b"content-length": b"5"}
    said |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return http_head.length_of_event({name: value for name, value in said.items() if value is not None}, lambda: 1000)


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json ;charset="UTF-8"',
    ],
)
def test_an_event_is_json_in_utf_8(kind):
    assert length(content_type=kind) == 5


@pytest.mark.parametrize(
    "kind",
    [
        *(None, b"", b"text/plain", b"application/jsonx", b"application/json, text/plain", b"application/json;"),
        *(b"application/json; charset=utf-16", b"application/json; charset=utf-8; a=b", b"xapplication/json"),
        *(b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"),
    ],
)
def test_anything_else_is_no_event(kind):
    assert status_of(lambda: length(content_type=kind)) == 415


def test_a_compressed_event_is_refused():
    assert length(content_encoding=b"identity") == 5
    assert status_of(lambda: length(content_encoding=b"gzip")) == 415


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *((None, 411), (b"", 400), (b"-1", 400), (b"+5", 400), (b"5 ", 400), (b"5, 5", 400), (b"0x5", 400)),
        *((b"5_0", 400), ("٥".encode(), 400), (b"1e3", 400), (b"1001", 413), (b"9" * 30, 413), (b"9" * 10_000, 413)),
    ],
)
def test_a_length_is_a_number_up_to_the_most(said, status):
    assert status_of(lambda: length(content_length=said)) == status


@pytest.mark.parametrize(("said", "meant"), [(b"0", 0), (b"005", 5), (b"1000", 1000)])
def test_a_length_counts(said, meant):
    assert length(content_length=said) == meant


def test_a_body_has_one_length_and_no_chunks():
    assert status_of(lambda: length(transfer_encoding=b"chunked")) == 400
    assert status_of(lambda: length(transfer_encoding=b"", content_length=None)) == 501
    assert status_of(lambda: length(transfer_encoding=b"Chunked", content_length=None)) == 411
    assert status_of(lambda: length(transfer_encoding=b"gzip, chunked", content_length=None)) == 501


def test_a_get_has_no_body():
    assert http_head.no_body({}) == http_head.no_body({b"content-length": b"0"}) == 0
    assert status_of(http_head.no_body, {b"content-length": b"1"}) == 413
    assert status_of(http_head.no_body, {b"content-length": b"x"}) == 400
    assert status_of(http_head.no_body, {b"transfer-encoding": b"chunked"}) == 411


def test_the_context_is_absolute_paths():
    headers = {b"x-home": b"/home/u", b"x-claude-config-dir": b"", b"x-claude-project-dir": b"/p q", b"x-other": b"/x"}
    assert http_head.context(headers) == {"HOME": "/home/u", "CLAUDE_PROJECT_DIR": "/p q"}
    assert http_head.context({}) == {}


@pytest.mark.parametrize("path", [b"relative", b"~/x", b"$HOME", b"C:/x", b"/" * (LONGEST_PATH + 1)])
def test_any_other_context_is_refused(path):
    assert status_of(http_head.context, {b"x-home": path}) == 400


def test_a_path_is_read_as_utf_8_or_as_the_client_writes_it():
    assert http_head.context({b"x-home": "/höme/日本".encode()}) == {"HOME": "/höme/日本"}
    assert http_head.context({b"x-home": b"/h\xf6me"}) == {"HOME": "/höme"}
    assert len(http_head.context({b"x-home": b"/" * LONGEST_PATH})["HOME"]) == LONGEST_PATH
