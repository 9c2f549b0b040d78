"""A model that says what it is told to."""

import json
import urllib.error
import urllib.request

import pytest

from wasmguard.workshop.mock_api import MARK, MockModel, reply, streamed

CALLS = [{"name": "Write", "input": {"file_path": "/x"}}, {"name": "Bash", "input": {"command": "ls"}}]
PROMPT = {"role": "user", "content": f"go {MARK}"}
SAID = {"role": "assistant", "content": []}
RESULT = {"role": "user", "content": [{"type": "tool_result", "content": "x"}]}


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([PROMPT], "Write"),
        ([PROMPT, SAID, RESULT], "Bash"),
        ([PROMPT, SAID, RESULT, SAID, RESULT], "done"),
        ([{"role": "user", "content": [{"type": "text", "text": MARK}]}], "Write"),
        ([{"role": "user", "content": "another"}], "ok"),
        ([], "ok"),
        ([{"role": "user", "content": None}, {"role": "assistant", "content": MARK}], "ok"),
    ],
)
def test_the_turn_that_is_due_follows_from_the_messages_alone(messages, said):
    (part,) = reply(CALLS, {"messages": messages})["content"]
    assert part.get("name", part.get("text")) == said


def test_a_stream_holds_the_whole_call():
    lines = streamed(reply(CALLS, {"messages": [PROMPT]})).decode().splitlines()
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    deltas = [json.loads(event)["delta"] for event in events if "partial_json" in event]
    assert json.loads(deltas[0]["partial_json"]) == CALLS[0]["input"]
    assert json.loads(events[-1])["type"] == "message_stop"


def asked(url, body=None):
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.read()


def test_it_listens_on_the_loopback_and_is_gone_afterwards():
    with MockModel(CALLS) as model:
        assert model.url.startswith("http://127.0.0.1:")
        said = json.loads(asked(f"{model.url}/v1/messages?beta=true", {"messages": [PROMPT]}))
        assert said["stop_reason"] == "tool_use"
        assert b"event: message_start" in asked(f"{model.url}/v1/messages", {"messages": [PROMPT], "stream": True})
        assert asked(f"{model.url}/v1/messages/count_tokens", {}) == b'{"input_tokens":10}'
        for path, body in (("/", None), ("/v1/elsewhere", {})):
            with pytest.raises(urllib.error.HTTPError):
                asked(model.url + path, body)
    with pytest.raises(urllib.error.URLError):
        asked(model.url)
