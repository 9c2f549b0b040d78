"""The daemon's talk over HTTP on loopback, for agents that can call a URL. No I/O: bytes in, questions and bytes out.

Who is answered, in this order:

1. HTTP/1.1, read strictly (`serve.http_head`): 400, 431 or 505 otherwise. HTTP/1.0 is answered, then closed.
2. `Host` names this port on this machine; else a name was rebound to it: 421.
3. `Origin` and `Sec-Fetch-*` come from browsers, where any page may send: 403. No answer carries a CORS header.
4. Who does not show the token learns nothing but that: 401.
5. The path: 404, 405. Then the kind, the length and the place of the event: 415, 411, 501, 413, 417, 400. An event is
   too long here if a hook would not read it; to one over `limits.event` the answer is 200 and a refusal, because a
   status leaves an output that has to be withheld as it is.

How:

6. The answer to an event, or to the question of an SDK's callback, is 200 and one JSON object, deny or not: that is
   what the agent obeys (Claude Code 2.1.329). Never an empty 2xx, which means "no opinion". Who cannot answer says 500
   or 503, and `onFailure` blocks. Every answer names its `Server`: another one that listens here, and says `{}` to
   everything, is not taken for a guard that has no opinion.
7. One question at a time; what was sent behind it waits. A refusal ends the connection: a body may follow.
8. An idle connection is closed by the client (`KEPT`): if we did, its next event could meet the end of it, and fail.
"""

from __future__ import annotations

from wasmguard import bearer, link, wire
from wasmguard.link import ANSWERED, BLOCKED, ELSEWHERE, EVENT, PIECE, STATUS
from wasmguard.serve import http_head
from wasmguard.serve.http_head import BROWSERS, LARGEST, Refused
from wasmguard.serve.talk import METRICS, PERMISSION, SCHEMA, Question

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 60  # seconds that a client may keep an idle connection; whoever owns the sockets keeps it longer

ROUTES = {
    b"/v1/hook/claude-code": (b"POST", EVENT),
    b"/v1/hook/claude": (b"POST", EVENT),
    b"/v1/can-use-tool": (b"POST", PERMISSION),
    b"/v1/schema": (b"GET", SCHEMA),
    b"/v1/status": (b"GET", STATUS),
    b"/metrics": (b"GET", METRICS),
}
PATHS = ", ".join(f"{method.decode()} {path.decode()}" for path, (method, _) in ROUTES.items())
NAMES = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    411: b"Length Required",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}
JSON, TEXT = b"application/json", b"text/plain; version=0.0.4; charset=utf-8"
SERVER = b"Server: wasmguard"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSED, OPEN = b"Connection: close", b"Connection: keep-alive\r\nKeep-Alive: timeout=%d" % KEPT


class HttpTalk:
    """One connection (`serve.talk.Talk`)."""

    def __init__(self, token: str, port: int, most: Callable[[], int]) -> None:
        """Agents show *token* and call this machine's *port*; *most* says how many bytes of a callback's question are
        taken."""
        self.out, self.over, self.need = bytearray(), False, 0
        self._token, self._most = token, most
        self._hosts = frozenset(f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", "[::1]"))
        self._in = bytearray()
        self._looked = 0  # bytes in which no head ends
        self._coming: Question | None = None  # without its payload, which may be coming
        self._length = 0  # of that payload
        self._asked = False  # a question waits for its answer

    @property
    def begun(self) -> bool:
        """Whether a part of a question is there, and the rest is not."""
        return self.need > 0 or bool(self._looked)

    def received(self, data: bytes) -> None:
        """Hear *data*. Never raises."""
        if self.over:
            return
        self._in += data
        if self._coming:
            self.need = max(0, self._length - len(self._in))
        elif not self._asked:
            self._look()
        ahead = len(self._in) - (self._length if self._coming else 0)
        if ahead > LARGEST + PIECE and ahead > LARGEST + PIECE + self._most():
            self._end()  # nobody who waits for answers asks that much

    def question(self) -> Question | None:
        """The next whole question, when the one before was answered."""
        if self._coming is None or self.need:
            return None
        question, self._coming, self._asked = self._coming, None, True
        with memoryview(self._in) as view:
            payload = bytes(view[: self._length])
        del self._in[: self._length]
        return question.replaced(payload=payload) if payload else question

    def answer(self, question: Question, code: int, answer: bytes, complaint: bytes) -> None:
        """Say *answer* (rule 6). There is no place for the *complaint*."""
        if self.over:
            return
        self._asked = False
        if code == ELSEWHERE:
            self._refuse(Refused(503, "the daemon is ending: try again"))
        elif code not in (ANSWERED, BLOCKED) or (question.kind != METRICS and not _is_object(answer)):
            self._refuse(Refused(500, "no answer: please report it"))
        else:
            kind = TEXT if question.kind == METRICS else JSON
            self.out += _message(200, kind, answer, CLOSED if question.last else OPEN)
            if question.last:
                self._end()
            else:
                self._look()

    def _look(self) -> None:
        """Read the next head, if it is there."""
        try:
            end = self._in.find(b"\r\n\r\n", max(0, self._looked - 3), LARGEST)
            if end < 0:
                http_head.look_early(self._in, self._looked)
                self._looked = len(self._in)
                return
            head = bytes(self._in[:end])
            del self._in[: end + 4]
            self._looked = 0
            self._admit(head)
        except Refused as refused:
            self._refuse(refused)

    def _admit(self, head: bytes) -> None:
        """Let a question in, by rules 1 to 5."""
        method, target, minor, headers = http_head.read(head)
        if b"host" not in headers:
            raise Refused(400, "no `Host`")
        if headers[b"host"].lower() not in self._hosts:
            raise Refused(421, "this is another host")
        if not BROWSERS.isdisjoint(headers):
            raise Refused(403, "browsers are not answered")
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not bearer.same(shown, self._token):
            raise Refused(401, "show the token: `Authorization: Bearer ...`", b"WWW-Authenticate: Bearer")
        wanted, kind = ROUTES.get(target, (b"", 0))
        if not wanted:
            raise Refused(404, f"nothing is here, but at {PATHS}")
        if method != wanted:
            raise Refused(405, f"only {wanted.decode()} works here", b"Allow: " + wanted)
        posted = method == b"POST"
        most = self._most if kind == PERMISSION else _largest_event
        length = http_head.length_of_event(headers, most) if posted else http_head.no_body(headers)
        expected = headers.get(b"expect")
        if expected is not None and expected.lower() != b"100-continue":
            raise Refused(417, "only `100-continue` can be expected")
        last = minor == b"0" or b"close" in headers.get(b"connection", b"").lower().translate(None, b" \t").split(b",")
        context = http_head.context(headers)
        self._coming = Question(kind=kind, payload=b"", context=context, ours=True, last=last)
        self._length, self.need = length, max(0, length - len(self._in))
        if expected and self.need and minor == b"1":
            self.out += CONTINUE

    def _refuse(self, refused: Refused) -> None:
        body = wire.written({"error": str(refused)}).encode() + b"\n"
        self.out += _message(refused.status, JSON, body, *refused.lines, CLOSED)
        self._end()

    def _end(self) -> None:
        """Close when all is sent; what comes from now on is dropped."""
        self.over, self.need, self._coming, self._looked = True, 0, None, 0
        self._in.clear()


def _largest_event() -> int:
    """As from a hook: who decides says no to an event over the limit, in its own form (rule 5)."""
    return link.LARGEST


def _is_object(answer: bytes) -> bool:
    return answer[:1] == b"{" and answer.rstrip()[-1:] == b"}"


def _message(status: int, kind: bytes, body: bytes, *lines: bytes) -> bytes:
    first = (b"HTTP/1.1 %d %b" % (status, NAMES[status]), SERVER, b"Content-Type: " + kind, b"Cache-Control: no-store")
    rest = (b"X-Content-Type-Options: nosniff", b"Content-Length: %d" % len(body), b"", body)
    return b"\r\n".join((*first, *lines, *rest))
