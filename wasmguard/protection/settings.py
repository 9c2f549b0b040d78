"""Changes of the agent's settings that would switch our hooks off, or put something else in their place.

Claude Code asks (`ConfigChange`) when a settings file changed under a running session, and does not apply what is
refused. It does not ask about files that are there when it starts. A change is refused if the file

1. sets `disableAllHooks`, or one of the switches that let only an administrator's hooks run;
2. sets a variable, in `env`, that steers a hook process: what it loads, where it finds its configuration and plan, and
   how the agent starts without hooks;
3. cannot be read as what it has to be: then nobody knows what it says;
4. does not hold a hook any more that `wasmguard install` wrote into it, or holds it changed. (Hooks that were written
   by hand are not known.) `wasmguard uninstall` forgets them first.

A file that is gone sets nothing, unless something was installed in it.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from wasmguard import installed, wire
from wasmguard.protection.marks import word_set
from wasmguard.protection.paths import MANAGED, SETTINGS, Protected
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

LARGEST = 2**20  # bytes of a settings file: real ones have some kilobytes

SWITCHES = ("disableAllHooks", "allowManagedHooksOnly")
ALLOW_LISTS = ("allowedHttpHookUrls", "httpHookAllowedEnvVars")  # what is not in them is dropped, our hooks too
STEERING = ("LD_", "DYLD_", "PYTHON", "WASMGUARD_")
STEERING_NAMES = word_set(
    "HOME USERPROFILE APPDATA LOCALAPPDATA XDG_CONFIG_HOME XDG_CACHE_HOME XDG_STATE_HOME XDG_DATA_HOME XDG_RUNTIME_DIR"
    " CLAUDE_CONFIG_DIR CLAUDE_CODE_SIMPLE CLAUDE_CODE_SAFE_MODE CLAUDE_CODE_SHELL_PREFIX BASH_ENV ENV GCONV_PATH"
)

OWN_WAY = "take it out again, or run `wasmguard off --for 10m` in a terminal first"


def refusal(fields: Mapping[str, Any], protected: Protected, cwd: str) -> str:
    """Why the settings that *fields*, those of a ConfigChange, tell about may not be applied; empty if they may."""
    if fields.get("source") == "skills":
        return ""
    given = fields.get("file_path")
    if given is not None and (not isinstance(given, str) or not given):
        return "the settings that changed have no readable name: restart the agent"
    named = [protected.absolute(given, cwd)] if given else _usual(str(fields.get("source", "")), protected, cwd)
    for path in named:
        if flaw := _flaw(path) or _lack(path):
            return f"the agent's settings `{one_line(path, 200)}` {flaw}"
    return ""


def _usual(source: str, protected: Protected, cwd: str) -> Iterator[str]:
    """The files of the scope *source*; all files for a scope that we do not know."""
    project = protected.environ.get("CLAUDE_PROJECT_DIR") or cwd
    user = protected.environ.get("CLAUDE_CONFIG_DIR") or f"{protected.home}/.claude"
    files = {
        "user_settings": [f"{user}/{SETTINGS[0]}"],
        "project_settings": [f"{root}/.claude/{SETTINGS[0]}" for root in {project, cwd}],
        "local_settings": [f"{root}/.claude/{SETTINGS[1]}" for root in {project, cwd}],
        "policy_settings": [f"{folder}/managed-settings.json" for folder in MANAGED],
    }
    yield from files.get(source) or [path for paths in files.values() for path in paths]


def _flaw(path: str) -> str:
    """What is wrong with the settings in the file *path*, and what to do; empty if nothing is."""
    try:
        settings = _read(path)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"cannot be read: {one_line(why, 100).lower()}: mend the file"
    if not isinstance(settings, dict):
        return "are no JSON object: mend the file"
    for switch in SWITCHES:
        if settings.get(switch, False) is not False:
            return f"set `{switch}`, which switches the guard's hooks off: {OWN_WAY}"
    for allowed in ALLOW_LISTS:
        if settings.get(allowed) is not None:
            return f"set `{allowed}`, which can drop the guard's hooks: {OWN_WAY}"
    return _flaw_of_variables(settings.get("env"))


def _lack(path: str) -> str:
    """What of ours is gone from the settings in the file *path*, and what to do; empty if nothing is."""
    lacking = installed.missing(path)
    if not lacking:
        return ""
    return f"hold the guard's hook for `{lacking[0]}` no more: put it back, or run `wasmguard uninstall claude-code`"


def _flaw_of_variables(variables: object) -> str:
    if variables is None:
        return ""
    if not isinstance(variables, dict):
        return "have an `env` that is no object: mend the file"
    for name in variables:
        upper = name.upper()
        if upper.startswith(STEERING) or upper in STEERING_NAMES:
            return f"set the variable `{one_line(name, 60)}`, which steers the guard's hooks: {OWN_WAY}"
    return ""


def _read(path: str) -> Any:
    """The JSON value in the file *path*.

    Raises:
        OSError, ValueError, RecursionError: if there is none.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(file, "rb") as stream:
        if not S_ISREG(os.fstat(file).st_mode):
            raise ValueError("is no regular file")
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"over {LARGEST} bytes")
    return wire.read_strictly(data.decode("utf-8-sig"))
