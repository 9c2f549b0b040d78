"""A model that says what it is told to: as much of Anthropic's Messages API as the real Claude Code client needs.

1. It listens on the loopback, on a free port, in a thread of this process.
2. It keeps no state between requests: the turn that is due is the number of assistant messages after the prompt that
   holds `MARK`, so retries come out right. After the last turn it says "done".
3. Requests without that prompt (titles, quota probes) are answered "ok".
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Self

    Message = dict[str, Any]

MARK = "[[wasmguard doctor]]"
USAGE = {"input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
LARGEST = 64 * 2**20  # bytes of a request


class MockModel:
    """The server of one script: a list of tool calls, each `{"name": ..., "input": {...}}`, one a turn."""

    def __init__(self, calls: Sequence[Mapping[str, Any]]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(calls))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """What `ANTHROPIC_BASE_URL` is to say."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def reply(calls: Sequence[Mapping[str, Any]], request: Message) -> Message:
    """What the model says to *request*."""
    turn = _turn(request.get("messages") or [])
    said: Message = {"type": "text", "text": "ok" if turn is None else "done"}
    if turn is not None and turn < len(calls):
        said = {"type": "tool_use", "id": f"toolu_doctor{turn:018}", **calls[turn]}
    return {
        "id": f"msg_doctor{0 if turn is None else turn + 1:018}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "mock"),
        "content": [said],
        "stop_reason": "tool_use" if said["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": dict(USAGE),
    }


def streamed(message: Message) -> bytes:
    """*message*, of one block, as server-sent events."""
    (part,) = message["content"]
    empty: Message
    delta: Message
    if part["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": part["text"]}
    else:
        empty = {**part, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
    opening = {**message, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events: list[Message] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 10}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def _turn(messages: list[Message]) -> int | None:
    """How far the conversation about our prompt has come; None if there is none (rules 2 and 3)."""
    answers = 0
    for message in reversed(messages):
        if message.get("role") == "user" and any(MARK in text for text in _texts(message)):
            return answers
        answers += message.get("role") == "assistant"
    return None


def _texts(message: Message) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (str(part["text"]) for part in content if isinstance(part, dict) and part.get("type") == "text")


def _handler(calls: Sequence[Mapping[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60  # seconds that a connection may stand still

        def log_message(self, *_: object) -> None:
            """Nothing: what doctor prints is its own."""

        def do_HEAD(self) -> None:
            self._send(200, b"")

        def do_GET(self) -> None:
            self._send(404, b"{}")

        def do_POST(self) -> None:
            path, length = urlsplit(self.path).path, int(self.headers.get("content-length") or 0)
            if length > LARGEST or not path.endswith(("/v1/messages", "/count_tokens")):
                self.close_connection = True
                return self._send(404, b"{}")
            request = json.loads(self.rfile.read(length))
            if path.endswith("/count_tokens"):
                return self._send(200, b'{"input_tokens":10}')
            message = reply(calls, request)
            if request.get("stream"):
                return self._send(200, streamed(message), "text/event-stream")
            return self._send(200, json.dumps(message).encode())

        def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            try:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client was ended in the middle of a request
                self.close_connection = True

    return Handler
