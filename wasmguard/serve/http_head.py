"""The head of a request over HTTP/1.1, read so strictly that no two readers could read it differently.

1. A head is a request line and headers, each ended by CR LF, and an empty line. A bare CR or LF, a control character,
   a folded line, a blank before a colon: no head (RFC 9112, sections 2.2, 3 and 5).
2. Where one header counts (`ONCE`), a second one is refused, even if it says the same.
3. A body's length is said in `Content-Length` and nowhere else: chunks are refused.
4. What is refused carries its status. Nothing else leaves this module: no other error, whatever the bytes are.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Headers = dict[bytes, bytes]

LARGEST = 16_384  # bytes of a head, with the empty line; as in Node.js
MOST_HEADERS = 100
BROWSERS = frozenset((b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user"))
"""What only browsers send."""
PLACES = {
    b"x-home": "HOME",
    b"x-claude-config-dir": "CLAUDE_CONFIG_DIR",
    b"x-claude-project-dir": "CLAUDE_PROJECT_DIR",
}
"""Headers that say where the agent's settings are, and the variables that they stand for."""
ONCE = BROWSERS.union(
    (b"host", b"authorization", b"content-type", b"content-length", b"transfer-encoding", b"content-encoding"),
    (b"expect", *PLACES),
)
LONGEST_PATH = 4_096  # bytes: PATH_MAX of Linux

_REQUEST = re.compile(rb"([A-Z]{1,20}) (/[!-~]*|\*) HTTP/1\.([01])")
_OTHER_HTTP = re.compile(rb"[!-~]+ [!-~]+ HTTP/([02-9](\.[0-9])?|1\.[2-9])")
_JSON = re.compile(rb'application/json[ \t]*(;[ \t]*charset=("utf-8"|utf-8)[ \t]*)?', re.IGNORECASE)
_GARBAGE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # RFC 9110, section 5.6.2
_CONTROLS = bytes((*range(9), *range(10, 32), 127))  # all but the tab


class Refused(Exception):
    """A request that gets no answer but a status, why, and further header lines."""

    def __init__(self, status: int, why: str, *lines: bytes) -> None:
        super().__init__(why)
        self.status, self.lines = status, lines


def read(head: bytes) -> tuple[bytes, bytes, bytes, Headers]:
    """Method, target, minor version and headers (their names in lower case) of a *head* without its empty line.

    Raises:
        Refused: if it is none.
    """
    first, *lines = head.split(b"\r\n")
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * len(lines):
        raise Refused(400, "the headers hold control characters")
    request = _REQUEST.fullmatch(first)
    if request is None:
        other = _OTHER_HTTP.fullmatch(first)
        raise Refused(505, "only HTTP/1.1 is spoken here") if other else Refused(400, "the request line is none")
    if len(lines) > MOST_HEADERS:
        raise Refused(431, f"more than {MOST_HEADERS} headers")
    headers: Headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN):
            raise Refused(400, "a header is none")
        name, value = name.lower(), value.strip(b" \t")
        if name not in headers:
            headers[name] = value
        elif name in ONCE:
            raise Refused(400, f"two headers `{name.decode()}`")
        else:
            headers[name] += b"," + value
    method, target, minor = request.groups()
    return method, target, minor, headers


def look_early(come: bytearray, looked: int) -> None:
    """Refuse what has *come* if no head ends in it and none can any more. The first *looked* bytes were seen before.

    Raises:
        Refused: then. Nobody has to wait for the rest of garbage.
    """
    if len(come) >= LARGEST:
        raise Refused(431, f"the headers are longer than {LARGEST} bytes")
    if _GARBAGE.search(come, max(0, looked - 1)):
        raise Refused(400, "this is no HTTP/1.1")


def length_of_event(headers: Headers, most: Callable[[], int]) -> int:
    """Bytes of the event that *headers* announce.

    Raises:
        Refused: if it is no JSON, has no length, or more than *most*.
    """
    if not _JSON.fullmatch(headers.get(b"content-type", b"")):
        raise Refused(415, "an event is `application/json`")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refused(415, "an event is not compressed")
    _no_chunks(headers)
    if b"content-length" not in headers:
        raise Refused(411, "no `Content-Length`")
    length, largest = _number(headers[b"content-length"]), most()
    if length > largest:
        raise Refused(413, f"an event may have {largest} bytes")
    return length


def no_body(headers: Headers) -> int:
    """0: the length of what is behind a GET.

    Raises:
        Refused: if *headers* announce more.
    """
    _no_chunks(headers)
    if _number(headers.get(b"content-length", b"0")):
        raise Refused(413, "a GET has no body")
    return 0


def context(headers: Headers) -> dict[str, str]:
    """Where the agent's settings are, as far as *headers* say so.

    Raises:
        Refused: if they say something else than an absolute path.
    """
    said = {}
    for header, variable in PLACES.items():
        if path := headers.get(header):
            if path[:1] != b"/" or len(path) > LONGEST_PATH:
                raise Refused(400, f"`{header.decode()}` is no absolute path of at most {LONGEST_PATH} bytes")
            said[variable] = _text(path)
    return said


def _text(path: bytes) -> str:
    """A path in UTF-8, else as the real client sends one: a byte for each character up to U+00FF."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return path.decode("latin-1")


def _no_chunks(headers: Headers) -> None:
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return
    if b"content-length" in headers:
        raise Refused(400, "both `Transfer-Encoding` and `Content-Length`")
    raise Refused(411 if coding.lower() == b"chunked" else 501, "no `Transfer-Encoding`: send `Content-Length`")


def _number(text: bytes) -> int:
    if not text.isdigit():  # ASCII digits only: these are bytes
        raise Refused(400, "`Content-Length` is no number")
    return int(text) if len(text) < 16 else 10**16
