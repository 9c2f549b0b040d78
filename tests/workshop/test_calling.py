"""A hook is called as the agent calls it, and every call ends."""

import http.server
import json
import os
import threading
import time
from pathlib import Path

import pytest

from wasmguard.workshop import calling

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CLAUDE_PROJECT_DIR": "/the/project"}


def run(*words, raw=b"", seconds=10.0, folder="/"):
    return calling.run(words, raw, environ=ENVIRON, folder=folder, seconds=seconds)


def shell(text, **given):
    return run("/bin/sh", "-c", text, **given)


def test_a_command_gets_the_event_the_folder_and_the_environment(tmp_path):
    said = shell('cat; pwd; echo "$CLAUDE_PROJECT_DIR"; echo err >&2; exit 3', raw=b'{"a":1}\n', folder=str(tmp_path))
    assert said.out == f'{{"a":1}}\n{tmp_path}\n/the/project\n'.encode()
    assert (said.code, said.err, said.trouble) == (3, b"err\n", "")


def test_a_command_is_no_shell_text_and_its_project_is_filled_in():
    assert run("/bin/echo", "a b", "$HOME", "${CLAUDE_PROJECT_DIR}/x").out == b"a b $HOME /the/project/x\n"


def test_a_large_event_and_a_large_answer_cross_each_other():
    raw = os.urandom(3_000_000)
    assert run("/bin/cat", raw=raw).out == raw


def test_a_command_need_not_read_its_event():
    said = shell("exec <&-; sleep 0.1; echo '{}'", raw=b"x" * 1_000_000)
    assert (said.out, said.code, said.trouble) == (b"{}\n", 0, "")


def test_an_empty_event_is_an_end_of_file():
    assert run("/bin/cat").out == b""


def test_the_signal_that_ended_it_is_told():
    assert shell("kill -9 $$").code == -9


def alive_in(group):
    """The processes of a group that have not ended (those that have may wait for somebody to notice)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if its_group == group and state not in "ZX":
            found.append(stat.parent.name)
    return found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sleep 60", "did not answer within 1 s"),
        ("trap '' TERM; sleep 60 & wait", "did not answer within 1 s"),
        ("echo '{}'; exec >&- 2>&-; sleep 60", "did not end"),
        ("sleep 60 & echo '{}'", "stays open"),
    ],
)
def test_a_command_that_runs_on_is_ended_with_all_that_it_started(text, why, tmp_path):
    begun = time.monotonic()
    said = shell(f"echo $$ > {tmp_path}/pid; {text}", seconds=1.0)
    assert why in said.trouble
    assert said.code is None
    assert time.monotonic() - begun < 30
    group = (tmp_path / "pid").read_text().strip()
    while alive_in(group) and time.monotonic() - begun < 30:  # what was killed takes a moment to be gone
        time.sleep(0.01)
    assert alive_in(group) == []


def test_a_command_that_never_stops_printing_is_ended():
    assert "more than 16 MiB" in run("/usr/bin/yes").trouble


@pytest.mark.parametrize("words", [["/nowhere/at/all"], ["/"], ["/etc/passwd"], [""], [], ["/bin/echo", "a\0b"]])
def test_a_command_that_cannot_be_started_is_told(words):
    said = run(*words)
    assert (said.code, said.trouble.startswith("it cannot be started: ")) == (None, True)


def test_a_folder_that_is_gone_is_told():
    assert "cannot be started" in run("/bin/true", folder="/nowhere").trouble


def test_the_agent_adds_its_variables_and_settings_cannot_change_those(monkeypatch):
    monkeypatch.setenv("OURS", "kept")
    environ = calling.environment("/p", {"CLAUDECODE": "0", "EXTRA": "1"})
    assert {name: environ[name] for name in ("OURS", "CLAUDECODE", "EXTRA", "CLAUDE_PROJECT_DIR", "PWD")} == {
        "OURS": "kept",
        "CLAUDECODE": "1",
        "EXTRA": "1",
        "CLAUDE_PROJECT_DIR": "/p",
        "PWD": "/p",
    }


def test_headers_take_only_variables_that_are_allowed():
    headers = {"A": "Bearer $TOKEN", "B": "${TOKEN}-$OTHER-$MISSING.", "C": "plain $"}
    environ = {"TOKEN": "t", "OTHER": "secret"}
    filled = calling.filled(headers, ["TOKEN", "MISSING"], environ)
    assert filled == {"A": "Bearer t", "B": "t--.", "C": "plain $"}


@pytest.fixture
def server():
    """Answers a POST as `answer` says, on the loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            length = int(self.headers["content-length"])
            made.got = self.path, dict(self.headers), self.rfile.read(length)
            made.answer(self)

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.url = f"http://127.0.0.1:{made.server_address[1]}/v1/hook/claude-code?a=b"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(5)


def answering(status, body):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_url_gets_the_event_as_the_agent_posts_it(server):
    server.answer = answering(200, b"{}")
    said = calling.post(server.url, b'{"a":1}', headers={"Authorization": "Bearer t"}, seconds=5)
    path, headers, raw = server.got
    assert (said.code, said.out, said.trouble) == (200, b"{}", "")
    assert (path, raw, headers["Content-Type"]) == ("/v1/hook/claude-code?a=b", b'{"a":1}', "application/json")
    assert headers["Authorization"] == "Bearer t"
    assert json.loads(raw) == {"a": 1}


def test_a_status_is_told_and_no_redirect_followed(server):
    server.answer = answering(301, b"")
    assert calling.post(server.url, b"{}", headers={}, seconds=5).code == 301


def slowly(handler):
    """A byte now and then, for ever: no read ever times out."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(300):
            handler.wfile.write(b" ")
            time.sleep(0.1)
    except OSError:
        pass


@pytest.mark.parametrize("answer", [slowly, lambda _: time.sleep(3)])
def test_a_url_that_answers_slowly_is_left(server, answer):
    server.answer = answer
    begun = time.monotonic()
    said = calling.post(server.url, b"{}", headers={}, seconds=0.5)
    assert "did not answer within" in said.trouble or said.out.strip() == b""
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://example.com/", "https://127.0.0.1/", "http://[", "x", "http://127.0.0.1:a/"]
)
def test_a_url_that_cannot_or_must_not_be_asked_is_told(url):
    said = calling.post(url, b"{}", headers={}, seconds=5)
    assert (said.code, bool(said.trouble)) == (None, True)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "https://127.0.0.1/", "http://10.0.0.1:80/", "ftp://localhost/"]
)
def test_no_url_off_this_machine_is_asked(url, monkeypatch):
    monkeypatch.setattr(calling.http.client.HTTPConnection, "connect", lambda _: pytest.fail("it was asked"))
    assert "leaves this machine" in calling.post(url, b"{}", headers={}, seconds=5).trouble


def test_a_header_that_cannot_be_sent_is_told(server):
    assert calling.post(server.url, b"{}", headers={"A": "b\r\nC: d"}, seconds=5).trouble
