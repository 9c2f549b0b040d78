"""Claude Code's settings: where they are, and what an entry of ours in them looks like.

What the client does with settings was measured with Claude Code 2.1.330; `claude_flaws` has what it makes of others'.

1. An entry is a group under an event: `{"matcher": "*", "hooks": [handler]}`; without the matcher where the event takes
   none. A matcher that is wrong never matches, so ours is always `*`, and there is never an `if`.
2. A handler has `timeout` in seconds and `onFailure: "block"`: without that the client lets the call go on when a hook
   crashes or hangs. Older clients than `MINIMUM` do not know the word.
3. A command is in exec form (`command` and `args`), so that no shell reads a path.
4. A URL takes variables of the client's environment in its headers, those in `allowedEnvVars`; others become empty. The
   client sends no SessionStart and no Setup to a URL. `CLAUDE_PROJECT_DIR` is not in its environment, only in a hook's.
5. `ALWAYS` is hooked whatever the policies judge: what gates, ConfigChange (our entry is not taken out under a running
   session), SessionStart (the daemon is up before the first call), and what came of a call (whether the input that was
   granted is the one that ran).
6. WorktreeCreate is never hooked: the client expects of the hook to make the worktree.
7. An entry is ours if it runs one of our clients or `wasmguard serve`, or calls our URL on this machine.

A hook process reads this on ConfigChange, so it imports nothing.
"""

from __future__ import annotations

import sys
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Version = tuple[int, int, int]

AGENT = "claude-code"
MINIMUM = (2, 1, 295)
"""The first client that knows `onFailure` (its documentation): older ones let a call go on when a hook fails."""
TIMEOUT = 30  # seconds; a hook of ours has answered after 25 at the latest (`serve.hook.DEADLINE`)

SCOPES = ("user", "project", "local", "managed")
SETTINGS, LOCAL, MANAGED = "settings.json", "settings.local.json", "managed-settings.json"
ADMINISTRATORS = {"darwin": "/Library/Application Support/ClaudeCode", "win32": "C:/Program Files/ClaudeCode"}

ALWAYS = (
    *("SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "ConfigChange"),
    *("PostToolUse", "PostToolUseFailure"),
)
NEVER = frozenset({"WorktreeCreate"})
UNMATCHED = frozenset(
    {"UserPromptSubmit", "PostToolBatch", "Stop", "TeammateIdle", "TaskCreated", "TaskCompleted", "WorktreeRemove"}
    | {"WorktreeCreate", "CwdChanged", "FileChanged", "MessageDisplay"}
)
"""Events that take no matcher (2.1.330)."""
BY_COMMAND = frozenset({"SessionStart", "Setup", "UserPromptSubmit", "ConfigChange"})
"""Events that never go to a URL: rule 4; and those after which a daemon that is gone must be there again (it ends when
nobody asks for a while), or must not be needed."""

EVERYTHING = ("*", "")
PATH = "/v1/hook/claude-code"
CLIENTS = ("/wasmguard/serve/client.py", "/wasmguard-client")
LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")
TOKEN_VARIABLE = "WASMGUARD_TOKEN"  # noqa: S105  # the name of a variable
HEADERS = {"X-Claude-Config-Dir": "CLAUDE_CONFIG_DIR", "X-Claude-Project-Dir": "CLAUDE_PROJECT_DIR", "X-Home": "HOME"}
"""Which variables of the client's environment go to the daemon, under which names: `wasmguard.link.CONTEXT`."""


def settings_file(scope: str, *, home: str, project: str, config_dir: str = "", platform: str = sys.platform) -> str:
    """The settings file of *scope*, for the user with this *home* and *config_dir* (`$CLAUDE_CONFIG_DIR`) in *project*.

    Raises:
        KeyError: if there is no such scope.
    """
    return {
        "user": f"{config_dir or f'{home}/.claude'}/{SETTINGS}",
        "project": f"{project}/.claude/{SETTINGS}",
        "local": f"{project}/.claude/{LOCAL}",
        "managed": f"{ADMINISTRATORS.get(platform, '/etc/claude-code')}/{MANAGED}",
    }[scope]


def events_for(judged: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The events to hook when policies judge *judged*, in the order of `ALWAYS` and then of *known*, the events that
    the client has. It ignores others."""
    wanted = set(judged) - set(ALWAYS) - NEVER
    return (*ALWAYS, *(event for event in known if event in wanted))


def command_handler(command: Sequence[str]) -> dict[str, Any]:
    """The handler that runs *command*."""
    head, *rest = command
    return {"type": "command", "command": head, "args": rest, "timeout": TIMEOUT, "onFailure": "block"}


def url_handler(url: str, token: str | None) -> dict[str, Any]:
    """The handler that posts to *url*; without a *token*, the client takes it from `TOKEN_VARIABLE`."""
    filled = list(HEADERS.values()) if token else [TOKEN_VARIABLE, *HEADERS.values()]
    headers = {"Authorization": f"Bearer {token or f'${TOKEN_VARIABLE}'}"}
    headers |= {header: f"${variable}" for header, variable in HEADERS.items()}
    handler = {"type": "http", "url": url, "headers": headers, "allowedEnvVars": filled}
    return {**handler, "timeout": TIMEOUT, "onFailure": "block"}


def groups(
    events: Iterable[str], command: Mapping[str, Any], by_url: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """The group of each of *events*: it runs *command*, or calls *by_url* where the event can."""
    made = {}
    for event in events:
        handler = command if by_url is None or event in BY_COMMAND else by_url
        matcher = {} if event in UNMATCHED else {"matcher": EVERYTHING[0]}
        made[event] = {**matcher, "hooks": [dict(handler)]}
    return made


def version_of(said: str) -> Version | None:
    """The version in what `claude --version` *said* (`2.1.330 (Claude Code)`); None if there is none."""
    for word in said.split():
        parts = word.split("-")[0].split(".")
        if len(parts) == 3 and all(part.isascii() and part.isdecimal() and len(part) < 7 for part in parts):
            return int(parts[0]), int(parts[1]), int(parts[2])
    return None


def is_ours(handler: object) -> bool:
    """Whether *handler* runs wasmguard or calls it (rule 7)."""
    if type(handler) is not dict:
        return False
    url = handler.get("url")
    if handler.get("type") == "http":
        return type(url) is str and url.startswith(LOOPBACK) and url.partition("?")[0].rstrip("/").endswith(PATH)
    words = [word.strip("\"'").replace("\\", "/") for part in _command(handler) for word in part.split()]
    names = [word.rpartition("/")[2].removesuffix(".exe") for word in words]
    return any(f"/{word}".endswith(CLIENTS) for word in words) or ("wasmguard", "serve") in pairwise(names)


def _command(handler: Mapping[str, Any]) -> list[str]:
    """The words of a command handler, as far as they are text."""
    args = handler.get("args")
    return [part for part in (handler.get("command"), *(args if type(args) is list else ())) if type(part) is str]


def handlers(settings: object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every handler in *settings* that has the shape of one: event, matcher, handler."""
    hooks = settings.get("hooks") if type(settings) is dict else None
    for event, listed in hooks.items() if type(hooks) is dict else ():
        for group in listed if type(listed) is list else ():
            inside = group.get("hooks") if type(group) is dict else None
            matcher = group.get("matcher", "") if type(group) is dict else None
            for handler in inside if type(inside) is list else ():
                if type(handler) is dict and type(matcher) is str:
                    yield event, matcher, handler


def standing(settings: object, expected: Mapping[str, Any]) -> set[str]:
    """The events at which *settings* do what *expected*, a handler of ours, does: for every call, and not less."""
    same = ("type", "command", "args") if expected["type"] == "command" else ("type", "url")
    loosening = ("if", "async", "asyncRewake", "once", "shell")
    return {
        event
        for event, matcher, handler in handlers(settings)
        if matcher in EVERYTHING
        and all(handler.get(key) == expected.get(key) for key in same)
        and handler.get("onFailure") == "block"
        and not any(key in handler for key in loosening)
    }
