"""Claude Code's dialect, held against recorded payloads and against the client's own rules (`claude_rules`)."""

import inspect
import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.claude_rules import ENDS, INSTRUCTED, SPECIFIC, Unfit, validate
from wasmguard.agents import claude
from wasmguard.agents.interface import Dialect
from wasmguard.decision import Decision, Effect, Verdict, refused, settle
from wasmguard.errors import EventError
from wasmguard.event import AFTER, GATING, OUTPUTS, STOPPING, TOOL_GATES, Event
from wasmguard.limits import REASON

PASS, ALLOW, ASK, DENY = Effect
WIRE = Path(__file__).parents[1] / "wire" / "claude"
RECORDED = {f"{path.parent.name}/{path.stem}": path.read_bytes() for path in sorted(WIRE.glob("*/*.json"))}
each_recorded_payload = pytest.mark.parametrize("raw", RECORDED.values(), ids=RECORDED.keys())
EVENTS = [*claude.KNOWN, "SomethingNew"]
UPDATE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
INPUT = {"file_path": "/etc/x", "content": "x"}
MOVED = {"file_path": "/sandbox/etc/x", "content": "x"}
STRICTNESS = {"no opinion": PASS, "runs": ALLOW, "asks": ASK, "blocked": DENY, "goes on working": DENY}
OUTPUT = {"stdout": "[gone]", "stderr": "", "interrupted": False, "isImage": False}


def event(name="PreToolUse", **fields):
    about = {"tool_name": "Write", "tool_input": INPUT, "prompt": "p", "permission_mode": "default"}
    return claude.from_mapping({"hook_event_name": name, **about, **fields})


def decided(effect, **said):
    return settle([Verdict(policy="p", effect=effect, reason="because", **said)])


def faulty(effect=DENY):
    return Verdict.failed("broken", "out of fuel", effect)


def carried_out(decision, name="PreToolUse", **fields):
    """What the client does with our answer."""
    about = event(name, **fields)
    return validate(name, claude.encode(claude.render(about, decision)), INPUT)


def test_the_dialect_keeps_the_promise():
    promise = {key: value for key, value in vars(Dialect).items() if inspect.isfunction(value) and key[0] != "_"}
    assert promise.keys() == {"parse", "from_mapping", "name_of", "render", "refusal", "encode"}
    for key, promised in promise.items():
        kept = inspect.signature(getattr(claude, key))
        assert [*kept.parameters.values()] == [*inspect.signature(promised).parameters.values()][1:], key
    assert claude.name == "claude"


# What the client sends


@each_recorded_payload
def test_a_recorded_payload_is_read_whole(raw):
    parsed = claude.parse(raw, time=7)
    fields = json.loads(raw)
    assert parsed == Event(name=fields["hook_event_name"], agent="claude", fields=fields, time=7, checked=True)
    assert claude.from_mapping(json.loads(raw), time=7) == parsed
    assert claude.name_of(raw) == parsed.name
    assert parsed.name in claude.KNOWN


@each_recorded_payload
def test_a_recorded_payload_survives_the_way_back(raw):
    """Edge cases included: lone surrogates, NUL, rounded integers, floats."""
    again = claude.encode(claude.parse(raw).fields)
    assert again.isascii()
    assert claude.parse(again) == claude.parse(raw)


@each_recorded_payload
def test_every_truncation_of_a_recorded_payload_is_refused_and_named_rightly(raw):
    name = claude.parse(raw).name
    for size in range(0, len(raw.rstrip()), 7):
        with pytest.raises(EventError):
            claude.parse(raw[:size])
        assert claude.name_of(raw[:size]) in (name, None)


def test_every_event_that_the_client_was_seen_to_send_is_recorded():
    recorded = {claude.parse(raw).name for raw in RECORDED.values()}
    never = {"FileChanged", "DirectoryAdded", "WorktreeCreate", "WorktreeRemove", "TeammateIdle"}
    assert recorded == claude.KNOWN.keys() - never


def test_the_payloads_of_the_sdk_and_of_http_are_the_same_objects():
    control = next(WIRE.glob("*/control"))
    lines = [json.loads(line) for line in (control / "cli_to_sdk.jsonl").read_text(encoding="utf-8").splitlines()]
    inputs = [line["request"]["input"] for line in lines if line["request"]["subtype"] == "hook_callback"]
    inputs.append(json.loads((control / "http_hook_request.json").read_bytes())["body"])
    assert {claude.from_mapping(payload).tool for payload in inputs} == {"Write", "Bash"}


NOTHING = object()
WRONG = [
    ("PreToolUse", "hook_event_name", (NOTHING, None, "", 1, ["PreToolUse"])),
    ("PreToolUse", "tool_name", (NOTHING, None, "", 5)),
    ("PreToolUse", "tool_input", (NOTHING, None, "x", [])),
    ("PermissionRequest", "tool_name", (NOTHING, None, "")),
    ("PermissionRequest", "tool_input", (NOTHING, None, 1)),
    ("UserPromptSubmit", "prompt", (NOTHING, None, ["p"])),
    ("PreToolUse", "permission_mode", (None, 1)),
    ("Stop", "permission_mode", (None, [])),
    ("PreToolUse", "cwd", (None, 1)),
    ("Notification", "cwd", ({},)),
]


@pytest.mark.parametrize(("name", "field", "value"), [(n, f, v) for n, f, values in WRONG for v in values])
def test_an_event_that_lacks_what_it_is_about_is_refused(name, field, value):
    payload = {key: said for key, said in {**event(name).fields, field: value}.items() if said is not NOTHING}
    with pytest.raises(EventError, match=field):
        claude.from_mapping(payload)
    with pytest.raises(EventError, match=field):
        claude.parse(json.dumps(payload).encode())


def test_nothing_else_is_required_and_nothing_is_dropped():
    for name in EVENTS:
        if name not in ("PreToolUse", "PermissionRequest", "UserPromptSubmit"):
            assert claude.from_mapping({"hook_event_name": name}).fields == {"hook_event_name": name}
    assert claude.from_mapping({"hook_event_name": "UserPromptSubmit", "prompt": ""}).fields["prompt"] == ""
    assert event(from_the_future={"a": [1]}).fields["from_the_future"] == {"a": [1]}


FEW = settings(max_examples=150, deadline=None)
BITS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\0",
    b"\xff",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b'"hook_event_name":"Stop",',
]


@st.composite
def mutated(draw):
    """A recorded payload with a few bytes taken out, put in, repeated or changed."""
    raw = draw(st.sampled_from([*RECORDED.values()]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 20)))
        piece = draw(st.sampled_from([*BITS, b"", raw[start:end] * 2, draw(st.binary(max_size=4))]))
        raw = raw[:start] + piece + raw[end:]
    return raw


@FEW
@given(st.binary() | mutated())
def test_no_bytes_raise_anything_but_an_event_error(raw):
    name = claude.name_of(raw)
    assert name is None or type(name) is str
    try:
        parsed = claude.parse(raw)
    except EventError:
        return
    assert name == parsed.name, "what parses has one name"
    assert json.loads(raw.decode("utf-8-sig")) == parsed.fields


# The name of what cannot be parsed


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'{"hook_event_name":"PreToolUse","tool_input":{"hook_event_name":"Stop"}}', "PreToolUse"),
        (b'{"tool_input":{"hook_event_name":"Stop"},"hook_event_name":"PreToolUse","a":NaN', "PreToolUse"),
        (b'{"tool_input":{"a":"}","hook_event_name":"Stop"', None),
        (b'{"tool_input":{"a":"\\"}","hook_event_name":"Stop"},"hook_event_name":"PreToolUse"}', "PreToolUse"),
        (b'{"tool_input":[{"hook_event_name":"Stop"}],"hook_event_name":"PreToolUse"}', "PreToolUse"),
        (b'{"tool_input":' + b'{"a":' * 10_000 + b'{"hook_event_name":"Stop"', None),
        (b'{"hook_event_name":"PreToolUse","tool_input":' + b"[" * 10_000, "PreToolUse"),
        (rb'{"\u0068ook_event_name":"PreToolUse","hook_event_name":"Stop"}', "PreToolUse"),
        (b'{"hook_event_name":"Stop","hook_event_name":"PreToolUse"}', "PreToolUse"),
        (b'{"hook_event_name":"PreToolUse","hook_event_name":"PreToolUse"}', "PreToolUse"),
        (b'{"hook_event_name":"Notification","hook_event_name":"Stop"}', None),
        (b'{"hook_event_name":"PreToolUse","hook_event_name":"UserPromptSubmit"}', None),
        (b'{"hook_event_name":7,"hook_event_name":"Stop"}', None),
        (b'{"hook_event_name":"Stop"}{"hook_event_name":"PreToolUse"}', "PreToolUse"),
        (b'{"hook_event_name":"Stop', None),
        (b'{"hook_event_name":"Stop","last_assistant_message":"' + b"x" * 5_000_000, "Stop"),
        (b'{"hook_event_name":""}', None),
        (b'{"hook_event_name":null}', None),
        (b'["hook_event_name","Stop"]', None),
        (b"", None),
        (b"not json", None),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_name_is_read_from_the_top_level_only_and_doubt_is_no_name(raw, name):
    assert claude.name_of(raw) == name


KEYS = st.sampled_from(["hook_event_name", "a", '"', "\\", "}"])
TOOL_INPUTS = st.recursive(
    st.sampled_from(["Stop", '"hook_event_name":"Stop"', '\\"}}', "}", 1, None]),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=10,
)


@FEW
@given(st.dictionaries(KEYS, TOOL_INPUTS), st.booleans(), st.data())
def test_a_tool_input_cannot_make_a_tool_call_look_like_a_stop(tool_input, last, data):
    fields = {"session_id": "s", "tool_input": tool_input, "hook_event_name": "PreToolUse", "tool_name": "Write"}
    if last:
        fields["tool_input"] = fields.pop("tool_input")
    raw = json.dumps(fields).encode()
    assert claude.name_of(raw) == "PreToolUse"
    assert claude.name_of(raw[: data.draw(st.integers(0, len(raw)))]) in ("PreToolUse", None)


# What the client is told


def test_the_known_events_are_those_of_the_client():
    assert len(claude.KNOWN) == 33
    assert claude.KNOWN.keys() == SPECIFIC.keys()
    assert {name for name, form in claude.KNOWN.items() if form.effect} == GATING | AFTER
    assert {name for name, form in claude.KNOWN.items() if form.effect == claude.MESSAGE} == AFTER
    assert {name for name, form in claude.KNOWN.items() if form.context == claude.ADDITIONAL} == {
        name for name, keys in SPECIFIC.items() if "additionalContext" in keys and name not in STOPPING
    }
    assert {name for name, form in claude.KNOWN.items() if form.context == claude.SYSTEM} == INSTRUCTED.keys()
    assert {name for name, form in claude.KNOWN.items() if form.ends} == ENDS
    assert {name for name, keys in SPECIFIC.items() if "updatedToolOutput" in keys} == OUTPUTS


MODES = ["default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions", "someNewMode"]


def all_decisions():
    """Every effect, meant or failed, with and without everything that can ride along."""
    rides = product((None, MOVED), (False, True), ("", "note"), ((), (UPDATE,)), (None, OUTPUT))
    for effect, (rewrite, interrupt, context, permissions, output) in product(Effect, [*rides]):
        said = {"rewrite": rewrite, "interrupt": interrupt, "context": context, "permissions": permissions}
        meant = Verdict(policy="p", effect=effect, reason="because", output=output, **said)
        yield from (settle([meant]), settle([meant, faulty(ASK)]), settle([faulty(DENY), meant]))


ALL = [(decision, mode) for decision in all_decisions() for mode in MODES]


def meant(decision):
    """The strictest effect that a policy meant, and whether it wants the run to end."""
    said = [verdict for verdict in decision.verdicts if not verdict.fault]
    effect = max(verdict.effect for verdict in said)
    return effect, any(verdict.interrupt and verdict.effect is DENY for verdict in said)


@pytest.mark.parametrize("name", sorted(GATING - STOPPING))
def test_no_answer_is_looser_than_its_decision(name):
    for decision, mode in ALL:
        outcome = carried_out(decision, name, permission_mode=mode)
        decided_here = (
            decision.effect if decision.effect >= ASK or name in TOOL_GATES else PASS
        )  # else nothing to allow
        assert STRICTNESS[outcome.does] >= decided_here
        assert outcome.does == "blocked" or decision.rewrite in (None, outcome.input), "a rewrite was lost"


@pytest.mark.parametrize("name", sorted(STOPPING))
def test_a_stop_goes_on_exactly_when_a_policy_meant_it(name):
    for decision, mode in ALL:
        effect, interrupt = meant(decision)
        does = carried_out(decision, name, permission_mode=mode).does
        goes_on = "ends" if interrupt and name in ENDS else "goes on working"
        assert does == (goes_on if effect >= ASK else "no opinion")


@pytest.mark.parametrize("name", sorted(AFTER))
def test_after_a_call_the_model_is_told_exactly_what_a_policy_meant(name):
    for decision, mode in ALL:
        effect, interrupt = meant(decision)
        outcome = carried_out(decision, name, permission_mode=mode)
        assert outcome.does == ("told" if effect >= ASK else "no opinion")
        assert outcome.ends == (interrupt and name in ENDS)


@pytest.mark.parametrize("name", EVENTS)
def test_a_new_output_is_said_whatever_was_decided(name):
    for decision, mode in ALL:
        outcome = carried_out(decision, name, permission_mode=mode)
        assert outcome.output == (decision.output if name in OUTPUTS else None)


def test_an_output_that_was_withheld_for_a_fault_is_withheld_although_the_fault_is_not_said():
    withheld = Verdict.failed("broken", "out of fuel", output="[withheld]")
    answer = claude.render(event("PostToolUse"), settle([withheld]))
    assert answer == specific("PostToolUse", updatedToolOutput="[withheld]")


@pytest.mark.parametrize("output", ["", [], {}, "text", [{"type": "text", "text": "[gone]"}], OUTPUT])
def test_an_output_of_any_shape_is_said_as_it_is(output):
    answer = claude.render(event("PostToolUse"), settle([Verdict(policy="p", output=output)]))
    assert answer == specific("PostToolUse", updatedToolOutput=output)


@pytest.mark.parametrize("name", sorted({*EVENTS} - GATING - AFTER))
def test_an_observed_event_is_never_stopped(name):
    assert {carried_out(decision, name).does for decision, _ in ALL} == {"no opinion"}


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_rides_along_that_was_not_decided(name):
    for decision, mode in ALL:
        outcome = carried_out(decision, name, permission_mode=mode)
        assert outcome.input in (None, decision.rewrite)
        assert outcome.permissions in ((), decision.permissions)
        assert outcome.context in ("", decision.context)
        assert outcome.output in (None, decision.output)
        assert outcome.ends <= meant(decision)[1]


@pytest.mark.parametrize("name", EVENTS)
def test_a_pass_is_an_empty_object(name):
    assert claude.render(event(name), decided(PASS)) == {}
    assert claude.encode(claude.render(event(name), settle([]))) == b"{}\n"


def specific(name="PreToolUse", **said):
    return {"hookSpecificOutput": {"hookEventName": name, **said}}


def switch(effect):
    return specific("PreModelSwitch", permissionDecision=effect, permissionDecisionReason=SAID)


SAID = 'policy "p" says (untrusted text): "because"'
NO_REWRITE = "wasmguard: TaskCreated cannot carry out a rewrite of the tool input"
NOTE = 'policy "p" adds (untrusted text): "note"'
BLOCK = {"decision": "block", "reason": SAID}


@pytest.mark.parametrize(
    ("name", "effect", "ride", "answer"),
    [
        ("PreToolUse", PASS, {"context": "note"}, specific(additionalContext=NOTE)),
        ("PreToolUse", PASS, {"rewrite": MOVED}, specific(updatedInput=MOVED)),
        ("PreToolUse", ALLOW, {}, specific(permissionDecision="allow", permissionDecisionReason=SAID)),
        (
            "PreToolUse",
            ALLOW,
            {"rewrite": MOVED, "context": "note", "permissions": (UPDATE,)},
            specific(
                permissionDecision="allow", permissionDecisionReason=SAID, updatedInput=MOVED, additionalContext=NOTE
            ),
        ),
        (
            "PreToolUse",
            ASK,
            {"rewrite": MOVED},
            specific(permissionDecision="ask", permissionDecisionReason=SAID, updatedInput=MOVED),
        ),
        (
            "PreToolUse",
            DENY,
            {"rewrite": MOVED, "context": "note"},
            specific(permissionDecision="deny", permissionDecisionReason=SAID, additionalContext=NOTE),
        ),
        (
            "PreToolUse",
            DENY,
            {"interrupt": True},
            {
                "continue": False,
                "stopReason": SAID,
                **specific(permissionDecision="deny", permissionDecisionReason=SAID),
            },
        ),
        ("PreToolUse", ASK, {"interrupt": True}, specific(permissionDecision="ask", permissionDecisionReason=SAID)),
        ("PermissionRequest", PASS, {"context": "note"}, {}),
        ("PermissionRequest", ALLOW, {}, specific("PermissionRequest", decision={"behavior": "allow"})),
        (
            "PermissionRequest",
            ALLOW,
            {"permissions": (UPDATE,)},
            specific("PermissionRequest", decision={"behavior": "allow", "updatedPermissions": [UPDATE]}),
        ),
        ("PermissionRequest", ASK, {}, {}),
        (
            "PermissionRequest",
            DENY,
            {"permissions": (UPDATE,)},
            specific("PermissionRequest", decision={"behavior": "deny", "message": SAID}),
        ),
        (
            "PermissionRequest",
            DENY,
            {"interrupt": True},
            specific("PermissionRequest", decision={"behavior": "deny", "message": SAID, "interrupt": True}),
        ),
        ("UserPromptSubmit", PASS, {"context": "note"}, specific("UserPromptSubmit", additionalContext=NOTE)),
        ("UserPromptSubmit", ALLOW, {"context": "note"}, specific("UserPromptSubmit", additionalContext=NOTE)),
        ("UserPromptSubmit", ASK, {"context": "note"}, BLOCK),
        ("UserPromptSubmit", DENY, {"interrupt": True}, BLOCK),
        ("UserPromptExpansion", ALLOW, {"context": "note"}, specific("UserPromptExpansion", additionalContext=NOTE)),
        ("UserPromptExpansion", DENY, {"context": "note"}, BLOCK),
        ("PreCompact", PASS, {"context": "note"}, {"systemMessage": NOTE}),
        ("PreCompact", ASK, {}, {**BLOCK, "systemMessage": SAID}),
        ("PreCompact", DENY, {"context": "note"}, {**BLOCK, "systemMessage": SAID}),
        ("ConfigChange", ALLOW, {"context": "note"}, {}),
        ("ConfigChange", ASK, {}, BLOCK),
        ("ConfigChange", DENY, {}, BLOCK),
        ("PreModelSwitch", PASS, {"context": "note"}, {}),
        ("PreModelSwitch", ASK, {}, switch("ask")),
        ("PreModelSwitch", DENY, {"interrupt": True}, switch("deny")),
        ("PostToolBatch", PASS, {"context": "note"}, specific("PostToolBatch", additionalContext=NOTE)),
        ("PostToolBatch", DENY, {"context": "note", "interrupt": True}, BLOCK),
        ("TaskCreated", DENY, {"interrupt": True}, BLOCK),
        ("TaskCreated", ASK, {"rewrite": MOVED}, {**BLOCK, "reason": f"{SAID}\n{NO_REWRITE}"}),
        ("Elicitation", ALLOW, {"context": "note"}, {}),
        ("Elicitation", ASK, {}, BLOCK),
        ("ElicitationResult", DENY, {}, BLOCK),
        ("TeammateIdle", DENY, {}, BLOCK),
        ("TeammateIdle", DENY, {"interrupt": True}, {"continue": False, "stopReason": SAID}),
        ("TaskCompleted", DENY, {"interrupt": True}, BLOCK),
        ("Stop", DENY, {"interrupt": True, "context": "note"}, {"continue": False, "stopReason": SAID}),
        ("Stop", ASK, {"interrupt": True}, BLOCK),
        ("Stop", PASS, {"context": "note"}, {}),
        ("SubagentStop", ALLOW, {"context": "note"}, {}),
        ("Stop", ASK, {}, BLOCK),
        ("SubagentStop", DENY, {"context": "note"}, BLOCK),
        ("PostToolUse", PASS, {"context": "note"}, specific("PostToolUse", additionalContext=NOTE)),
        ("PostToolUse", ALLOW, {"output": OUTPUT}, specific("PostToolUse", updatedToolOutput=OUTPUT)),
        ("PostToolUse", ASK, {"interrupt": True}, BLOCK),
        (
            "PostToolUse",
            DENY,
            {"context": "note", "output": OUTPUT, "interrupt": True},
            {
                "continue": False,
                "stopReason": SAID,
                **BLOCK,
                **specific("PostToolUse", updatedToolOutput=OUTPUT, additionalContext=NOTE),
            },
        ),
        ("PostToolUseFailure", DENY, {"interrupt": True, "output": "lost"}, BLOCK),
        ("PostToolUseFailure", PASS, {"context": "note"}, specific("PostToolUseFailure", additionalContext=NOTE)),
        ("PermissionDenied", ALLOW, {"context": "note"}, {}),
        ("SessionStart", ALLOW, {"context": "note"}, specific("SessionStart", additionalContext=NOTE)),
        ("SessionEnd", DENY, {"context": "note"}, {}),
        ("WorktreeCreate", DENY, {"context": "note"}, {}),
        ("SomethingNew", DENY, {"context": "note", "interrupt": True, "rewrite": MOVED}, {}),
    ],
)
def test_the_rules_one_by_one(name, effect, ride, answer):
    assert claude.render(event(name), decided(effect, **ride)) == answer


@pytest.mark.parametrize("mode", ["auto", "dontAsk", "someNewMode", ""])
def test_asking_is_denying_where_nobody_is_asked_and_the_reason_says_so(mode):
    outcome = carried_out(decided(ASK, rewrite=MOVED), permission_mode=mode)
    assert (outcome.does, outcome.input) == ("blocked", None)
    assert outcome.reason == f"{SAID}\nwasmguard: denied, as nobody is asked in permission mode `{mode}`"


@pytest.mark.parametrize("mode", sorted(claude.ASKING_MODES))
def test_asking_is_asking_where_somebody_may_be_there(mode):
    assert carried_out(decided(ASK), permission_mode=mode).does == "asks"


def test_an_event_without_a_permission_mode_is_asked_about():
    payload = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": INPUT}
    answer = claude.render(claude.from_mapping(payload), decided(ASK))
    assert validate("PreToolUse", claude.encode(answer)).does == "asks"


def test_a_mode_that_nobody_asks_in_loosens_and_tightens_nothing_else():
    for effect, does in ((PASS, "no opinion"), (ALLOW, "runs"), (DENY, "blocked")):
        assert carried_out(decided(effect), permission_mode="auto").does == does
    assert carried_out(decided(ASK), "PermissionRequest", permission_mode="auto").does == "asks"


@pytest.mark.parametrize("name", sorted(STOPPING | AFTER))
def test_a_fault_alone_says_nothing_where_nothing_can_be_stopped(name):
    assert claude.render(event(name), refused("config broken")) == {}
    assert claude.render(event(name), settle([faulty()])) == {}
    assert claude.render(event(name), settle([faulty(ASK), Verdict(policy="p", effect=ALLOW)])) == {}


@pytest.mark.parametrize("name", sorted(STOPPING | AFTER))
def test_a_fault_does_not_silence_a_policy_that_wants_the_agent_to_go_on(name):
    wants = Verdict(policy="p", effect=ASK, reason="because")
    assert carried_out(settle([wants]), name).does == ("told" if name in AFTER else "goes on working")
    for together in ([faulty(), wants], [wants, faulty()]):
        assert claude.render(event(name), settle(together)) == BLOCK


@pytest.mark.parametrize("name", sorted(GATING - STOPPING))
def test_a_fault_denies_everywhere_else(name):
    assert carried_out(settle([faulty()]), name).reason == "policy `broken`: out of fuel"


@pytest.mark.parametrize("name", sorted(GATING - STOPPING - {"PreToolUse"}))
@pytest.mark.parametrize("effect", [PASS, ALLOW, ASK])
def test_a_rewrite_that_cannot_be_carried_out_is_denied_by_name(name, effect):
    outcome = carried_out(decided(effect, rewrite=MOVED), name)
    assert outcome.does == "blocked"
    assert f"{name} cannot carry out a rewrite" in outcome.reason


@pytest.mark.parametrize("effect", [ASK, DENY])
@pytest.mark.parametrize("name", sorted(GATING))
def test_a_decision_without_a_reason_gets_one(name, effect):
    outcome = carried_out(Decision(effect=effect), name)
    assert outcome.reason == ("" if outcome.does == "asks" and name == "PermissionRequest" else claude.UNSAID)


def test_a_rewrite_that_is_no_object_never_reaches_the_client():
    """It would be a schema error, and the original would run."""
    for broken in ("/sandbox", 5, ["file_path"]):
        with pytest.raises((TypeError, ValueError)):
            claude.render(event(), Decision(effect=ALLOW, rewrite=broken))


# What is said without a decision


@pytest.mark.parametrize("name", EVENTS)
def test_a_refusal_stops_what_can_be_stopped_and_nothing_else(name):
    answer = claude.refusal(name, "no configuration")
    outcome = validate(name, claude.encode(answer))
    assert outcome.does == ("blocked" if name in GATING - STOPPING else "no opinion")
    assert outcome.reason == ("no configuration" if name in GATING - STOPPING else "")
    assert bool(answer) == (name in GATING - STOPPING)


def test_an_event_without_a_name_is_refused_like_a_tool_call():
    assert claude.refusal(None, "why") == claude.refusal("PreToolUse", "why")
    assert claude.refusal("", "why") == claude.refusal("PreToolUse", "why")
    assert validate("PreToolUse", claude.encode(claude.refusal(None, "why"))).does == "blocked"


@pytest.mark.parametrize("why", ["", " \n", "\t"])
def test_a_refusal_without_a_reason_gets_one(why):
    assert validate("PreToolUse", claude.encode(claude.refusal("PreToolUse", why))).reason == claude.UNSAID


def test_a_refusal_is_clean_and_short():
    outcome = validate("PreToolUse", claude.encode(claude.refusal(None, "\x1b[31m\u202e\ud800" + "x" * 5_000)))
    assert outcome.reason.startswith("\ufffd[31m\ufffd\ufffdx")
    assert len(outcome.reason) == REASON


def test_a_run_that_ends_stops_any_event_about_a_call_and_says_why():
    for why, said in (("\x1b why", "\ufffd why"), (" ", claude.UNSAID)):
        outcome = validate("PostToolUse", claude.encode(claude.ended(why)))
        assert outcome.ends
        assert outcome.reason == said
    assert len(claude.ended("x" * 5_000)["reason"]) == REASON


READS = [
    (b'{"tool_name":"Bash","tool_response":1,"tool_response":2}', ("Bash", 2)),
    (b'\xef\xbb\xbf {"tool_response":"\xff"}', (None, "\ufffd")),
    (b'{"tool_name":7,"tool_response":[1e999,-1e999,1.5]}', (None, [0.0, 0.0, 1.5])),
    (b'{"tool_name":"Bash","success":true,"result":"x"}', ("Bash", "x")),
    (b'{"tool_response":null,"result":"x"}', (None, None)),
    (b'{"x":' + b"[" * 200 + b"]" * 200 + b',"tool_response":"\\ud800"}', (None, "\ud800")),
    ({"tool_name": "Bash", "tool_response": {1: b""}}, ("Bash", {1: b""})),
]


@pytest.mark.parametrize(("payload", "read"), READS, ids=str)
def test_what_is_no_event_is_read_as_the_client_reads_it_to_withhold_its_output(payload, read):
    said = claude.unread(payload, "PostToolUse")
    assert (said.name, said.tool, said.output) == ("PostToolUse", *read)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"7", b"[]", b"{} {}", b"[" * 100_000, None, 7], ids=lambda p: str(p)[:9]
)
def test_where_nothing_can_be_read_that_is_said(payload):
    with pytest.raises(EventError):
        claude.unread(payload, "PostToolUse")


# Bytes


def test_an_answer_is_one_line_of_ascii():
    assert claude.encode({"a": ["é", "\ud800", "\u2028", "\n"]}) == rb'{"a":["\u00e9","\ud800","\u2028","\n"]}' + b"\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, object()])
def test_what_json_cannot_say_is_never_written(value):
    with pytest.raises((TypeError, ValueError)):
        claude.encode({"updatedInput": value})


def test_a_rewrite_keeps_lone_surrogates_and_big_numbers():
    for raw in RECORDED.values():
        parsed = claude.parse(raw)
        if parsed.name == "PreToolUse":
            answer = claude.render(parsed, settle([Verdict(policy="p", rewrite=parsed.input)]))
            assert validate("PreToolUse", claude.encode(answer), dict(parsed.input)).input == parsed.input


# The client's rules themselves


@pytest.mark.parametrize(
    ("name", "stdout"),
    [
        ("PreToolUse", b""),
        ("PreToolUse", b"null\n"),
        ("PreToolUse", b"[]\n"),
        ("PreToolUse", b"\xef\xbb\xbf{}\n"),
        ("PreToolUse", b"{}"),
        ("PreToolUse", b"{}{}\n"),
        ("PreToolUse", b"{}\n{}\n"),
        ("PreToolUse", b'{"a":NaN}\n'),
        ("PreToolUse", b'{"continue":false}\n'),
        ("PreToolUse", b'{"async":true}\n'),
        ("PreToolUse", b'{"updatedInput":{}}\n'),
        ("PreToolUse", b'{"permissionDecision":"deny"}\n'),
        ("PreToolUse", b'{"systemMessage":"hello"}\n'),
        ("PreToolUse", b'{"decision":"deny","reason":"r"}\n'),
        ("PreToolUse", b'{"decision":"approve","reason":"r"}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"permissionDecision":"deny"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"Stop"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"Deny"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"defer"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","updatedInput":"/x"}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","updatedInput":{"file_path":"/x"}}}\n'),
        ("PreToolUse", b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","modifiedInput":{}}}\n'),
        ("PermissionRequest", b'{"decision":"block","reason":"r"}\n'),
        ("PermissionRequest", b'{"hookSpecificOutput":{"hookEventName":"PermissionRequest","decision":"deny"}}\n'),
        ("PostToolUse", b'{"continue":false,"stopReason":"r"}\n'),
        ("PostToolUse", b'{"hookSpecificOutput":{"hookEventName":"PostToolUse","updatedMCPToolOutput":[]}}\n'),
        ("PostToolUseFailure", b'{"continue":false,"stopReason":"r","decision":"block","reason":"r"}\n'),
        ("TaskCompleted", b'{"continue":false,"stopReason":"r"}\n'),
        ("Stop", b'{"continue":false}\n'),
        ("Stop", b'{"continue":false,"stopReason":"r","decision":"block","reason":"r"}\n'),
        ("UserPromptSubmit", b'{"systemMessage":"r","decision":"block","reason":"r"}\n'),
        ("PermissionDenied", b'{"hookSpecificOutput":{"hookEventName":"PermissionDenied","retry":true}}\n'),
        ("SessionEnd", b'{"hookSpecificOutput":{"hookEventName":"SessionEnd","additionalContext":"c"}}\n'),
        ("Stop", b'{"decision":"block","reason":" "}\n'),
    ],
)
def test_the_rules_refuse_what_the_client_would_not_do(name, stdout):
    with pytest.raises(Unfit):
        validate(name, stdout, INPUT)
