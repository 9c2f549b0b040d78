"""What of an answer counts: an owner's grants, and how an answer is cut down to them.

An answer that uses what was not granted is a fault (`Ungranted`), and so is one that breaks a grant's constraint
(`OutsideGrant`). In this order:

1. A policy may always tighten: `deny` and `ask` count even where the owner's list of effects leaves them out, because
   to drop them would loosen. An `allow` that was not granted counts as `pass`. That is all the list decides.
2. `state` needs a grant and fits its size. `permissions` have the agent's shape and need a grant for each destination
   they write to; no grant covers the mode in which the agent asks about nothing.
3. With a `deny` nothing is rewritten. Both together contradict each other: the deny holds, a note says so.
4. A rewrite answers an event whose input can be replaced. It names fields that the tool input has, at its top level.
5. Each field that it changes has a grant of its own, keeps its type and satisfies that grant's constraint.
6. The host builds the new input: the original, those fields replaced, the same keys in the same order. Where nothing
   changes there is no rewrite.
7. A rewritten `command`, of whatever tool, is shown to a human: the effect becomes at least ASK, unless its grant is
   `silent`. No character that does not show itself (escapes, bidi overrides, joiners) may be brought into it.
8. `permissions` count with an ALLOW, `interrupt` with a DENY; elsewhere they say nothing.
9. `rewrite_output` answers an event whose output can be replaced, needs a grant for the tool, and keeps the output's
   shape (`wasmguard.guest.outputs`). It counts whatever the effect: what was taken out stays out.

A grant for a rewrite is filed under "Tool.field", cut at the last dot; one for an output under "Tool". The tool is a
name, or a prefix and `*`; the name goes before a prefix, a longer prefix before a shorter one. A field with a dot in
its name cannot be granted. A grant for an output also covers the tools that have the name among their other ones
(`wasmguard.event.OTHER_NAMES`), since what is taken out only tightens; a grant for an input never does.
"""

from __future__ import annotations

from wasmguard.decision import Effect, Verdict
from wasmguard.errors import InvalidAnswer, OutsideGrant, Ungranted
from wasmguard.event import OTHER_NAMES, OUTPUTS, REWRITABLE
from wasmguard.guest import outputs
from wasmguard.guest.paths import check_within
from wasmguard.text import is_plain, one_line, quoted
from wasmguard.value import Value, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from wasmguard.event import Event
    from wasmguard.guest.codec import Answer

MONTH = 30 * 86_400  # seconds
COMMAND = "command"  # Bash, Monitor, PowerShell, and whatever an MCP server calls a command

_CONTROLS = "[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # category Cc without tab and line feed


class Within(Value):
    """A path below a root: `wasmguard.guest.paths`."""

    root: str

    silent = False  # a path is no command, so this grant never speaks for one

    def check(self, value: object, field: str) -> None:
        """Pass if *value* satisfies the constraint; *field* is for the message.

        Raises:
            OutsideGrant: with the first rule that fails.
        """
        try:
            check_within(value, self.root)
        except OutsideGrant as error:
            raise OutsideGrant(f"{_shown(field)}: {error}") from error

    def as_data(self) -> dict[str, Any]:
        return {"within": self.root}


class Max(Value):
    """Any value up to a size: a strong grant.

    A text counts its bytes in UTF-8, anything else those of its JSON. No text in it, however deep, has a control
    character other than tab and line feed.
    """

    bytes: int

    silent: bool = False
    """Whether a rewritten command goes ahead without being shown to a human."""

    def check(self, value: object, field: str) -> None:
        """As `Within.check`."""
        import json  # a rare grant: not worth 5 ms of every hook process
        import re

        text = value if type(value) is str else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
        if size > self.bytes:
            raise OutsideGrant(f"{_shown(field)}: {size:_} bytes, more than the {self.bytes:_} of its grant")
        if any(re.search(_CONTROLS, part) for part in _texts(value)):
            raise OutsideGrant(f"{_shown(field)}: a control character other than tab and line feed")

    def as_data(self) -> dict[str, Any]:
        return {"max": self.bytes, "silent": self.silent}


class OneOf(Value):
    """One of some values, compared with their types: 1 is not `true`."""

    values: tuple[Any, ...]

    silent: bool = False
    """As `Max.silent`."""

    def check(self, value: object, field: str) -> None:
        """As `Within.check`."""
        if not any(same(value, granted) for granted in self.values):
            raise OutsideGrant(f"{_shown(field)}: none of the {len(self.values)} values of its grant")

    def as_data(self) -> dict[str, Any]:
        return {"one_of": list(self.values), "silent": self.silent}


Constraint = Within | Max | OneOf


class Grants(Value):
    """What its owner lets one policy do beyond tightening. By default nothing."""

    effects: frozenset[Effect] = frozenset({Effect.PASS, Effect.ASK, Effect.DENY})
    rewrite: Mapping[str, Constraint] = {}  # a default that nobody changes: `Value` is frozen
    permissions: frozenset[str] = frozenset()
    """Destinations that its permission updates may be written to."""
    rewrite_output: Mapping[str, int] = {}  # as above
    """The most bytes that it may replace of the output of each tool."""
    state: int = 0
    """Bytes it may remember."""
    scope: str = "session"
    """What it remembers them for: see `wasmguard.state.scope`."""
    expires: int = MONTH
    """Seconds after which they are forgotten, counted from the last change."""
    entries: int = 10_000
    """For how many of these (sessions, projects, …) it may remember something at the same time."""

    def as_data(self) -> dict[str, Any]:
        """Plain JSON data, for the plan."""
        return {
            "effects": [effect.name.lower() for effect in sorted(self.effects)],
            "rewrite": {key: constraint.as_data() for key, constraint in self.rewrite.items()},
            "permissions": sorted(self.permissions),
            "rewrite_output": dict(self.rewrite_output),
            "state": self.state,
            "scope": self.scope,
            "expires": self.expires,
            "entries": self.entries,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Grants:
        """The grants that `as_data` wrote down."""
        return cls(
            effects=frozenset(Effect[name.upper()] for name in data["effects"]),
            rewrite={key: _constraint(given) for key, given in data["rewrite"].items()},
            permissions=frozenset(data["permissions"]),
            **{name: data[name] for name in ("rewrite_output", "state", "scope", "expires", "entries")},
        )

    def constraint_of(self, tool: str, field: str) -> Constraint | None:
        """The constraint on rewriting *field* of *tool*; None if that was not granted."""
        if "." in field:  # else the field `b.c` of the tool `A` would pass for the field `c` of the tool `A.b`
            return None
        if exact := self.rewrite.get(f"{tool}.{field}"):
            return exact
        for key in sorted(self.rewrite, key=len, reverse=True):
            pattern, _, name = key.rpartition(".")
            if name == field and pattern.endswith("*") and tool.startswith(pattern[:-1]):
                return self.rewrite[key]
        return None

    def most_output(self, tool: str | None) -> int | None:
        """The most bytes that may be replaced of the output of *tool*; None if that was not granted."""
        found = (self._most_output(name) for name in (tool, *OTHER_NAMES.get(tool, ()))) if tool is not None else ()
        return next((most for most in found if most is not None), None)

    def _most_output(self, tool: str) -> int | None:
        if tool in self.rewrite_output:
            return self.rewrite_output[tool]
        for pattern in sorted(self.rewrite_output, key=len, reverse=True):
            if pattern.endswith("*") and tool.startswith(pattern[:-1]):
                return self.rewrite_output[pattern]
        return None


def _constraint(data: Mapping[str, Any]) -> Constraint:
    if "within" in data:
        return Within(root=data["within"])
    if "max" in data:
        return Max(bytes=data["max"], silent=data["silent"])
    return OneOf(values=tuple(data["one_of"]), silent=data["silent"])


def answered(policy: str, answer: Answer, event: Event, grants: Grants) -> Verdict:
    """The verdict of *policy*: what its *answer* to *event* amounts to under *grants*.

    Raises:
        Ungranted: if it uses what was not granted.
        OutsideGrant: if it breaks a grant's constraint.
        InvalidAnswer: if it names a field that is not there, or a permission update has no known shape.
    """
    _check_state(answer.state, grants.state)
    for update in answer.permissions:
        _check_update(update, grants.permissions)
    effect, rewrite, notes = answer.effect, None, list(answer.notes)
    if effect is Effect.ALLOW and effect not in grants.effects:
        effect = Effect.PASS
        notes.append("`allow` is not granted: counts as `pass`")
    if answer.rewrite and effect is Effect.DENY:
        notes.append("denied and rewrote: the rewrite is not applied")
    elif answer.rewrite:
        changed = _changed(answer.rewrite, event, grants)
        rewrite = {**event.input, **{field: answer.rewrite[field] for field in changed}} if changed else None
        if COMMAND in changed and not changed[COMMAND].silent:
            effect = max(effect, Effect.ASK)
            notes.append("a rewritten `command` is shown to a human")
    return Verdict(
        policy=policy,
        effect=effect,
        reason=answer.reason,
        rewrite=rewrite,
        output=None if answer.rewrite_output is None else _output(answer.rewrite_output, event, grants),
        context=answer.context,
        interrupt=answer.interrupt and effect is Effect.DENY,
        permissions=answer.permissions if effect is Effect.ALLOW else (),
        notes=tuple(notes),
        state=answer.state,
    )


def _output(answered: Any, event: Event, grants: Grants) -> Any:
    """The new output of the tool, or None if it stays what it was."""
    if event.name not in OUTPUTS:
        raise Ungranted(f"it rewrites the output of {_shown(event.name)}, which cannot be rewritten")
    most = grants.most_output(event.tool)
    if most is None:
        tool = _shown(event.tool or "")
        raise Ungranted(f"it rewrites the output of {tool}, which is not granted: add `grants.rewrite_output` for it")
    return outputs.rebuilt(event.output, answered, most)


def _check_state(state: bytes | None, granted: int) -> None:
    if state is None:
        return
    if not granted:
        raise Ungranted("it remembers a `state`, which is not granted: add `grants.state`")
    if len(state) > granted:
        raise Ungranted(f"its `state` has {len(state):_} bytes, more than the {granted:_} of its grant")


def _changed(rewrite: Mapping[str, Any], event: Event, grants: Grants) -> dict[str, Constraint]:
    """The fields that *rewrite* really changes, each with the constraint that it satisfies."""
    tool = event.tool
    if event.name not in REWRITABLE or tool is None:
        raise Ungranted(f"it rewrites the input of {_shown(event.name)}, which cannot be rewritten")
    changed = {}
    for field, value in rewrite.items():
        if field not in event.input:
            raise InvalidAnswer(f"it rewrites {_shown(f'{tool}.{field}')}, which the tool input does not have")
        original = event.input[field]
        if not same(value, original):
            changed[field] = _satisfied(grants, tool, field, value, original)
    return changed


def _satisfied(grants: Grants, tool: str, field: str, value: Any, original: Any) -> Constraint:
    where = f"{tool}.{field}"
    constraint = grants.constraint_of(tool, field)
    if constraint is None:
        raise Ungranted(f"it rewrites {_shown(where)}, which is not granted: add `grants.rewrite` for it")
    if type(value) is not type(original):
        raise OutsideGrant(f"{_shown(where)}: a rewrite keeps the type of the original")
    constraint.check(value, where)
    if field == COMMAND and not all(is_plain(c) or c in "\n\t" for c in _characters(value) - _characters(original)):
        raise OutsideGrant(f"{_shown(where)}: a character that does not show itself")
    return constraint


_RULES = frozenset({"rules", "behavior"})
_DIRECTORIES = frozenset({"directories"})
_UPDATES = {
    "addRules": _RULES,
    "replaceRules": _RULES,
    "removeRules": _RULES,
    "setMode": frozenset({"mode"}),
    "addDirectories": _DIRECTORIES,
    "removeDirectories": _DIRECTORIES,
}
_DESTINATIONS = ("userSettings", "projectSettings", "localSettings", "session", "cliArg")
_BYPASS = "bypassPermissions"
_MODES = ("default", "acceptEdits", "plan", "auto", "dontAsk", _BYPASS)


def _check_update(update: Any, granted: frozenset[str]) -> None:
    """One permission update, in the shapes of Claude Code 2.1.329 (`PermissionUpdate` of its published types)."""
    kind = update.get("type") if type(update) is dict else None
    parts = _UPDATES.get(kind) if type(kind) is str else None
    if parts is None or update.keys() != parts | {"type", "destination"}:
        raise InvalidAnswer("a permission update has none of the known shapes")
    for part in sorted(parts | {"destination"}):
        if not _FITS[part](update[part]):
            raise InvalidAnswer(f"`{part}` of a permission update `{kind}` has not the known shape")
    if update["destination"] not in granted:
        raise Ungranted(f"it writes permissions to `{update['destination']}`, which `grants.permissions` does not name")
    if update.get("mode") == _BYPASS:
        raise Ungranted(f"it sets the mode `{_BYPASS}`, which no grant covers")


def _is_text(value: Any) -> bool:
    return type(value) is str and value != "" and one_line(value, len(value)) == value


def _is_rule(value: Any) -> bool:
    return (
        type(value) is dict
        and {"toolName"} <= value.keys() <= {"toolName", "ruleContent"}
        and all(map(_is_text, value.values()))
    )


_FITS: dict[str, Callable[[Any], bool]] = {
    "rules": lambda value: type(value) is list and all(map(_is_rule, value)),
    "behavior": lambda value: value in ("allow", "deny", "ask"),
    "mode": lambda value: value in _MODES,
    "directories": lambda value: type(value) is list and all(map(_is_text, value)),
    "destination": lambda value: value in _DESTINATIONS,
}


def _texts(value: Any) -> Iterator[str]:
    """Every text in JSON data, keys included."""
    if type(value) is str:
        yield value
    elif type(value) is list:
        for item in value:
            yield from _texts(item)
    elif type(value) is dict:
        yield from value
        yield from _texts(list(value.values()))


def _characters(value: Any) -> set[str]:
    return set("".join(_texts(value)))


def _shown(field: str) -> str:
    """A name that the agent or the guest chose, fit for our own sentence."""
    return quoted(one_line(field, 80))
