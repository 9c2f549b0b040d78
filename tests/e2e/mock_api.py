"""A mock of the Anthropic Messages API on the loopback: enough for the real Claude Code client, scripted, offline.

A *script* is a list of turns; a turn is what the model "says" in one reply, a list of blocks:

    {"text": "done"}                                        a text block
    {"tool": "Write", "input": {"file_path": ..., ...}}     a tool call
    {"sleep": 1.5}                                          wait before answering
    {"http_error": 400}                                     answer the request with this status instead

The mock keeps no state between requests. A prompt names its script with `[[script:NAME]]`; the turn that is due is
the number of assistant messages after that prompt, so retries and resumed sessions come out right, and a sub-agent
(whose own prompt names another script) does not disturb its parent. After the last turn the mock says "done".
Requests that name no script (titles, topic detection, quota probes) are answered "ok". A string `@@REP:x:300000` in a
tool input is replaced by 300000 times "x": big inputs need not be written out.

On its own: `python -m tests.e2e.mock_api scripts.json [--port 0]` prints the address and runs until it is stopped.
"""

import argparse
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

MARK = re.compile(r"\[\[script:([\w.-]+)\]\]")
USAGE = {"input_tokens": 10, "output_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


class MockAPI:
    """The server, in a thread of this process. `requests` holds what it was asked, oldest first."""

    def __init__(self, scripts, port=0):
        self.scripts = scripts
        self.requests = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def reply(self, body):
        """(status, message) for one request of a message."""
        name, turn, blocks = self._due(body.get("messages", []))
        last = (body.get("messages") or [{}])[-1]
        parts = last.get("content") if isinstance(last.get("content"), list) else []
        results = [part for part in parts if part.get("type") == "tool_result"]
        self.requests.append({"script": name, "turn": turn, "last_text": _texts(last), "tool_results": results})
        content = []
        for block in blocks:
            if "http_error" in block:
                return block["http_error"], _error("invalid_request_error", "mock error")
            if "sleep" in block:
                time.sleep(block["sleep"])
            else:
                content.append(_said(block))
        return 200, _message(body.get("model", "mock"), content)

    def _due(self, messages):
        """(script name, turn number, blocks): the newest prompt that names a script, and how far it has come."""
        for at in range(len(messages) - 1, -1, -1):
            if messages[at].get("role") != "user":
                continue
            for text in _texts(messages[at]):
                found = MARK.search(text)
                if found and found[1] in self.scripts:
                    script = self.scripts[found[1]]
                    turn = sum(message.get("role") == "assistant" for message in messages[at + 1 :])
                    return found[1], turn, script[turn] if turn < len(script) else [{"text": "done"}]
        return None, -1, [{"text": "ok"}]


def _texts(message):
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or [] if part.get("type") == "text"]


def _said(block):
    """One block of a script as the API says it."""
    if "text" in block:
        return {"type": "text", "text": block["text"]}
    called = {"name": block["tool"], "input": _expanded(block["input"])}
    return {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", **called}


def _expanded(value):
    """A tool input, its `@@REP:x:n` strings written out."""
    if isinstance(value, str) and value.startswith("@@REP:"):
        _, text, count = value.split(":")
        return text * int(count)
    if isinstance(value, dict):
        return {key: _expanded(item) for key, item in value.items()}
    return [_expanded(item) for item in value] if isinstance(value, list) else value


def _message(model, content):
    calls = any(part["type"] == "tool_use" for part in content)
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": dict(USAGE),
    }


def _error(kind, text):
    return {"type": "error", "error": {"type": kind, "message": text}}


def _streamed(message):
    """The server-sent events of one message, as bytes."""
    opening = {**message, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    events = [{"type": "message_start", "message": opening}]
    for index, part in enumerate(message["content"]):
        if part["type"] == "text":
            empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": part["text"]}
        else:
            empty = {**part, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
        events += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events += [{"type": "message_delta", "delta": ending, "usage": {"output_tokens": 10}}, {"type": "message_stop"}]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def _handler(api):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            """Nothing: a test's output is its own."""

        def do_HEAD(self):
            self._send(200, b"")

        def do_GET(self):
            self._send(404, _error("not_found_error", "mock"))

        def do_POST(self):
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = urlsplit(self.path).path
            if path.endswith("/count_tokens"):
                return self._send(200, {"input_tokens": 10})
            if not path.endswith("/v1/messages"):
                return self._send(404, _error("not_found_error", "mock"))
            body = json.loads(raw)
            status, message = api.reply(body)
            if status == 200 and body.get("stream"):
                return self._send(200, _streamed(message), "text/event-stream")
            return self._send(status, message)

        def _send(self, status, body, kind="application/json"):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("request-id", "req_mock")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):  # the client was ended in the middle of a request
                self.close_connection = True

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", help="JSON file: {name: [turn, ...]}")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with MockAPI(json.loads(Path(options.scripts).read_text(encoding="utf-8")), port=options.port) as api:
        print(api.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
