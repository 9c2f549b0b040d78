"""Cases: what a policy must answer, as its author writes it down.

A case is a table `[[case]]` in `cases/*.toml`:

| key | |
|---|---|
| `name` | what must be so, as a sentence |
| `event` | the event, under Claude Code's names |
| `tool`, `input`, `cwd` | instead of `event`: the tool, its input and the folder of a PreToolUse |
| `settings` | what its owner set; what is left out has the manifest's default |
| `before` | events that it is asked about first, in this order, each with the state that the one before left |
| `state` | hexadecimal: what it remembers before all of them. Absent: nothing |
| `effect` | `pass`, `allow`, `ask` or `deny`; `trap`: it does not answer at all |
| `quiet = true` | instead of `effect`: it passes and says nothing to the model |
| `rewrite`, `output`, `interrupt`, `permissions` | what it answers, exactly. Absent: none of that |
| `reason`, `context`, `notes` | what the reason, the context and some note contain; `notes = []`: there are none |
| `reason_matches` | a regular expression that is found in the reason |
| `remembers` | whether it leaves a new state |

1. Every key is known and has its type, or the whole file is refused: a case with a mistyped key would hold nothing.
2. The policy is asked as a host would ask it: with the fields that its manifest reads, and its defaults.
3. Settings that the manifest does not know are sent as they are, and noted: a host would refuse them.
4. An event without `hook_event_name` is sent as it is: a case about what no host sends. But it can be sent: dates,
   and what else JSON has not, are refused.
5. A stranger's cases end soon, too: a file is a regular one, and what `tomllib` takes minutes for is not read.
"""

from __future__ import annotations

import os
import re
import tomllib
from itertools import islice
from typing import TYPE_CHECKING, Any

from wasmguard.errors import BundleError, ConfigError
from wasmguard.guest.bundle import read_once
from wasmguard.guest.codec import encode_settings
from wasmguard.guest.manifest import Manifest
from wasmguard.toml_errors import Problem, closest, not_toml, told, written
from wasmguard.toml_layout import Layout
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 4 * 2**20  # bytes of one file: events may hold large contents
MOST = 2_000  # cases in one file
FLAWS = 200  # that are looked for in one file; 20 of them are told
CWD = "/work"  # where the agent stands in an event of which only tool and input are told
EFFECTS = ("pass", "allow", "ask", "deny", "trap")
_DEEP = re.compile(
    r"""(?:^[ \t]*(?:\[{1,2}[ \t]*)?|[{,][ \t]*)(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""",
    re.MULTILINE,
)
"""A key of a hundred parts: `tomllib` takes time that is quadratic in them, 15 s for 40 kB."""
_KINDS: dict[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "event": (dict, "a table"),
    "tool": (str, "a text"),
    "input": (dict, "a table"),
    "cwd": (str, "a text"),
    "settings": (dict, "a table"),
    "before": (list, "a list of tables"),
    "state": (str, "hexadecimal digits in quotes"),
    "effect": (str, "a word in quotes"),
    "quiet": (bool, "`true`"),
    "rewrite": (dict, "a table"),
    "output": (object, ""),
    "interrupt": (bool, "`true` or `false`"),
    "permissions": (list, "a list of tables"),
    "reason": (str, "a text"),
    "reason_matches": (str, "a text"),
    "context": (str, "a text"),
    "notes": (list, "a list of texts"),
    "remembers": (bool, "`true` or `false`"),
}
_SHORT = ("tool", "input", "cwd")
_LOUD = ("effect", "rewrite", "output", "interrupt", "permissions", "context", "reason", "reason_matches")


class Case(Value):
    """One event, and what must be answered."""

    name: str
    file: str
    """As messages show it."""
    line: int
    event: dict[str, Any]
    settings: dict[str, Any]
    before: tuple[dict[str, Any], ...]
    state: bytes | None
    effect: str
    """One of `EFFECTS`."""
    expected: dict[str, Any]
    """The keys about the answer, as they were written; `effect` and `quiet` are in `effect` and `quiet`."""
    quiet: bool

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    @property
    def events(self) -> tuple[dict[str, Any], ...]:
        """Every event that the policy is asked about, in order."""
        return (*self.before, self.event)


def read_cases(folder: str, shown: str = "") -> list[Case]:
    """All cases in the files `*.toml` of *folder*, which messages call *shown*.

    Raises:
        BundleError: one line for each problem of every file.
    """
    found, flaws = [], []
    names = sorted(name for name in os.listdir(folder) if name.endswith(".toml")) if os.path.isdir(folder) else []
    for name in names:
        try:
            found += parsed(_text(os.path.join(folder, name)), os.path.join(shown or folder, name))
        except BundleError as error:
            flaws.append(str(error))
    if flaws:
        raise BundleError("\n".join(flaws))
    return found


def parsed(text: str, file: str) -> list[Case]:
    """The cases in *text*, which is that of *file*.

    Raises:
        BundleError: one line for each problem.
    """
    if _DEEP.search(text):
        raise BundleError(not_toml(file, text, RecursionError()))
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(not_toml(file, text, error)) from None
    problems = list(islice(_problems(data), FLAWS))
    if problems:
        raise BundleError(told(file, text, problems))
    layout = Layout(text)
    return [_case(given, file, layout.line(("case", at))) for at, given in enumerate(data["case"])]


def sent_settings(case: Case, manifest: Manifest | None) -> tuple[dict[str, Any], str]:
    """What *case* sends as settings, and why no host would; empty if one would."""
    if manifest is None:
        return case.settings, ""
    try:
        return manifest.settled(case.settings, case.where), ""
    except ConfigError as error:
        return case.settings, str(error)


def _text(path: str) -> str:
    try:
        data, _ = read_once(path, LARGEST, follow=True, refused_mode=None)
    except ValueError as error:
        raise BundleError(f"`{path}`: {error}") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BundleError(f"{path}:{line}: not UTF-8: save the file as UTF-8") from None


def _case(given: dict[str, Any], file: str, line: int) -> Case:
    quiet = given.get("quiet", False)
    event = given.get("event")
    if event is None:
        event = {"hook_event_name": "PreToolUse", "tool_name": given["tool"], "cwd": given.get("cwd", CWD)}
        event["tool_input"] = given.get("input", {})
    return Case(
        name=given["name"],
        file=file,
        line=line,
        event=event,
        settings=given.get("settings", {}),
        before=tuple(given.get("before", ())),
        state=bytes.fromhex(given["state"]) if "state" in given else None,
        effect="pass" if quiet else given["effect"],
        expected={key: given[key] for key in (*_LOUD[1:], "notes", "remembers") if key in given},
        quiet=quiet,
    )


def _problems(data: dict[str, Any]) -> Iterator[Problem]:
    yield from (((key,), f"unknown key: {closest(key, ['case'])}") for key in data if key != "case")
    cases = data.get("case")
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        if not data.keys() - {"case"}:
            yield ("case",), "there is none: write a `[[case]]`"
        return
    if len(cases) > MOST:
        yield ("case",), f"{len(cases):_} in one file: more than {MOST:_}: split it"
        return
    for at, case in enumerate(cases):
        yield from ((("case", at, *path), sentence) for path, sentence in _flaws(case))


def _flaws(case: dict[str, Any]) -> list[Problem]:
    """What is wrong with one case."""
    found: list[Problem] = []
    for key, value in case.items():
        if key not in _KINDS:
            found.append(((key,), f"unknown key: {closest(key, _KINDS)}"))
        elif why := _misfit(key, value):
            found.append(((key,), f"`{written(value)}`: {why}"))
    return found or _contradictions(case)


def _misfit(key: str, value: Any) -> str:
    """What is wrong with the value of *key*; empty if nothing is."""
    kind, words = _KINDS[key]
    if kind is not object and type(value) is not kind:
        return f"write {words}"
    if key == "effect" and value not in EFFECTS:
        return closest(value, EFFECTS)
    if key == "quiet" and not value:
        return "write `true`, or leave it out"
    if key in ("before", "permissions") and not all(isinstance(item, dict) for item in value):
        return f"write {words}"
    if key == "notes" and not all(isinstance(item, str) for item in value):
        return f"write {words}"
    return _unreadable(key, value) or _unsendable(key, value)


def _unreadable(key: str, value: Any) -> str:
    """Why a text of its own language cannot be read."""
    try:
        if key == "state":
            bytes.fromhex(value)
        elif key == "reason_matches":
            re.compile(value)
    except ValueError:
        return f"write {_KINDS[key][1]}"
    except re.error as error:
        return f"no regular expression: {error}: escape it, or use `reason`"
    except (OverflowError, RecursionError):
        return "no regular expression: too large or too deep: write a simpler one"
    return ""


def _unsendable(key: str, value: Any) -> str:
    """Why no request can hold what would be sent; empty if one can."""
    sent = {"event": [value], "input": [{key: value}], "settings": [value], "before": value}.get(key, ())
    try:
        for one in sent:
            encode_settings(one)
    except ConfigError as error:
        return f"{str(error).removeprefix('settings: ')}: write what JSON can say"
    return ""


def _contradictions(case: dict[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    if "name" not in case:
        found.append(((), "has no name: add `name`, a sentence about what must be so"))
    if "event" in case and (short := [key for key in _SHORT if key in case]):
        found.append(((short[0],), "stands beside `event`: put it into the event, or leave `event` out"))
    if "event" not in case and "tool" not in case:
        found.append(((), "has no event: add `event`, or `tool` and `input`"))
    if case.get("quiet") and (loud := [key for key in _LOUD if key in case]):
        found.append(((loud[0],), "stands beside `quiet`, which says that there is none: remove one of them"))
    if "effect" not in case and "quiet" not in case:
        found.append(((), f"expects nothing: add `effect`, one of {', '.join(EFFECTS)}, or `quiet = true`"))
    return found
