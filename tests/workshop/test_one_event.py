"""One event, and everything that can be seen of it."""

import io
import json
from types import SimpleNamespace

import pytest

from tests.workshop.trying import asks
from wasmguard.agents import claude
from wasmguard.errors import ConfigError, EventError, UsageError
from wasmguard.workshop.one_event import (
    as_data,
    made_event,
    object_in,
    read_event,
    recorded,
    state_in,
    told,
    traced,
)

CALL = made_event("Write", {"file_path": "/etc/x", "content": "a\nb\nc\n"})


def said(trace):
    return "\n".join(text for _, text in told(trace))


def test_an_event_is_a_file_standard_input_or_recorded(tmp_path, monkeypatch):
    raw = json.dumps({**CALL.fields, "session_id": "s", "transcript_path": "/t"})
    (tmp_path / "e.json").write_text(raw)
    assert read_event(str(tmp_path / "e.json")).tool == "Write"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw.encode())))
    assert read_event("-").input == CALL.input
    assert read_event("Bash").fields == read_event("PreToolUse.Bash").fields
    assert recorded() == ["PreToolUse.Bash", "PreToolUse.Read", "PreToolUse.Write"]
    assert read_event("Bash").time > 0


def test_what_is_no_event_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: name one, `-`, or a recorded event: `PreToolUse\.Bash`"):
        read_event("none")
    (tmp_path / "e.json").write_text("[1]")
    with pytest.raises(EventError):
        read_event(str(tmp_path / "e.json"))


def test_arguments_that_are_not_what_they_must_be_are_wrong_usage():
    assert object_in('{"a": 1}', "--input") == {"a": 1}
    assert state_in("01 ff") == b"\x01\xff"
    for wrong in ("[1]", "{", '"x"', "[" * 100_000):
        with pytest.raises(UsageError, match=r"`--input .*` is no JSON object"):
            object_in(wrong, "--input")
    with pytest.raises(UsageError, match="not hexadecimal"):
        state_in("x")


def test_a_rewrite_is_shown_before_and_after_and_what_a_host_makes_of_it(bundled):
    trace = traced(str(bundled("rewrite_constant", more=asks(rewrite='["Write.file_path"]'))), CALL, {}, None)
    text = said(trace)
    assert "    - /etc/x\n    + /sandbox/moved" in text
    assert trace.granted.startswith("rewritten, passed")
    assert trace.bare.startswith('denied: it rewrites "Write.file_path", which is not granted')
    assert as_data(trace)["answer"]["rewrite"] == {"file_path": "/sandbox/moved"}
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_sent_is_what_the_manifest_reads(bundled):
    trace = traced(str(bundled("deny", more='reads = ["tool_name"]')), CALL, {}, None)
    assert set(trace.sent) == {"hook_event_name", "tool_name"}
    whole = traced(str(bundled("deny")), CALL, {}, None)
    assert set(whole.sent) == {"hook_event_name", "tool_name", "tool_input", "cwd", "time", "agent"}
    assert whole.bytes > trace.bytes


def test_an_allow_that_is_not_granted_is_told(bundled):
    trace = traced(str(bundled("allow", more=asks(effects='["allow"]'))), CALL, {}, None)
    assert trace.granted == "allowed: nobody is asked"
    assert trace.bare.endswith("`allow` is not granted: counts as `pass`")


def test_a_fault_is_told_with_its_sentence(bundled):
    trace = traced(str(bundled("indirect_null")), CALL, {}, None)
    assert "fault         trapped in " in said(trace)
    assert trace.granted == trace.bare == "denied: a policy that fails denies"
    assert as_data(trace)["answer"] is None
    assert as_data(trace)["fault"].startswith("trapped")


def test_fuel_is_told_with_its_share_of_the_limit(bundled):
    trace = traced(str(bundled("deny")), CALL, {}, None, "tight")
    assert f"{trace.said.fuel} fuel, " in said(trace)
    assert "of the limit (2_000_000)" in said(trace)


def test_what_it_remembers_is_given_and_shown_for_the_next_time(bundled):
    folder = str(bundled("counts", more=asks(state="{ max = 8 }")))
    first = traced(folder, CALL, {}, None)
    kept = as_data(first)["answer"]["state"]
    assert f"0 bytes, then 8 bytes: {kept}" in " ".join(said(first).split())
    assert as_data(traced(folder, CALL, {}, state_in(kept)))["answer"]["state"][:2] == "02"


def test_settings_are_checked_as_an_owner_s(bundled):
    folder = str(bundled("deny", more='[settings.root]\ntype = "string"\ndefault = "/a"'))
    assert traced(folder, CALL, {}, None).settings == {"root": "/a"}
    assert traced(folder, CALL, {"root": "/b"}, None).settings == {"root": "/b"}
    with pytest.raises(ConfigError, match=r"`--settings`: `settings\.rot`: the policy has no such setting"):
        traced(folder, CALL, {"rot": "/b"}, None)


@pytest.mark.parametrize(("tools", "asked"), [('["Read"]', False), ('["Wr*"]', True), ('["*"]', True)])
def test_it_is_told_when_a_host_would_not_ask(bundled, tools, asked):
    trace = traced(str(bundled("deny", more=f"tools = {tools}")), CALL, {}, None)
    assert trace.asked is asked
    assert ("a host would not ask it" in " ".join(said(trace).split())) is not asked


def test_long_texts_are_shown_by_what_changes(bundled, monkeypatch):
    from wasmguard.workshop import one_event

    before = "\n".join(map(str, range(500)))
    lines = [text for _, text in one_event._changed(before, before.replace("250", "x"))]
    assert "    -250" in lines
    assert "    +x" in lines
    assert len(lines) < 10
    assert len(list(one_event._changed(before, before.replace("1", "x")))) == one_event.MOST_LINES + 1


def test_names_of_a_strangers_event_steer_no_terminal(bundled):
    odd = "\x1b[31m\u202e\udc00"
    fields = {"hook_event_name": "PreToolUse", "tool_name": odd, "tool_input": {odd: odd}, odd: 1}
    more = {f"f{number}": 1 for number in range(100)}
    event = claude.from_mapping({**fields, **more}, time=0)
    module = bundled("pass") / "policy.wasm"
    trace = traced(lone(module), event.replaced(name=odd), {}, None)
    shown = said(trace)
    assert not any(character in shown for character in odd[:1] + odd[-2:])
    assert "and 66 more (" in " ".join(shown.split())


def lone(module):
    """The same module without a manifest, which sees everything."""
    return str(module.rename(module.with_name("lone.wasm")))
