"""What Claude Code drops of a settings file, or what in it keeps our hooks from being asked.

The client says nothing of this on its standard error; `claude doctor` and its debug log do. Measured with 2.1.330:

1. JSON only: a comment, a trailing comma or `NaN`, and the file is ignored. A byte order mark is fine.
2. A key that the client knows with a value of another type, and the file is ignored: `"model": 5` switches hooks off.
   (`TYPES` holds the keys that people write; `claude doctor` knows all.) Keys that it does not know do nothing.
3. A broken group or handler under PreToolUse or PermissionRequest, and the file is ignored, our own entries included.
   Under another event only what is broken is dropped.
4. `disableAllHooks` switches off what is not an administrator's. `allowManagedHooksOnly` counts in managed settings
   only. A URL that no pattern of `allowedHttpHookUrls` matches is not called (with `onFailure: "block"`: blocked).
5. `async` makes a hook's answer count for nothing; `if`, a matcher and `once` let it be asked less; without
   `onFailure: "block"` the call goes on when it fails.
6. Hooks of the same event run in parallel, each on the original input; the last to finish wins with its
   `updatedInput`. So another hook on the same calls can undo a rewrite.
"""

from __future__ import annotations

from wasmguard.agents.claude import KNOWN
from wasmguard.agents.claude_settings import EVERYTHING, MANAGED, UNMATCHED, handlers, is_ours
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

GUARDING = frozenset({"PreToolUse", "PermissionRequest"})
HANDLERS = {"command": "command", "http": "url", "prompt": "prompt", "agent": "prompt", "mcp_tool": "tool"}
"""The types of handlers, and a key that each must have."""
TEXTS, SWITCHES = ("if", "statusMessage", "url", "command"), ("once", "async", "asyncRewake")

_TEXT, _FLAG, _MAP, _LIST = "a string", "true or false", "an object", "a list"
TYPES = {
    **dict.fromkeys(("$schema", "apiKeyHelper", "language", "model", "outputStyle"), _TEXT),
    **dict.fromkeys(("agent", "awsAuthRefresh", "otelHeadersHelper", "plansDirectory", "minimumVersion"), _TEXT),
    **dict.fromkeys(("autoUpdatesChannel", "defaultShell"), _TEXT),
    **dict.fromkeys(("disableAllHooks", "allowManagedHooksOnly", "includeCoAuthoredBy", "spinnerTipsEnabled"), _FLAG),
    **dict.fromkeys(("alwaysThinkingEnabled", "enableAllProjectMcpServers"), _FLAG),
    **dict.fromkeys(("autoMemoryEnabled", "skipWebFetchPreflight", "respectGitignore", "fastMode"), _FLAG),
    **dict.fromkeys(("env", "permissions", "statusLine", "sandbox", "enabledPlugins", "fileSuggestion"), _MAP),
    **dict.fromkeys(("attribution", "worktree", "modelOverrides", "remote", "spinnerVerbs"), _MAP),
    **dict.fromkeys(("allowedHttpHookUrls", "httpHookAllowedEnvVars"), _LIST),
    **dict.fromkeys(("availableModels", "enabledMcpjsonServers", "companyAnnouncements"), _LIST),
    **dict.fromkeys(("cleanupPeriodDays", "feedbackSurveyRate"), "a number"),
    **dict.fromkeys((f"permissions.{key}" for key in ("allow", "deny", "ask", "additionalDirectories")), _LIST),
    "permissions.defaultMode": _TEXT,
}
"""Rule 2: the keys that people write, and what their values must be."""

IGNORED, OFF, DROPPED, LOOSE, SHADOWED, NOTED = "ignored", "off", "dropped", "loose", "shadowed", "noted"
"""Kinds of flaws: the client ignores the file; hooks are off; it drops an entry; an entry of ours is asked less or
obeyed less; another hook's rewrite can undo ours; worth knowing."""


class Flaw(Value):
    """Something in a settings file that keeps hooks from being asked or obeyed."""

    kind: str
    """One of the words above."""
    place: str
    """Which part of the settings: `hooks.PreToolUse[1]`; empty for the file as a whole."""
    why: str
    """What is wrong, as a sentence without its subject: `must be a string`."""
    ours: bool = False
    """Whether it is about an entry of ours."""


def flaws(settings: object, *, name: str = "") -> tuple[Flaw, ...]:
    """What is wrong with *settings*, the JSON value of a settings file; *name* is the file's, without its folder.

    Comments are gone from a value: who reads a file says himself that it is no plain JSON (rule 1).
    """
    if type(settings) is not dict:
        return (Flaw(kind=IGNORED, place="", why="must be an object"),)
    return (
        *_keys(settings),
        *_switches(settings, name),
        *_broken(settings.get("hooks", {})),
        *_loose(settings),
        *_others(settings),
    )


def ignored(settings: object) -> bool:
    """Whether the client ignores a file with these *settings*, as far as we know it."""
    return any(flaw.kind == IGNORED for flaw in flaws(settings))


def _keys(settings: Mapping[str, Any]) -> Iterator[Flaw]:
    for key, what in TYPES.items():
        above, _, name = key.rpartition(".")
        holder = settings.get(above) if above else settings
        if type(holder) is dict and name in holder and not _is(what, holder[name]):
            yield Flaw(kind=IGNORED, place=key, why=f"must be {what}: the client ignores the whole file")


def _is(what: str, value: object) -> bool:
    if what == "a number":
        return type(value) in (int, float)
    return type(value) is {_TEXT: str, _FLAG: bool, _MAP: dict, _LIST: list}[what]


def _switches(settings: Mapping[str, Any], name: str) -> Iterator[Flaw]:
    if settings.get("disableAllHooks") is True:
        yield Flaw(kind=OFF, place="disableAllHooks", why="is true: the client runs no hook")
    if settings.get("allowManagedHooksOnly") is True and name == MANAGED:
        yield Flaw(kind=OFF, place="allowManagedHooksOnly", why="is true: only hooks of managed settings run")
    patterns = settings.get("allowedHttpHookUrls")
    if type(patterns) is list:
        called = (handler["url"] for _, _, handler in handlers(settings) if _is_our_url(handler))
        for url in dict.fromkeys(called):
            if not allows(patterns, url):
                why = f"does not allow `{url}`: the client never calls it"
                yield Flaw(kind=OFF, place="allowedHttpHookUrls", why=why, ours=True)


def _is_our_url(handler: Mapping[str, Any]) -> bool:
    return handler.get("type") == "http" and is_ours(handler)


def allows(patterns: list[Any], url: str) -> bool:
    """Whether one of *patterns* (of `allowedHttpHookUrls`, `*` for anything) matches *url*, its origin or its whole."""
    origin = "/".join(url.split("/")[:3])
    return any(type(p) is str and (_matches(p, url) or _matches(p, origin)) for p in patterns)


def _matches(pattern: str, text: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def _broken(hooks: object) -> Iterator[Flaw]:
    """Rule 3, and what the client does not know."""
    if type(hooks) is not dict:
        yield Flaw(kind=DROPPED, place="hooks", why="must be an object: the client drops all of it")
        return
    for event, listed in hooks.items():
        place = f"hooks.{event}"
        if event not in KNOWN:
            why = "is no event that 2.1.330 knows: an older client drops it, and the whole file if hooks are in it"
            yield Flaw(kind=DROPPED, place=place, why=why)
        elif type(listed) is not list:
            yield _drops(event, place, "must be a list", only=listed is None)
        else:
            yield from (
                _drops(event, where, why)
                for number, group in enumerate(listed)
                for where, why in _in_group(f"{place}[{number}]", group)
            )


def _drops(event: str, place: str, why: str, *, only: bool = False) -> Flaw:
    if event in GUARDING and not only:
        return Flaw(kind=IGNORED, place=place, why=f"{why}: the client ignores the whole file")
    return Flaw(kind=DROPPED, place=place, why=f"{why}: the client drops it")


def _in_group(place: str, group: object) -> Iterator[tuple[str, str]]:
    """What is wrong in *group*: where, and what."""
    if type(group) is not dict:
        yield place, "must be an object"
        return
    if type(group.get("matcher", "")) is not str:
        yield f"{place}.matcher", "must be a string"
    if type(group.get("hooks")) is not list:
        yield f"{place}.hooks", "must be a list"
        return
    for number, handler in enumerate(group["hooks"]):
        yield from ((f"{place}.hooks[{number}]", why) for why in _in_handler(handler))


def _in_handler(handler: object) -> Iterator[str]:
    if type(handler) is not dict:
        yield "must be an object"
        return
    must = HANDLERS.get(kind) if type(kind := handler.get("type")) is str else None
    if must is None:
        yield f"needs `type`: one of {', '.join(HANDLERS)}"
    elif type(handler.get(must)) is not str:
        yield f"needs `{must}`, a string"
    yield from (f"has `{key}` that is no string" for key in TEXTS if key != must and not _holds(handler, key, str))
    yield from (f"has `{key}` that is neither true nor false" for key in SWITCHES if not _holds(handler, key, bool))
    for key in ("args", "allowedEnvVars"):
        if not (_holds(handler, key, list) and all(type(part) is str for part in handler.get(key, ()))):
            yield f"has `{key}` that is no list of strings"
    if not _holds(handler, "headers", dict) or not all(type(v) is str for v in handler.get("headers", {}).values()):
        yield "has `headers` that are no object of strings"
    timeout = handler.get("timeout", 1)
    if type(timeout) not in (int, float) or not timeout > 0:
        yield "has a `timeout` that is no number above 0"
    if handler.get("onFailure", "block") not in ("block", "continue") and kind != "mcp_tool":
        yield "has an `onFailure` that is neither `block` nor `continue`"
    if kind == "command" and handler.get("shell", "bash") not in ("bash", "powershell"):
        yield "has a `shell` that is neither `bash` nor `powershell`"


def _holds(handler: Mapping[str, Any], key: str, kind: type) -> bool:
    """Whether *key* is absent or of the type *kind*."""
    return key not in handler or type(handler[key]) is kind


def _loose(settings: object) -> Iterator[Flaw]:
    """Rule 5, of our own entries."""
    seen: dict[str, int] = {}
    for event, matcher, handler in handlers(settings):
        if not is_ours(handler):
            continue
        seen[event] = seen.get(event, 0) + 1
        if matcher not in EVERYTHING and event not in UNMATCHED:
            why = f"is asked only about what `{matcher}` matches"
            yield Flaw(kind=LOOSE, place=f"hooks.{event}", why=why, ours=True)
        for kind, why in _looseness(handler):
            yield Flaw(kind=kind, place=f"hooks.{event}", why=why, ours=True)
    for event, times in seen.items():
        if times > 1:
            yield Flaw(kind=NOTED, place=f"hooks.{event}", why=f"holds {times} entries of wasmguard", ours=True)


def _looseness(handler: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, what in (("if", "is asked only sometimes"), ("once", "is asked once"), ("shell", "goes by a shell")):
        if handler.get(key):
            yield LOOSE, f"has `{key}`: it {what}"
    if handler.get("async") or handler.get("asyncRewake"):
        yield LOOSE, "has `async`: its answer counts for nothing"
    if handler.get("onFailure") != "block":
        yield LOOSE, 'has no `onFailure: "block"`: the call goes on when it fails'
    if "timeout" not in handler:
        yield NOTED, "has no `timeout`: the client waits ten minutes"


def _others(settings: object) -> Iterator[Flaw]:
    """Rule 6, and matchers that can never match."""
    for event, matcher, handler in handlers(settings):
        if is_ours(handler):
            continue
        if event == "PreToolUse":
            runs = handler.get("command") or handler.get("url") or handler.get("type")
            why = f"also runs `{runs}`: if it answers with `updatedInput`, the last of both to finish wins"
            yield Flaw(kind=SHADOWED, place="hooks.PreToolUse", why=why)
        if event not in UNMATCHED and not _can_match(matcher):
            yield Flaw(kind=NOTED, place=f"hooks.{event}", why=f"has the matcher `{matcher}`, which never matches")


def _can_match(matcher: str) -> bool:
    """Whether *matcher* is a regular expression, as far as Python's and JavaScript's agree."""
    if matcher in EVERYTHING or all(character.isalnum() or character in "_,|- " for character in matcher):
        return True
    import re

    try:
        re.compile(matcher)
    except re.error:
        return False
    return not matcher.startswith("(?i")  # Python's way to say it
