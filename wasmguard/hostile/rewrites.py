"""Hostile cases about rewrites: ungranted, added, dropped, retyped, over their caps, at the wrong event.

The input of the event is kept as it was in everything that was not granted, whatever else comes of the case.
"""

from __future__ import annotations

from typing import Any

from wasmguard.decision import Effect
from wasmguard.hostile.case import (
    INPUT,
    INVALID,
    OUTSIDE,
    PASSES,
    TOOL,
    UNGRANTED,
    Answered,
    Case,
    Faulted,
    constant,
)
from wasmguard.hostile.raw import FALSE, NIL, TRUE, answer, array, binary, integer, pairs, text

SHELL = {"command": "ls", "description": "list", "timeout": 1000}
MIXED = {"text": "x", "number": 1, "yes": True, "nothing": None, "list": ["a"], "map": {"a": 1}, "half": 0.5, "zero": 0}
HALF = b"\xcb\x3f\xe0\0\0\0\0\0\0"
CALMED = "`allow` is not granted: counts as `pass`"
DROPPED = "denied and rewrote: the rewrite is not applied"
SHOWN = "a rewritten `command` is shown to a human"
NO_REST = Faulted(says=("no rest after",))


def _rewrite(field: str, value: bytes | str, **more: bytes | str) -> bytes:
    return answer(**more, rewrite=pairs((text(field), text(value) if isinstance(value, str) else value)))


def _grant(field: str, constraint: str) -> str:
    return f'grants.rewrite."{TOOL}.{field}" = {{ {constraint} }}'


ANY = 'max = "1 KiB"'
MAY_WRITE = (_grant("content", ANY),)
MAY_SHELL = (_grant("command", ANY),)


def _case(name: str, what: str, said: bytes, must: Any, **parts: Any) -> Case:
    return Case(name=name, what=what, must=must, answer=constant(said), **parts)


UNGRANTED_FIELDS = tuple(
    _case(
        f"ungranted-{field.replace('_', '-').lower()}",
        f"rewrites `{field}`, which nobody granted",
        _rewrite(field, "changed"),
        UNGRANTED,
        input={field: "as it was", "other": "x"},
    )
    for field in ("command", "content", "file_path", "url", "prompt", "new_string", "query", "description", "__proto__")
)
_NEW: tuple[tuple[str, bytes | str], ...] = (
    ("run_in_background", TRUE),
    ("dangerouslyDisableSandbox", TRUE),
    ("timeout", integer(600_000)),
    ("__proto__", pairs((text("polluted"), TRUE))),
    ("constructor", "x"),
    ("Content", "x"),
    ("content ", "x"),
    ("content\0", "x"),
    ("cоntent", "x"),  # a Cyrillic о
    ("content.text", "x"),
    ("tool_input", pairs((text("content"), text("x")))),
    ("", "x"),
)
ADDED = tuple(
    _case(f"added-{number}", f"adds the field {field!a}", _rewrite(field, value), INVALID, lines=MAY_WRITE)
    for number, (field, value) in enumerate(_NEW)
)
RETYPED = tuple(
    _case(
        f"retyped-{field}-{number}",
        f"makes something else of a {type(MIXED[field]).__name__}",
        _rewrite(field, value),
        OUTSIDE,
        input=MIXED,
        lines=(_grant(field, ANY),),
    )
    for number, (field, value) in enumerate(
        (
            ("text", NIL),
            ("text", integer(1)),
            ("text", array(text("x"))),
            ("text", pairs((text("a"), text("x")))),
            ("text", TRUE),
            ("number", text("1")),
            ("number", TRUE),
            ("number", HALF),
            ("yes", integer(1)),
            ("yes", text("true")),
            ("nothing", text("")),
            ("nothing", FALSE),
            ("list", text("a")),
            ("list", NIL),
            ("map", array()),
            ("half", integer(0)),
            ("zero", FALSE),
        )
    )
)
CAPS = (
    _case(
        "over-the-cap", "rewrites to one byte over its cap", _rewrite("content", "x" * 1_025), OUTSIDE, lines=MAY_WRITE
    ),
    _case(
        "over-the-cap-in-bytes",
        "rewrites to few characters of many bytes",
        _rewrite("content", "é" * 513),
        OUTSIDE,
        lines=MAY_WRITE,
    ),
    _case(
        "over-the-cap-as-json",
        "rewrites a list to one over its cap as JSON",
        _rewrite("list", array(text("x" * 1_022))),
        OUTSIDE,
        input=MIXED,
        lines=(_grant("list", ANY),),
    ),
    *(
        _case(
            f"control-character-{ord(character):02x}",
            f"writes U+{ord(character):04X} into a text",
            _rewrite("content", f"a{character}b"),
            OUTSIDE,
            lines=MAY_WRITE,
        )
        for character in ("\0", "\x1b", "\r", "\b", "\x7f", "\x9b", "\x0c")
    ),
    _case(
        "control-character-deep",
        "writes an escape into a text deep inside",
        _rewrite("map", pairs((text("a"), array(pairs((text("b"), text("\x1b[2J"))))))),
        OUTSIDE,
        input=MIXED,
        lines=(_grant("map", ANY),),
    ),
    _case(
        "control-character-key",
        "writes an escape into a key",
        _rewrite("map", pairs((text("\x1b[2J"), integer(1)))),
        OUTSIDE,
        input=MIXED,
        lines=(_grant("map", ANY),),
    ),
    *(
        _case(
            f"command-{name}",
            f"writes {what} into a command",
            _rewrite("command", f"ls {character}x"),
            OUTSIDE,
            input=SHELL,
            lines=MAY_SHELL,
        )
        for name, what, character in (
            ("bidi", "an override of the direction", "\u202e"),
            ("joiner", "a joiner of no width", "\u200d"),
            ("blank", "a blank of no width", "\u200b"),
            ("selector", "a variation selector", "\ufe0f"),
            ("tag", "a tag", "\U000e0041"),
            ("separator", "a line separator", "\u2028"),
            ("private", "a character for private use", "\ue000"),
        )
    ),
    _case(
        "command-shown",
        "rewrites a command, which its owner granted: a human sees it",
        _rewrite("command", "ls -l"),
        Answered(effect=Effect.ASK, notes=(SHOWN,), rewrite={"command": "ls -l"}),
        input=SHELL,
        lines=MAY_SHELL,
    ),
    _case(
        "command-allowed",
        "rewrites a command and allows it: a human sees it all the same",
        _rewrite("command", "rm -rf /srv/data", effect="allow"),
        Answered(effect=Effect.ASK, notes=(SHOWN,), rewrite={"command": "rm -rf /srv/data"}),
        input=SHELL,
        lines=(*MAY_SHELL, 'grants.effects = ["deny", "ask", "allow"]'),
    ),
    _case(
        "one-of-another",
        "rewrites to none of the words",
        _rewrite("command", "sh"),
        OUTSIDE,
        input=SHELL,
        lines=(_grant("command", 'one_of = ["ls", "pwd"]'),),
    ),
    _case(
        "one-of-blank",
        "rewrites to one of the words and a blank",
        _rewrite("command", "pwd "),
        OUTSIDE,
        input=SHELL,
        lines=(_grant("command", 'one_of = ["ls", "pwd"]'),),
    ),
    _case(
        "one-of-true",
        "rewrites a number to true where 1 is one of the words",
        _rewrite("timeout", TRUE),
        OUTSIDE,
        input=SHELL,
        lines=(_grant("timeout", "one_of = [1]"),),
    ),
    _case(
        "one-of-float",
        "rewrites a number to 1.0 where 1 is one of the words",
        _rewrite("timeout", b"\xcb\x3f\xf0\0\0\0\0\0\0"),
        OUTSIDE,
        input=SHELL,
        lines=(_grant("timeout", "one_of = [1]"),),
    ),
)
TOGETHER = (
    _case(
        "one-of-two",
        "rewrites a granted field and one that is not",
        answer(rewrite=pairs((text("content"), text("y")), (text("file_path"), text("/y")))),
        UNGRANTED,
        lines=MAY_WRITE,
    ),
    _case(
        "granted-elsewhere",
        "rewrites a field that is granted for another tool",
        _rewrite("content", "y"),
        UNGRANTED,
        lines=('grants.rewrite."Write.content" = { max = "1 KiB" }',),
    ),
    _case(
        "granted-longer",
        "rewrites a field where a tool with a longer name is granted",
        _rewrite("content", "y"),
        UNGRANTED,
        lines=(f'grants.rewrite."{TOOL}2.content" = {{ max = "1 KiB" }}',),
    ),
    _case(
        "granted-dotted",
        "rewrites a field with a dot, which looks granted",
        _rewrite("b.content", "y"),
        UNGRANTED,
        input={"b.content": "x", "content": "x"},
        lines=MAY_WRITE,
    ),
    _case(
        "with-a-deny",
        "denies and rewrites: the deny holds",
        _rewrite("content", "y", effect="deny", reason="no"),
        Answered(effect=Effect.DENY, reason="no", notes=(DROPPED,)),
        lines=MAY_WRITE,
    ),
    _case(
        "with-a-deny-ungranted",
        "denies and rewrites what is not granted",
        _rewrite("file_path", "/y", effect="deny", reason="no"),
        Answered(effect=Effect.DENY, reason="no", notes=(DROPPED,)),
    ),
    _case(
        "with-an-allow",
        "rewrites and allows, which is not granted",
        _rewrite("content", "y", effect="allow"),
        Answered(notes=(CALMED,), rewrite={"content": "y"}),
        lines=MAY_WRITE,
    ),
    _case("allow", "allows, which is not granted", answer(effect="allow"), Answered(notes=(CALMED,))),
    _case("empty", "rewrites nothing", answer(rewrite=pairs()), PASSES),
    _case("idle", "rewrites to what is there", _rewrite("content", "x"), PASSES),
    _case(
        "idle-and-more",
        "rewrites one field to what is there, and drops another",
        answer(rewrite=pairs((text("content"), text("x")), (text("file_path"), NIL))),
        UNGRANTED,
        lines=MAY_WRITE,
    ),
    _case(
        "composed",
        "rewrites to the same text in another normal form, which is a change",
        _rewrite("content", "e\u0301"),
        UNGRANTED,
        input=INPUT | {"content": "é"},
    ),
    _case("binary", "rewrites a text to its bytes", _rewrite("content", binary(b"x")), INVALID, lines=MAY_WRITE),
    Case(
        name="against-each-other",
        what="two policies that rewrite each other for ever",
        must=NO_REST,
        answer=constant(_rewrite("content", "a")),
        also=(constant(_rewrite("content", "b")),),
        lines=MAY_WRITE,
    ),
    Case(
        name="in-a-circle",
        what="three policies that rewrite each other in a circle",
        must=NO_REST,
        answer=constant(_rewrite("content", "a")),
        also=(constant(_rewrite("content", "b")), constant(_rewrite("content", "x"))),
        lines=MAY_WRITE,
    ),
    _case(
        "control-content",
        "rewrites what it may rewrite",
        _rewrite("content", "y" * 1_024),
        Answered(rewrite={"content": "y" * 1_024}),
        lines=MAY_WRITE,
    ),
    _case(
        "control-lines",
        "rewrites to lines and tabs",
        _rewrite("content", "a\n\tb\n"),
        Answered(rewrite={"content": "a\n\tb\n"}),
        lines=MAY_WRITE,
    ),
    _case(
        "control-silent",
        "rewrites a command that need not be shown",
        _rewrite("command", "pwd"),
        Answered(rewrite={"command": "pwd"}),
        input=SHELL,
        lines=(_grant("command", 'one_of = ["ls", "pwd"], silent = true'),),
    ),
)
EVENTS: dict[str, dict[str, Any]] = {
    "PermissionRequest": {},
    "PostToolUse": {"tool_response": {"ok": True}},
    "UserPromptSubmit": {"prompt": "hello", "tool_name": None, "tool_input": None},
    "SessionStart": {"source": "startup", "tool_name": None, "tool_input": None},
    "Notification": {"message": "hello", "tool_name": None, "tool_input": None},
    "PreCompact": {"trigger": "auto", "tool_name": None, "tool_input": None},
}
WRONG_EVENTS = tuple(
    _case(
        f"at-{event.lower()}",
        f"rewrites at {event}, where no input can be replaced",
        _rewrite("content", "y"),
        UNGRANTED,
        event={"hook_event_name": event, **fields},
        lines=MAY_WRITE,
    )
    for event, fields in EVENTS.items()
)

CASES = (*UNGRANTED_FIELDS, *ADDED, *RETYPED, *CAPS, *TOGETHER, *WRONG_EVENTS)
