"""What the real client gets when `wasmguard doctor --real` drives it: copies of settings, and next to no environment.

1. Of the settings only what concerns hooks is copied, and of the hooks only those that can stop something.
2. Variables in settings go along only if they steer hooks; those that name another API, another account or a proxy do
   not.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wasmguard import wire
from wasmguard.event import GATING, STOPPING
from wasmguard.protection.settings import ALLOW_LISTS, STEERING, STEERING_NAMES, SWITCHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.workshop.hooks import Hook

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "SHELL")
"""What the client gets of our environment, besides what the hooks' headers name."""
QUIET = {
    "TERM": "dumb",
    "ANTHROPIC_API_KEY": "sk-ant-none",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}
ELSEWHERE = ("ANTHROPIC_", "CLAUDE_CODE_USE_", "AWS_", "GOOGLE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
HELPERS = ("apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "otelHeadersHelper", "forceLoginMethod")
FILES = ("settings.json", "settings.local.json")
GATES = GATING - STOPPING
LARGEST = 2**20  # bytes of a settings file


def copied(files: Mapping[str, str], home: str, project: str) -> None:
    """Put copies of the settings *files* into the configuration folder *home* and the *project*."""
    folders = {"user": (home, FILES[0]), "project": (project, FILES[0]), "local": (project, FILES[1])}
    for scope, (folder, name) in folders.items():
        path = files.get(scope, "")
        if not os.path.isfile(path):
            continue
        inside = folder if scope == "user" else os.path.join(folder, ".claude")
        os.makedirs(inside, exist_ok=True)
        with open(path, "rb") as source, open(os.path.join(inside, name), "wb") as target:
            target.write(kept(source.read(LARGEST)))


def kept(data: bytes) -> bytes:
    """Of settings, what concerns hooks. What cannot be read stays as it is: the client cannot read it either."""
    try:
        settings = wire.read(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return data
    if not isinstance(settings, dict):
        return data
    found = {name: settings[name] for name in ("hooks", *SWITCHES, *ALLOW_LISTS) if name in settings}
    hooks = found.get("hooks")
    if isinstance(hooks, dict):
        found["hooks"] = {event: groups for event, groups in hooks.items() if event in GATES}
    variables = settings.get("env")
    if isinstance(variables, dict):
        found["env"] = {name: value for name, value in variables.items() if _steers(name)}
    return json.dumps(found).encode()


def _steers(name: str) -> bool:
    """Whether a variable of the settings decides what hooks do: then it has to be there too."""
    upper = name.upper()
    return upper != "CLAUDE_CONFIG_DIR" and (upper.startswith(STEERING) or upper in STEERING_NAMES)


def leads_away(managed: str) -> str:
    """Why the client may not be started under the administrator's settings in the file *managed*; empty if it may."""
    try:
        with open(managed, "rb") as file:
            settings = wire.read(file.read(LARGEST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return ""
    variables = settings.get("env") if isinstance(settings, dict) else None
    named = [name for name in variables if name.upper().startswith(ELSEWHERE)] if isinstance(variables, dict) else []
    named += [name for name in HELPERS if isinstance(settings, dict) and name in settings]
    return f"`{managed}` sets `{named[0]}`, which may lead away from this machine" if named else ""


def environment(hook: Hook, folder: str, home: str) -> dict[str, str]:
    """What the client gets: next to nothing of ours."""
    names = {*KEPT, *hook.allowed}
    environ = {name: value for name in names if (value := os.environ.get(name)) is not None}
    temporary = os.path.join(folder, "tmp")
    environ |= {**QUIET, "CLAUDE_CONFIG_DIR": home, "TMPDIR": temporary, "CLAUDE_CODE_TMPDIR": temporary}
    if os.geteuid() == 0:
        environ["IS_SANDBOX"] = "1"  # else it refuses some modes to root, which the settings may ask for
    return environ
