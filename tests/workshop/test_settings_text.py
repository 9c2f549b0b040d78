"""Our entries in other people's text: put in, replaced, taken out, and nothing else touched."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workshop.jsonc import HANDLER, LATER, OTHER, WANTED, ours, texts
from wasmguard.workshop.json_text import NotJSON, parsed
from wasmguard.workshop.settings_text import put, take

often = settings(max_examples=100, deadline=None)


def value(text):
    return parsed(text).root.value


def merged(model, wanted):
    model = copy.deepcopy(model)
    hooks = model.setdefault("hooks", {})
    for event, group in wanted.items():
        hooks.setdefault(event, []).append(group)
    return model


def order(model):
    """The keys of all objects, in their order."""
    if isinstance(model, dict):
        return [(key, order(inside)) for key, inside in model.items()]
    return [order(inside) for inside in model] if isinstance(model, list) else None


# The laws, for any text.


@often
@given(texts())
def test_what_is_put_in_is_there_and_everything_else_as_it_was(text):
    done = value(put(text, WANTED, ours).text)
    assert done == merged(value(text), WANTED)
    assert order(done) == order(merged(value(text), WANTED))


@often
@given(texts())
def test_taking_out_undoes_putting_in_to_the_byte(text):
    edit = put(text, WANTED, ours)
    assert take(edit.text, ours, edit.made) == text


@often
@given(texts())
def test_without_memory_only_what_was_empty_before_may_go(text):
    left = take(put(text, WANTED, ours).text, ours)
    if "hooks" in value(text):
        assert {k: v for k, v in value(left).get("hooks", {}).items() if v} == {
            k: v for k, v in value(text)["hooks"].items() if v
        }
    elif value(text):
        assert left == text


@often
@given(texts())
def test_putting_in_twice_is_putting_in_once(text):
    edit = put(text, WANTED, ours)
    assert put(edit.text, WANTED, ours, edit.made) == edit


@often
@given(texts())
def test_an_upgrade_replaces_and_can_be_undone_as_well(text):
    first = put(text, WANTED, ours)
    then = put(first.text, LATER, ours, first.made)
    assert value(then.text) == merged(value(text), LATER) or "SessionStart" in value(text).get("hooks", {})
    assert take(then.text, ours, then.made) == text


@often
@given(texts())
def test_nothing_is_taken_where_nothing_is_ours(text):
    assert take(text, ours) == text


@often
@given(texts(plain=True))
def test_plain_json_stays_plain_json(text):
    assert parsed(text).plain
    assert parsed(put(text, WANTED, ours).text).plain


@often
@given(texts(), st.data())
def test_what_was_added_behind_us_since_stays_when_we_go(text, data):
    edit = put(text, WANTED, ours)
    more = put(edit.text, {"Stop": {"hooks": [OTHER]}, "Setup": {"hooks": [OTHER]}}, lambda _: False)
    left = value(take(more.text, ours, edit.made))
    assert left["hooks"]["Stop"][-1] == left["hooks"]["Setup"][-1] == {"hooks": [OTHER]}
    assert "wasmguard" not in str(left)


# Examples, for people.

HUMAN = """\
// my settings
{
    "model": "opus", // the big one
    /* who may do what */
    "permissions": {"allow": ["Bash(ls *)"]}
}
"""


def test_the_files_own_indentation_is_kept():
    assert put(HUMAN, {"Stop": {"hooks": [OTHER]}}, ours).text == (
        HUMAN.replace(
            "]}\n}",
            ']},\n    "hooks": {\n        "Stop": [\n            {\n                "hooks": [\n'
            '                    {\n                        "type": "command",\n'
            '                        "command": "other"\n                    }\n                ]\n            }\n'
            "        ]\n    }\n}",
        )
    )


def test_a_file_of_one_line_stays_one_line():
    assert put('{"a":1}', {"Stop": {"hooks": []}}, ours).text == '{"a":1,"hooks":{"Stop":[{"hooks":[]}]}}'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_are_kept(newline):
    text = put(newline.join(["{", '  "a": 1', "}", ""]), WANTED, ours).text
    assert newline.join(text.splitlines()) + newline == text


def test_a_comment_behind_an_item_stays_with_it():
    text = put('{\n  "hooks": {\n    "Stop": [\n      {"hooks": []} // mine\n    ]\n  }\n}', WANTED, ours).text
    assert '      {"hooks": []}, // mine\n' in text


def test_a_group_that_also_holds_somebody_elses_handler_loses_only_ours():
    text = '{"hooks": {"Stop": [{"hooks": [{"command": "wasmguard"}, {"command": "other"}]}]}}'
    left = '{"hooks": {"Stop": [{"hooks": [{"command": "other"}]}]}}'
    assert take(text, ours) == left
    assert value(put(text, {"Stop": WANTED["Stop"]}, ours).text)["hooks"]["Stop"] == [
        {"hooks": [{"command": "other"}]},
        WANTED["Stop"],
    ]


def test_an_entry_of_an_older_version_is_replaced_where_it_is():
    text = '{"hooks": {"Stop": [{"hooks": [{"command": "wasmguard", "old": 1}]}, {"hooks": []}]}}'
    assert value(put(text, {"Stop": WANTED["Stop"]}, ours).text)["hooks"]["Stop"] == [WANTED["Stop"], {"hooks": []}]


def test_a_second_entry_of_ours_goes():
    entry = '{"hooks": [{"command": "wasmguard"}]}'
    text = f'{{"hooks": {{"Stop": [{entry}, {entry}, {entry}]}}}}'
    assert value(put(text, {"Stop": WANTED["Stop"]}, ours).text)["hooks"]["Stop"] == [WANTED["Stop"]]


def test_an_entry_written_in_another_layout_is_left_alone():
    text = '{"hooks": {"Stop":\n[ { "hooks" : [{"command":"wasmguard"}]} /* mine */ ]}}'
    assert put(text, {"Stop": {"hooks": [{"command": "wasmguard"}]}}, ours).text == text


def test_what_the_owner_commented_is_not_removed_with_our_entry():
    text = '{"hooks": {\n  // all my hooks\n  "Stop": [{"hooks": [{"command": "wasmguard"}]}]}}'
    assert take(text, ours) == '{"hooks": {\n  // all my hooks\n  }}'


def test_what_follows_a_comment_does_not_become_part_of_it():
    text = '[1, // one\n{"a": 2}, 3]'
    settings_text = f'{{"hooks": {{"Stop": [ // one\n{{"hooks": [{{"command": "wasmguard"}}]}}, {{"a": {text}}}]}}}}'
    assert value(take(settings_text, ours))["hooks"]["Stop"] == [{"a": value(text)}]


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_file_becomes_a_whole_one_and_is_empty_again(text):
    edit = put(text, WANTED, ours)
    assert value(edit.text) == {"hooks": {event: [group] for event, group in WANTED.items()}}
    assert take(edit.text, ours, edit.made) == ""


def test_a_new_file_in_which_the_owner_wrote_since_keeps_that():
    edit = put("", WANTED, ours)
    changed = edit.text.replace("{\n", '{\n  "model": "opus",\n', 1)
    assert value(take(changed, ours, edit.made)) == {"model": "opus"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "b": {"c": 1,\n "c": 2}}', "2:2: `c` is there twice"),
        ('{"hooks": []}', "1:2: `hooks` must be an object"),
        ('{"hooks": {"Stop": {}}}', "1:12: `hooks.Stop` must be a list"),
        ("[]", "1:1: the settings must be an object"),
        ('{"a": 1', "1:8: a comma or `}` is missing"),
    ],
)
def test_what_nobody_understands_is_not_changed(text, why):
    with pytest.raises(NotJSON, match="^" + why.replace("[", r"\[").replace("}", r"\}") + "$"):
        put(text, WANTED, ours)


def test_taking_out_bears_what_putting_in_refuses():
    text = (
        '{"hooks": {"Stop": [{"hooks": [{"command": "wasmguard"}]}]}, "hooks": {"Stop": 5, "Setup": [7, {"hooks": 1}]}}'
    )
    assert value(take(text, ours)) == {"hooks": {"Stop": 5, "Setup": [7, {"hooks": 1}]}}


def test_what_is_put_in_is_what_was_asked_for():
    assert value(put("{}", WANTED, ours).text)["hooks"]["Stop"][0]["hooks"][0] == HANDLER
