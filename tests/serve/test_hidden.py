"""An output that nobody could judge: withheld where a policy might have rewritten it, else as it is without us."""

import json
import os

import pytest

from tests.agents.claude_rules import validate
from wasmguard import plan
from wasmguard.guest.outputs import NOTICE
from wasmguard.lock import lock
from wasmguard.serve import hidden

EVENT = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_input": {}, "tool_response": {"stdout": "s3cret"}}
HELD = {"stdout": NOTICE}
GRANTED = {"events": '["PostToolUse"]', "grants.rewrite_output.Bash": '{ max = "1 KiB" }'}


def does(payload, rewrites=hidden.nobody_knows):
    """What the client does with the answer."""
    said = hidden.answer("PostToolUse", payload, "wasmguard: why", rewrites)
    assert "s3cret" not in json.dumps(said)
    return validate("PostToolUse", json.dumps(said).encode() + b"\n")


def raw(more=b"", **fields):
    return json.dumps({**EVENT, **fields}).encode()[:-1] + more + b"}"


@pytest.mark.parametrize("payload", [EVENT, raw(), raw(b',"x":1,"x":2'), b"\xef\xbb\xbf" + raw(), raw(cwd=7)], ids=str)
def test_it_is_withheld_in_its_own_shape(payload):
    assert does(payload).output == HELD


def test_of_two_outputs_the_client_shows_the_last_so_that_one_is_withheld():
    assert does(raw(b',"tool_response":[{"type":"text","text":"s3cret"}]')).output == [{"type": "text", "text": NOTICE}]


def test_where_no_policy_might_have_rewritten_it_stays_as_it_is():
    assert does(EVENT, lambda _event: False).does == "no opinion"
    assert does(b"{", lambda _event: False).does == "no opinion"


def test_an_event_without_a_tool_is_one_of_every_tool():
    asked = []

    def rewrites(event):
        asked.append(event.tool)
        return event.tool is None

    assert does(raw(), rewrites).does == "no opinion"
    assert does(raw(tool_name=None), rewrites).output == HELD
    assert asked == [None, "Bash", None, None]


class Odd(dict):
    def get(self, *_):
        raise OSError("s3cret")


DEEP = {"tool_response": []}
for _ in range(5_000):
    DEEP = {"tool_response": DEEP}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        raw()[:-1],
        b"[]",
        b"null",
        b'"' * 9,
        b"[" * 100_000,
        None,
        7,
        Odd(),
        DEEP,
        raw(b',"x":' + b"9" * 5_000),
    ],
    ids=lambda payload: str(type(payload).__name__),
)
def test_what_cannot_be_read_ends_the_run(payload):
    outcome = does(payload)
    assert outcome.ends
    assert outcome.reason == "wasmguard: why"


def test_whatever_goes_wrong_while_it_is_said_ends_the_run():
    assert does(EVENT, lambda _event: 1 / 0).ends


def test_an_event_that_has_no_output_has_nothing_to_hide():
    assert does({**EVENT, "tool_response": None}).does == "no opinion"


# Which policies there are, by the plan that was written last


@pytest.mark.parametrize(
    ("keys", "withheld"),
    [
        (GRANTED, True),
        ({"events": '["PostToolUse"]'}, False),
        ({**GRANTED, "shadow": "true"}, False),
        ({**GRANTED, "grants.rewrite_output.Bash": '{ max = "1 KiB" }', "events": '["PreToolUse"]'}, False),
        ({"events": '["PostToolUse"]', "grants.rewrite_output.Read": '{ max = "1 KiB" }'}, False),
        ({"events": '["PostToolUse"]', 'grants.rewrite_output."*"': '{ max = "1 KiB" }'}, True),
    ],
)
@pytest.mark.parametrize("broken", [None, "gone", "other"])
def test_the_last_plan_says_it_whether_it_counts_or_not(configured, keys, withheld, broken):
    config = str(configured("redacts", redacts=keys))
    lock(config, repin=False)
    if broken == "gone":
        os.unlink(config)
    elif broken == "other":
        with open(config, "a", encoding="utf-8") as file:
            file.write("\nbroken = [\n")
    assert (does(EVENT, hidden.planned(config)).output == HELD) is withheld


def test_without_a_plan_to_be_trusted_nobody_knows(configured, tmp_path):
    config = str(configured("pass"))
    assert hidden.planned(None) is hidden.nobody_knows
    assert hidden.planned(config) is hidden.nobody_knows
    assert hidden.planned(str(tmp_path / "none\0.toml")) is hidden.nobody_knows
    lock(config, repin=False)
    assert does(EVENT, hidden.planned(config)).does == "no opinion"
    with open(plan.file_of(config), "r+b") as file:
        file.write(b"x")
    assert hidden.planned(config) is hidden.nobody_knows
