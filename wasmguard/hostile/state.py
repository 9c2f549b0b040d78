"""Hostile cases about what lasts: sleepers that change after some calls, residue of others, ungranted state.

Each sleeper is asked so often that every slot of the pool is used again, and must answer as on its first day.
"""

from __future__ import annotations

from typing import Any

from wasmguard.decision import Effect
from wasmguard.hostile.case import (
    INVALID,
    PASSES,
    UNGRANTED,
    Answered,
    Case,
    component,
    constant,
    guest,
    shipped,
)
from wasmguard.hostile.raw import answer, array, binary, pairs, text

TIMES = 140  # more than twice the slots of a guard
WAKES = "(then unreachable)"
SLEEPERS = {
    "global": (
        "counts in a global",
        f"(if (global.get $n) {WAKES}) (global.set $n (i32.const 1))",
        "(global $n (mut i32) (i32.const 0))",
    ),
    "exported-global": (
        "counts in a global that it exports",
        f"(if (i64.ne (global.get $n) (i64.const 7)) {WAKES}) (global.set $n (i64.const 8))",
        '(global $n (export "n") (mut i64) (i64.const 7))',
    ),
    "vector-global": (
        "counts in a vector",
        f"(if (v128.any_true (global.get $n)) {WAKES}) (global.set $n (v128.const i64x2 1 1))",
        "(global $n (mut v128) (v128.const i64x2 0 0))",
    ),
    "reference-global": (
        "keeps a reference in a global",
        f"(if (i32.eqz (ref.is_null (global.get $r))) {WAKES}) (global.set $r (ref.func $f))",
        "(global $r (mut funcref) (ref.null func)) (func $f) (elem declare func $f)",
    ),
    "memory": (
        "counts in its memory",
        f"(if (i32.load (i32.const 8)) {WAKES}) (i32.store (i32.const 8) (i32.const 1))",
        "",
    ),
    "memory-behind-data": (
        "writes over its own data",
        f"(if (i32.ne (i32.load8_u (i32.const 8200)) (i32.const 65)) {WAKES})"
        " (i32.store8 (i32.const 8200) (i32.const 66))",
        '(data (i32.const 8200) "A")',
    ),
    "memory-last-page": (
        "counts in the last page that it can get",
        f"(drop (memory.grow (i32.const 255))) (if (i32.load (i32.const 0xfffff0)) {WAKES})"
        " (i32.store (i32.const 0xfffff0) (i32.const 1))",
        "",
    ),
    "memory-size": (
        "counts in the size of its memory",
        f"(if (i32.ne (memory.size) (i32.const 1)) {WAKES}) (drop (memory.grow (i32.const 1)))",
        "",
    ),
    "table": (
        "counts in a table",
        f"(if (i32.eqz (ref.is_null (table.get $t (i32.const 3)))) {WAKES}) (table.set $t (i32.const 3) (ref.func $f))",
        "(table $t 4 funcref) (func $f) (elem declare func $f)",
    ),
    "table-entry": (
        "empties a table entry that its module fills",
        f"(if (ref.is_null (table.get $t (i32.const 0))) {WAKES}) (table.set $t (i32.const 0) (ref.null func))",
        "(table $t 1 funcref) (func $f) (elem (i32.const 0) $f)",
    ),
    "table-last": (
        "counts in the last entry that a table can get",
        "(drop (table.grow $t (ref.null func) (i32.const 9999)))"
        f" (if (i32.eqz (ref.is_null (table.get $t (i32.const 9999)))) {WAKES})"
        " (table.set $t (i32.const 9999) (ref.func $f))",
        "(table $t 1 funcref) (func $f) (elem declare func $f)",
    ),
    "table-size": (
        "counts in the size of a table",
        f"(if (i32.ne (table.size $t) (i32.const 1)) {WAKES}) (drop (table.grow $t (ref.null func) (i32.const 1)))",
        "(table $t 1 funcref)",
    ),
    "segment": (
        "drops a data segment, which it needs the next time",
        "(memory.init $d (i32.const 8192) (i32.const 0) (i32.const 4)) (data.drop $d)",
        '(data $d "four")',
    ),
    "element-segment": (
        "drops an element segment, which it needs the next time",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)",
        "(table $t 1 funcref) (func $f) (elem $e func $f)",
    ),
    "start": (
        "counts in its start section",
        f"(if (i32.ne (global.get $n) (i32.const 1)) {WAKES})",
        "(global $n (mut i32) (i32.const 0)) (start $s)"
        " (func $s (global.set $n (i32.add (global.get $n) (i32.const 1))))",
    ),
    "initialize": (
        "counts in `_initialize`",
        f"(if (i32.ne (i32.load (i32.const 8)) (i32.const 1)) {WAKES})",
        '(func (export "_initialize") (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1))))',
    ),
    "request": (
        "looks behind its request for what a longer one left there",
        f"(if (i64.ne (i64.load offset=8 (i32.add (local.get $request) (local.get $length))) (i64.const 0)) {WAKES})"
        " (memory.fill (local.get $request) (i32.const 0xaa) (i32.const 60000))",
        "",
    ),
}

COUNTING = "(global $n (mut i32) (i32.const 1024))"
UPDATES = {
    "rules": pairs(
        (text("type"), text("addRules")),
        (text("rules"), array(pairs((text("toolName"), text("Bash"))))),
        (text("behavior"), text("allow")),
        (text("destination"), text("{}")),
    ),
    "mode": pairs(
        (text("type"), text("setMode")), (text("mode"), text("acceptEdits")), (text("destination"), text("{}"))
    ),
    "folders": pairs(
        (text("type"), text("addDirectories")),
        (text("directories"), array(text("/"))),
        (text("destination"), text("{}")),
    ),
}
ALLOWING = 'grants.effects = ["deny", "ask", "allow"]'
EVERYWHERE = "grants.permissions = true"
REQUEST = {"hook_event_name": "PermissionRequest"}


def _update(kind: str = "addRules", **fields: bytes | str) -> bytes:
    """A permission update with these fields."""
    every = {"type": kind, **fields}
    return pairs(*((text(key), text(value) if isinstance(value, str) else value) for key, value in every.items()))


RULES = array(pairs((text("toolName"), text("Bash"))))
ADDED: dict[str, Any] = {"rules": RULES, "behavior": "allow"}


def _permits(name: str, what: str, update: bytes, must: Any = UNGRANTED, lines: tuple[str, ...] = ()) -> Case:
    said = answer(effect="allow", permissions=array(update))
    return Case(
        name=f"permissions-{name}",
        what=f"allows, with {what}",
        must=must,
        answer=constant(said),
        event=REQUEST,
        lines=(ALLOWING, *lines),
    )


PERMISSIONS = (
    *(
        _permits(
            f"to-{place.lower()}", f"a rule for {place}, which is not granted", _update(**ADDED, destination=place)
        )
        for place in ("userSettings", "projectSettings", "localSettings", "session", "cliArg")
    ),
    _permits(
        "elsewhere",
        "a rule for another place than the granted one",
        _update(**ADDED, destination="userSettings"),
        lines=('grants.permissions = ["session"]',),
    ),
    _permits(
        "bypass",
        "the mode in which nobody is asked",
        _update("setMode", mode="bypassPermissions", destination="session"),
        lines=(EVERYWHERE,),
    ),
    *(
        _permits(name, what, update, INVALID, (EVERYWHERE,))
        for name, what, update in (
            ("unknown", "an update of an unknown type", _update("grantAll", destination="session")),
            ("more", "an update with a field more", _update(**ADDED, destination="session", force=b"\xc3")),
            ("less", "an update without a destination", _update(**ADDED)),
            ("nowhere", "an update for a place that does not exist", _update(**ADDED, destination="everywhere")),
            ("place-list", "an update for a list of places", _update(**ADDED, destination=array(text("session")))),
            ("mode-unknown", "a mode that does not exist", _update("setMode", mode="yolo", destination="session")),
            (
                "behavior-unknown",
                "a behavior that does not exist",
                _update(rules=RULES, behavior="always", destination="session"),
            ),
            ("rules-text", "rules that are a text", _update(rules="Bash", behavior="allow", destination="session")),
            (
                "rule-escapes",
                "a rule that clears the screen",
                _update(
                    rules=array(pairs((text("toolName"), text("\x1b[2J")))), behavior="allow", destination="session"
                ),
            ),
            (
                "rule-empty",
                "a rule for a tool without a name",
                _update(rules=array(pairs((text("toolName"), text("")))), behavior="allow", destination="session"),
            ),
            (
                "rule-more",
                "a rule with a field more",
                _update(
                    rules=array(pairs((text("toolName"), text("x")), (text("sudo"), b"\xc3"))),
                    behavior="allow",
                    destination="session",
                ),
            ),
            (
                "folder-lines",
                "a folder whose name has two lines",
                _update("addDirectories", directories=array(text("/a\n/")), destination="session"),
            ),
            ("text", "a text instead of an update", text("allow")),
            ("nil", "nil instead of an update", b"\xc0"),
        )
    ),
    Case(
        name="permissions-without-allow",
        what="writes permissions without an allow, which is not granted either",
        must=UNGRANTED,
        answer=constant(answer(permissions=array(_update(**ADDED, destination="session")))),
        event=REQUEST,
    ),
    Case(
        name="permissions-with-deny",
        what="denies and writes permissions: they say nothing",
        must=Answered(effect=Effect.DENY),
        answer=constant(answer(effect="deny", permissions=array(_update(**ADDED, destination="session")))),
        event=REQUEST,
        lines=(EVERYWHERE,),
    ),
)
STATES = (
    *(
        Case(
            name=f"state-{name}", what=f"remembers {what}, which is not granted", must=UNGRANTED, answer=constant(said)
        )
        for name, what, said in (
            ("empty", "nothing", answer(state=binary(b""))),
            ("byte", "a byte", answer(state=binary(b"x"))),
            ("large", "60,000 bytes", answer(state=binary(bytes(60_000)))),
            ("deny", "something, and denies", answer(effect="deny", reason="no", state=binary(b"x"))),
            ("allow", "something, and allows", answer(effect="allow", state=binary(b"x"))),
        )
    ),
)

CASES = (
    *(
        Case(
            name=f"sleeper-{name}",
            what=f"{what}, and changes its mind the second time",
            must=PASSES,
            module=guest(evaluate, fields=fields),
            times=TIMES,
        )
        for name, (what, evaluate, fields) in SLEEPERS.items()
    ),
    Case(
        name="sleeper-alloc",
        what="counts in `alloc`",
        must=PASSES,
        module=guest(
            f"(if (i32.ne (local.get $request) (i32.const 1024)) {WAKES})",
            fields=COUNTING,
            alloc="(global.get $n) (global.set $n (i32.add (global.get $n) (i32.const 8)))",
        ),
        times=TIMES,
    ),
    Case(
        name="sleeper-component",
        what="a component that counts in a global and in its memory",
        must=PASSES,
        module=component(
            f"(if (i32.or (global.get $n) (i32.load (i32.const 8))) {WAKES})"
            " (global.set $n (i32.const 1)) (i32.store (i32.const 8) (i32.const 1))",
            fields="(global $n (mut i32) (i32.const 0))",
        ),
        times=TIMES,
    ),
    Case(
        name="residue",
        what="reads all that a slot may hold, and dirties it",
        must=PASSES,
        module=shipped("residue"),
        lines=("limits.fuel = 200_000_000", 'limits.clock = "500 ms"'),
        times=TIMES,
    ),
    *STATES,
    *PERMISSIONS,
)
