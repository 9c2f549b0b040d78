"""Tests for what of an answer counts under its owner's grants."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard.decision import Effect
from wasmguard.errors import GuestFault, InvalidAnswer, OutsideGrant, Ungranted
from wasmguard.event import Event
from wasmguard.guest.codec import Answer
from wasmguard.guest.grants import Grants, Max, OneOf, Within, answered

PASS, ALLOW, ASK, DENY = Effect
WRITE = {"file_path": "/etc/x", "content": "hello", "mode": 6, "flag": True, "list": [1], "nothing": None}
ANYTHING = Max(bytes=2**20, silent=True)
EVENTS = ["PostToolUse", "PermissionRequest", "UserPromptSubmit", "Stop", "SessionStart", "NoSuchEvent", "pretooluse"]


def about(tool_input=WRITE, tool="Write", name="PreToolUse"):
    return Event(name=name, agent="claude", fields={"tool_name": tool, "tool_input": tool_input})


def granting(**constraints):
    return Grants(rewrite={key.replace("__", "."): constraint for key, constraint in constraints.items()})


def verdict(answer, grants=Grants(), event=about()):  # noqa: B008  # both are immutable
    return answered("p", answer, event, grants)


def rewriting(rewrite, grants=Grants(), event=about()):  # noqa: B008  # both are immutable
    return verdict(Answer(rewrite=rewrite), grants, event)


# Effects


def test_a_policy_may_always_tighten_whatever_its_owner_listed():
    for length in range(5):
        for listed in product(Effect, repeat=length):
            grants = Grants(effects=frozenset(listed))
            assert [verdict(Answer(effect=e), grants).effect for e in (PASS, ASK, DENY)] == [PASS, ASK, DENY]
            assert verdict(Answer(effect=ALLOW), grants).effect is (ALLOW if ALLOW in listed else PASS)


def test_an_allow_is_not_granted_by_default_and_the_record_says_so():
    said = verdict(Answer(effect=ALLOW, reason="fine", notes=("mine",)))
    assert (said.effect, said.reason, said.fault) == (PASS, "fine", "")
    assert said.notes == ("mine", "`allow` is not granted: counts as `pass`")


def test_a_verdict_carries_what_was_said_under_the_owners_name():
    said = verdict(Answer(effect=ASK, reason="why", context="more", notes=("n",)))
    assert (said.policy, said.reason, said.context, said.notes) == ("p", "why", "more", ("n",))


@pytest.mark.parametrize("effect", Effect)
def test_an_interrupt_counts_with_a_deny_and_says_nothing_elsewhere(effect):
    said = verdict(Answer(effect=effect, interrupt=True), Grants(effects=frozenset(Effect)))
    assert said.interrupt is (effect is DENY)


# State


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("state", [b"", b"x"])
def test_a_state_needs_a_grant_even_to_forget(effect, state):
    with pytest.raises(Ungranted, match="state"):
        verdict(Answer(effect=effect, state=state))


def test_a_state_fits_its_grant():
    verdict(Answer(state=b"x" * 8), Grants(state=8))
    verdict(Answer(state=b""), Grants(state=8))
    with pytest.raises(Ungranted, match="9 bytes, more than the 8"):
        verdict(Answer(state=b"x" * 9), Grants(state=8))


# Rewrites: which


@pytest.mark.parametrize("field", WRITE)
@pytest.mark.parametrize("tool", ["Write", "Bash", "mcp__a__b"])
def test_a_rewrite_without_a_grant_is_a_fault(field, tool):
    others = {f"{tool}.{other}": ANYTHING for other in WRITE if other != field}
    elsewhere = {
        f"{other}.{field}": ANYTHING for other in ("Write", "Bash", "mcp__a__b", "Writ", "Write2") if other != tool
    }
    with pytest.raises(Ungranted, match=f'"{tool}.{field}", which is not granted'):
        rewriting({field: "new"}, Grants(rewrite=others | elsewhere), about(tool=tool))


def test_a_grant_for_one_thing_is_no_grant_for_another():
    everything_but_rewrites = Grants(effects=frozenset(Effect), state=100, permissions=frozenset({"session"}))
    with pytest.raises(Ungranted):
        rewriting({"content": "x"}, everything_but_rewrites)
    with pytest.raises(Ungranted):
        verdict(Answer(state=b""), granting(Write__content=ANYTHING))
    assert verdict(Answer(effect=ALLOW), granting(Write__content=ANYTHING)).effect is PASS


@pytest.mark.parametrize(
    "field", ["run_in_background", "dangerouslyDisableSandbox", "__proto__", "", "File_path", "content."]
)
def test_a_rewrite_adds_no_field(field):
    with pytest.raises(InvalidAnswer, match="which the tool input does not have"):
        rewriting({field: "x"}, Grants(rewrite={f"Write.{field}": ANYTHING, "*.*": ANYTHING}))


@pytest.mark.parametrize("name", EVENTS)
def test_a_rewrite_answers_only_an_event_whose_input_can_be_replaced(name):
    for rewrite in ({"content": "x"}, {"content": WRITE["content"]}, {"no such": 1}):
        with pytest.raises(Ungranted, match="cannot be rewritten"):
            rewriting(rewrite, granting(Write__content=ANYTHING), about(name=name))


@pytest.mark.parametrize("fields", [{"tool_input": {"a": 1}}, {"tool_name": 7, "tool_input": {"a": 1}}, {}])
def test_without_a_tool_there_is_nothing_to_rewrite(fields):
    event = Event(name="PreToolUse", agent="claude", fields=fields)
    with pytest.raises(Ungranted, match="cannot be rewritten"):
        rewriting({"a": 2}, Grants(rewrite={"*.a": ANYTHING, ".a": ANYTHING}), event)


def test_a_rewrite_keeps_the_type_of_the_original():
    samples = [0, 1, True, False, "1", 1.0, None, [], {}, [1], {"a": 1}]
    grants = Grants(rewrite={"T.a": ANYTHING})
    for old, new in product(samples, samples):
        event = about({"a": old}, "T")
        if type(old) is type(new):
            rewriting({"a": new}, grants, event)
        else:
            with pytest.raises(OutsideGrant, match="keeps the type"):
                rewriting({"a": new}, grants, event)


# Rewrites: the new input


def test_the_new_input_is_the_original_with_the_granted_field_replaced():
    said = rewriting({"content": "new"}, granting(Write__content=ANYTHING))
    assert said.rewrite == {**WRITE, "content": "new"}
    assert list(said.rewrite) == list(WRITE)
    assert WRITE["content"] == "hello"
    assert said.effect is PASS


@pytest.mark.parametrize("rewrite", [{}, {"content": "hello"}, dict(WRITE), {"list": [1], "nothing": None}])
def test_a_rewrite_that_changes_nothing_is_none_and_needs_no_grant(rewrite):
    assert rewriting(rewrite).rewrite is None


def test_only_the_fields_that_change_need_a_grant():
    echo = {**WRITE, "content": "new"}
    assert rewriting(echo, granting(Write__content=ANYTHING)).rewrite == echo


@pytest.mark.parametrize(("old", "new"), [([1], [True]), ([1], [1.0]), ({"a": 0}, {"a": False}), ([[1.0]], [[1]])])
def test_a_type_changed_deep_inside_is_a_change(old, new):
    assert old == new  # to Python
    with pytest.raises(Ungranted):
        rewriting({"a": new}, event=about({"a": old}))
    written = rewriting({"a": new}, granting(Write__a=ANYTHING), about({"a": old})).rewrite
    assert json.dumps(written) == json.dumps({"a": new})


def test_the_order_of_keys_deep_inside_is_no_change():
    assert rewriting({"a": {"y": [2], "x": 1}}, event=about({"a": {"x": 1, "y": [2]}})).rewrite is None


def test_a_field_that_does_not_change_stays_the_original_itself():
    tool_input = {"a": {"x": 1, "y": 2}, "content": "old"}
    said = rewriting({"a": {"y": 2, "x": 1}, "content": "new"}, granting(Write__content=ANYTHING), about(tool_input))
    assert said.rewrite["a"] is tool_input["a"]


@pytest.mark.parametrize("new", [{"x": 1}, {"x": 1, "y": [2], "z": 3}, {"x": 1, "y": [2, 2]}, {"x": 1, "z": [2]}])
def test_what_differs_deep_inside_is_a_change(new):
    with pytest.raises(Ungranted):
        rewriting({"a": new}, event=about({"a": {"x": 1, "y": [2]}}))


@pytest.mark.parametrize("rewrite", [{"content": "x"}, {"no such field": 1}, {"content": 1}])
@pytest.mark.parametrize("name", ["PreToolUse", "Stop"])
def test_a_deny_holds_and_its_rewrite_is_not_applied(rewrite, name):
    for grants in (Grants(), granting(Write__content=ANYTHING)):
        said = verdict(Answer(effect=DENY, reason="no", rewrite=rewrite), grants, about(name=name))
        assert (said.effect, said.rewrite, said.reason, said.fault) == (DENY, None, "no", "")
        assert said.notes == ("denied and rewrote: the rewrite is not applied",)


values = st.sampled_from(
    ["/etc/x", "/sandbox/a", "/sandbox/../a", "hello", "x" * 40, "a\x1bb", 6, 7, True, [1], [2], None]
)
constraints = st.sampled_from([Within(root="/sandbox"), Max(bytes=20), OneOf(values=("hello", 7, "/etc/x")), ANYTHING])
fields = st.sampled_from([*WRITE, "command", "no such field"])


@settings(max_examples=1_500, deadline=None, database=None)
@given(
    st.dictionaries(fields, values),
    st.dictionaries(fields, values),
    st.dictionaries(st.tuples(st.sampled_from(["Write", "*", "W*", "Bash"]), fields).map(".".join), constraints),
    st.sampled_from(Effect),
)
def test_keys_out_are_keys_in_and_ungranted_fields_are_identical(tool_input, rewrite, rewrites, effect):
    before = json.dumps(tool_input)
    grants = Grants(rewrite=rewrites, effects=frozenset(Effect))
    try:
        said = verdict(Answer(effect=effect, rewrite=rewrite), grants, about(tool_input))
    except GuestFault:
        said = None
    if said is None:
        assert effect is not DENY
        return
    assert json.dumps(tool_input) == before
    assert said.effect >= effect
    if said.rewrite is None:
        return
    assert effect is not DENY
    assert list(said.rewrite) == list(tool_input)
    assert json.dumps(said.rewrite) != before
    for field, value in said.rewrite.items():
        constraint = grants.constraint_of("Write", field)
        if field not in rewrite or constraint is None:
            assert value is tool_input[field]
        elif value is not tool_input[field]:
            assert type(value) is type(tool_input[field])
            constraint.check(value, field)
            assert field != "command" or constraint.silent or said.effect is ASK


# Which grant


def test_a_grant_is_filed_under_the_tool_and_after_the_last_dot_the_field():
    grants = Grants(rewrite={"A.b.c": ANYTHING})
    assert grants.constraint_of("A.b", "c") is ANYTHING
    assert grants.constraint_of("A", "b.c") is None
    assert grants.constraint_of("A.b.c", "") is None


def test_the_tool_itself_goes_before_a_prefix_and_a_longer_prefix_before_a_shorter_one():
    keys = ["*.path", "mcp__*.path", "mcp__files__*.path", "mcp__files__write.path"]
    grants = Grants(rewrite={key: Within(root=f"/{i}") for i, key in enumerate(keys)})
    tools = ["Grep", "mcp__web__get", "mcp__files__read", "mcp__files__write"]
    assert [grants.constraint_of(tool, "path").root for tool in tools] == ["/0", "/1", "/2", "/3"]
    assert grants.constraint_of("Grep", "pattern") is None


@pytest.mark.parametrize("key", ["*Write.a", "W*e.a", "Write.*", "Write", "*", "a", ".a", "Write.A", "write.a"])
def test_a_star_stands_only_at_the_end_of_the_tool(key):
    assert Grants(rewrite={key: ANYTHING}).constraint_of("Write", "a") is None


# Constraints


def refused(constraint, value, **grants):
    with pytest.raises(OutsideGrant) as caught:
        constraint.check(value, "Write.x")
    return str(caught.value)


def test_within_takes_a_path_below_its_root():
    Within(root="/sandbox").check("/sandbox/a", "Write.x")
    assert refused(Within(root="/sandbox"), "/etc/x") == '"Write.x": the path is not below `/sandbox`: "/etc/x"'
    assert refused(Within(root="/sandbox"), 1) == '"Write.x": a path must be text'


def test_max_counts_the_bytes_of_a_text():
    Max(bytes=4).check("éé", "Write.x")
    Max(bytes=0).check("", "Write.x")
    assert "5 bytes, more than the 4" in refused(Max(bytes=4), "ééx")


@pytest.mark.parametrize(("value", "size"), [([1, "é"], 8), ({"a": None}, 10), (12, 2), (True, 4), (None, 4), (1.5, 3)])
def test_max_counts_the_bytes_of_json_for_anything_else(value, size):
    Max(bytes=size).check(value, "Write.x")
    refused(Max(bytes=size - 1), value)


def test_max_takes_no_control_character_but_tab_and_line_feed():
    for code in range(0x100):
        character = chr(code)
        for value in (f"a{character}b", ["a", {"b": character}], {f"{character}": 1}):
            if (code < 0x20 and character not in "\n\t") or 0x7F <= code < 0xA0:
                assert "control character" in refused(Max(bytes=100), value)
            else:
                Max(bytes=100).check(value, "Write.x")


def test_one_of_compares_with_types():
    granted = OneOf(values=(1, "a", [True], None))
    for value in (1, "a", [True], None):
        granted.check(value, "Write.x")
    for value in (True, 1.0, "A", [1], False, 0, {}, []):
        assert "none of the 4 values" in refused(granted, value)


def test_a_broken_constraint_is_a_fault_that_names_the_field():
    with pytest.raises(OutsideGrant, match=r'^"Write\.file_path": the path is not normalised'):
        rewriting({"file_path": "/sandbox/../etc/passwd"}, granting(Write__file_path=Within(root="/sandbox")))


# Commands


@pytest.mark.parametrize("tool", ["Bash", "Monitor", "PowerShell", "mcp__shell__run"])
@pytest.mark.parametrize("effect", [PASS, ALLOW, ASK])
def test_a_rewritten_command_is_shown_to_a_human(tool, effect):
    for constraint in (Max(bytes=100), OneOf(values=("true",))):
        grants = Grants(rewrite={f"{tool}.command": constraint}, effects=frozenset(Effect))
        said = verdict(Answer(effect=effect, rewrite={"command": "true"}), grants, about({"command": "rm"}, tool))
        assert (said.effect, said.rewrite) == (ASK, {"command": "true"})
        assert said.notes == ("a rewritten `command` is shown to a human",)


@pytest.mark.parametrize("effect", [PASS, ALLOW, ASK])
def test_a_silent_grant_lets_a_rewritten_command_go_ahead(effect):
    for constraint in (Max(bytes=100, silent=True), OneOf(values=("true",), silent=True)):
        grants = Grants(rewrite={"Bash.command": constraint}, effects=frozenset(Effect))
        said = verdict(Answer(effect=effect, rewrite={"command": "true"}), grants, about({"command": "rm"}, "Bash"))
        assert (said.effect, said.notes) == (effect, ())


def test_a_command_that_stays_what_it_was_is_not_shown():
    grants = Grants(rewrite={"Bash.command": Max(bytes=9), "Bash.description": Max(bytes=9)})
    event = about({"command": "ls", "description": "lists"}, "Bash")
    assert rewriting({"command": "ls", "description": "new"}, grants, event).effect is PASS


def test_a_path_grant_never_speaks_for_a_command():
    grants = Grants(rewrite={"Bash.command": Within(root="/sandbox")})
    assert rewriting({"command": "/sandbox/run"}, grants, about({"command": "ls"}, "Bash")).effect is ASK


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\ufe0f", "\U000e0041", "\u2028", "\ue000"])
def test_nothing_that_does_not_show_itself_is_brought_into_a_command(hidden):
    for silent in (False, True):
        grants = Grants(rewrite={"Bash.command": Max(bytes=100, silent=silent)})
        with pytest.raises(OutsideGrant, match="does not show itself"):
            rewriting({"command": f"echo {hidden}"}, grants, about({"command": "ls"}, "Bash"))
        event = about({"command": f"git commit -m {hidden}"}, "Bash")
        new = {"command": f"nice\n\tgit commit -m {hidden}"}
        assert rewriting(new, grants, event).rewrite == new


# Permission updates

RULES = [{"toolName": "Bash", "ruleContent": "npm test:*"}, {"toolName": "Read"}]
UPDATES = [
    *({"type": f"{verb}Rules", "rules": RULES, "behavior": "allow"} for verb in ("add", "replace", "remove")),
    *({"type": "addRules", "rules": [], "behavior": behavior} for behavior in ("deny", "ask")),
    *({"type": "setMode", "mode": mode} for mode in ("default", "acceptEdits", "plan", "auto", "dontAsk")),
    *({"type": f"{verb}Directories", "directories": ["/a", "b"]} for verb in ("add", "remove")),
]
PERMITTED = Grants(effects=frozenset(Effect), permissions=frozenset({"session", "localSettings"}))


def update(**changes):
    return {"type": "addRules", "rules": RULES, "behavior": "allow", "destination": "session", **changes}


@pytest.mark.parametrize("given_update", UPDATES)
def test_a_permission_update_goes_with_an_allow_where_its_destination_is_granted(given_update):
    for destination in PERMITTED.permissions:
        updates = ({**given_update, "destination": destination},)
        assert verdict(Answer(effect=ALLOW, permissions=updates), PERMITTED).permissions == updates


@pytest.mark.parametrize("given_update", UPDATES)
@pytest.mark.parametrize("effect", Effect)
def test_a_destination_that_was_not_granted_is_a_fault(given_update, effect):
    for destination in ("userSettings", "projectSettings", "cliArg"):
        with pytest.raises(Ungranted, match=destination):
            verdict(
                Answer(effect=effect, permissions=(update(), {**given_update, "destination": destination})), PERMITTED
            )
    with pytest.raises(Ungranted):
        verdict(Answer(effect=effect, permissions=({**given_update, "destination": "session"},)))


@pytest.mark.parametrize("effect", [PASS, ASK, DENY])
def test_permission_updates_say_nothing_without_an_allow(effect):
    assert verdict(Answer(effect=effect, permissions=(update(),)), PERMITTED).permissions == ()


def test_permission_updates_are_dropped_with_the_allow_that_did_not_count():
    no_allow = PERMITTED.replaced(effects=frozenset())
    assert verdict(Answer(effect=ALLOW, permissions=(update(),)), no_allow).permissions == ()
    shown = PERMITTED.replaced(rewrite={"Write.command": Max(bytes=9)})
    answer = Answer(effect=ALLOW, permissions=(update(),), rewrite={"command": "x"})
    assert verdict(answer, shown, about({"command": "ls"})).permissions == ()


def test_no_grant_lets_a_policy_switch_the_agents_questions_off():
    bypass = {"type": "setMode", "mode": "bypassPermissions", "destination": "session"}
    with pytest.raises(Ungranted, match="no grant covers"):
        verdict(Answer(effect=ALLOW, permissions=(bypass,)), PERMITTED)


@pytest.mark.parametrize(
    "bad",
    [None, 1, "addRules", [], {}, {"type": "setMode"}, {"type": ["addRules"]}, {"destination": "session"}]
    + [update(type=kind) for kind in ("", "addrules", "setMode", "addDirectories", None, 1, {}, ["addRules"])]
    + [update(extra=1), {k: v for k, v in update().items() if k != "behavior"}]
    + [update(behavior=value) for value in ("", "Allow", "bypass", None, True, ["allow"], {})]
    + [update(rules=value) for value in (None, {}, "x", [1], [None], [{}], [{"ruleContent": "x"}], [{"toolName": ""}])]
    + [update(rules=[{"toolName": name}]) for name in (1, None, ["Bash"], "a\nb", "a\x1b", "a\u202eb")]
    + [update(rules=[{"toolName": "Bash", "ruleContent": value}]) for value in (None, 1, "", "a\u200bb")]
    + [update(rules=[{"toolName": "Bash", "more": "x"}])]
    + [update(destination=value) for value in ("", "Session", "managed", None, 1, ["session"], {"session": 1})]
    + [{"type": "setMode", "mode": mode, "destination": "session"} for mode in ("", "yolo", None, 1, ["plan"])]
    + [
        {"type": "addDirectories", "directories": d, "destination": "session"} for d in (None, "/a", [1], [""], ["a\n"])
    ],
)
def test_a_permission_update_of_no_known_shape_is_invalid(bad):
    with pytest.raises(InvalidAnswer, match="permission update"):
        verdict(Answer(effect=ALLOW, permissions=(bad,)), PERMITTED)


# Names that strangers chose


@pytest.mark.parametrize("name", ["\x1b[2J\n", '"`\u202e', "x" * 5_000])
def test_a_strangers_name_cannot_steer_the_reader_of_a_fault(name):
    for rewrite, event in (({name: 1}, about()), ({name: 2}, about({name: 1}, name)), ({name: 2}, about(name=name))):
        with pytest.raises(GuestFault) as caught:
            rewriting(rewrite, event=event)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


# Plain data, for the plan

EVERY_GRANT = Grants(
    effects=frozenset({PASS, ALLOW}),
    rewrite={
        "Write.file_path": Within(root="/sandbox"),
        "Write.content": Max(bytes=65_536),
        "Bash.command": Max(bytes=9, silent=True),
        "*.mode": OneOf(values=("a", 1, True, 1.5, None, [1], {"a": [2]})),
        "Monitor.command": OneOf(values=(), silent=True),
    },
    permissions=frozenset({"session", "cliArg"}),
    state=4_096,
)


@pytest.mark.parametrize("grants", [Grants(), EVERY_GRANT])
def test_grants_come_back_from_plain_data_as_they_were(grants):
    back = Grants.from_data(json.loads(json.dumps(grants.as_data())))
    assert back == grants
    assert list(back.rewrite) == list(grants.rewrite)
    assert back.as_data() == grants.as_data()


def test_the_same_grants_are_the_same_data():
    data = Grants(permissions=frozenset("gfedcba"), effects=frozenset(reversed(Effect))).as_data()
    assert (data["permissions"], data["effects"]) == ([*"abcdefg"], ["pass", "allow", "ask", "deny"])


def test_a_grant_for_an_output_covers_the_tools_that_have_its_name_among_their_other_ones():
    grants = Grants(rewrite_output={"Bash": 10, "Task": 20, "Moni*": 30})
    assert grants.most_output("Monitor") == 30
    assert grants.most_output("Agent") == 20
    assert [grants.most_output(tool) for tool in ("PowerShell", "TaskCreate", "", None)] == [None] * 4
    assert Grants(rewrite_output={"Bash": 10}).most_output("Monitor") == 10
    assert Grants(rewrite_output={"Monitor": 10}).most_output("Bash") is None


def test_a_grant_for_an_input_covers_none():
    grants = granting(**{"Bash.command": Max(bytes=10), "Task.prompt": Max(bytes=10)})
    assert grants.constraint_of("Monitor", "command") is None
    assert grants.constraint_of("Agent", "prompt") is None
    assert grants.constraint_of("Bash", "command") == Max(bytes=10)
