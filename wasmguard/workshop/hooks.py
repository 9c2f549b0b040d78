"""The hooks of ours that are installed: what stands in the agent's settings, not what was meant to stand there.

1. Settings are looked for where the client looks: those of the user, of the project (the current folder), its local
   ones, the administrator's; and wherever `install` wrote.
2. Handlers that do the same are one hook with many events. What stands in a file that the client ignores is none.
3. What a command line says about configuration, folders and socket counts. A URL says nothing about them: what
   `install` remembers, or another hook in the same file; then what is usual.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import pairwise
from stat import S_ISREG
from types import MappingProxyType
from typing import TYPE_CHECKING

from wasmguard import installed, link, places, wire
from wasmguard.agents import claude_flaws, claude_settings
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

LARGEST = 2**20  # bytes of a settings file: real ones have some kilobytes
DEFAULT_TIMEOUT = 600.0  # seconds, as the client has it for hooks that say nothing (claude-code.md, not verified)
LONGEST = 35.0  # seconds that we wait for one answer: hooks of ours have answered after 25
FOLDERS = ("home", "state", "cache")
PLUGIN = "plugin"  # the scope of what stands in no settings file, see `plugins`


class Settings(Value):
    """One settings file."""

    scope: str
    path: str
    there: bool
    content: Any = None
    """What the client reads; None if there is nothing, or nothing that it can read."""
    flaw: str = ""
    """Why it cannot be read; empty if it can, or is not there."""


class Hook(Value):
    """One hook of ours, as the client would call it."""

    scope: str
    path: str
    """The settings file."""
    events: tuple[str, ...]
    handler: Mapping[str, Any]
    config: str
    socket: str
    """Where its daemon listens."""
    folders: Mapping[str, str]
    """`home`, `state` and `cache`, as far as the hook is told."""
    project: str = "/"
    """The folder of the session."""
    variables: Mapping[str, str] = MappingProxyType({})
    """What settings set in the environment of hooks."""

    @property
    def url(self) -> str:
        """Where it is posted to; empty for a command."""
        return str(self.handler.get("url", "")) if self.handler.get("type") == "http" else ""

    @property
    def words(self) -> list[str]:
        """The command line: in exec form, or for the shell."""
        command, args = str(self.handler.get("command", "")), self.handler.get("args")
        return [command, *map(str, args)] if isinstance(args, list) else ["/bin/sh", "-c", command]

    @property
    def headers(self) -> dict[str, str]:
        """Those of a POST, variables not filled in."""
        given = self.handler.get("headers")
        return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}

    @property
    def allowed(self) -> tuple[str, ...]:
        """Variables that may be filled into headers."""
        given = self.handler.get("allowedEnvVars")
        return tuple(map(str, given)) if isinstance(given, list) else ()

    @property
    def seconds(self) -> float:
        """How long it is waited for."""
        given = self.handler.get("timeout", DEFAULT_TIMEOUT)
        usable = isinstance(given, (int, float)) and given > 0
        return min(float(given), LONGEST) if usable else LONGEST

    @property
    def blocks_on_failure(self) -> bool:
        """Whether the client stops the tool when it fails."""
        return self.handler.get("onFailure") == "block"

    @property
    def name(self) -> str:
        """What a person calls it."""
        where = "the plugin" if self.scope == PLUGIN else f"the {self.scope} settings"
        return f"the {'URL' if self.url else 'command'} in {where}"

    @property
    def data(self) -> dict[str, Any]:
        """What a program would want to know."""
        called = {"url": self.url} if self.url else {"command": self.words}
        known = {"scope": self.scope, "path": self.path, "events": list(self.events), "config": self.config}
        return {**known, "socket": self.socket, **called}

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Meanwhile this process has the folders of the hook, whatever the environment says."""
        places.tell(**self.folders)
        try:
            yield
        finally:
            places.tell()


def settings_files(project: str) -> dict[str, str]:
    """Where the client looks for settings in a session in the folder *project*: scope -> path."""
    home = os.environ.get("HOME") or places.home_in_database()
    folder = os.environ.get("CLAUDE_CONFIG_DIR", "")
    said = {"home": home, "project": project, "config_dir": folder}
    return {scope: claude_settings.settings_file(scope, **said) for scope in claude_settings.SCOPES}


def read(scope: str, path: str) -> Settings:
    """The settings in the file *path*. Never raises."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with open(file, "rb") as stream:
            if not S_ISREG(os.fstat(file).st_mode):
                return Settings(scope=scope, path=path, there=True, flaw="is no regular file")
            data = stream.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Settings(scope=scope, path=path, there=False)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is none"
        return Settings(scope=scope, path=path, there=True, flaw=f"cannot be read: {why.lower()}")
    return _parsed(scope, path, data)


def _parsed(scope: str, path: str, data: bytes) -> Settings:
    if len(data) > LARGEST:
        return Settings(scope=scope, path=path, there=True, flaw=f"has more than {LARGEST >> 20} MiB")
    try:
        content = wire.read_strictly(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Settings(scope=scope, path=path, there=True, flaw=f"is no JSON: {error}")
    if not isinstance(content, dict):
        return Settings(scope=scope, path=path, there=True, flaw="is no JSON object")
    return Settings(scope=scope, path=path, there=True, content=content)


def all_settings(project: str) -> list[Settings]:
    """Rule 1: every file that is looked at, whether it is there or not."""
    files = {path: scope for scope, path in settings_files(project).items()}
    for entry in installed.entries():
        if entry.agent == claude_settings.AGENT:
            files.setdefault(entry.path, entry.scope)
    return [read(scope, path) for path, scope in files.items()]


def hooks(project: str, files: Sequence[Settings]) -> list[Hook]:
    """The hooks of ours in *files*, as they are called in a session in *project*, or in their own one."""
    variables = variables_of(files)
    entries = {entry.path: entry for entry in installed.entries()}
    found = []
    for settings in files:
        ours = [] if claude_flaws.ignored(settings.content) else _same(settings.content)
        entry = entries.get(settings.path)
        words = [claude_settings.command_handler(entry.command)] if entry and entry.command else []
        about = [known for handler in (*words, *(one for one, _ in ours)) if (known := options_of(handler))]
        for handler, events in ours:
            hook = _hook(settings, handler, events, options_of(handler) or (about[0] if about else {}))
            found.append(hook.replaced(project=_folder_of(settings) or project, variables=variables))
    return found


def _hook(settings: Settings, handler: Mapping[str, Any], events: tuple[str, ...], known: Mapping[str, str]) -> Hook:
    is_url = handler.get("type") == "http"
    folders = {"home": known.get("home") or ("" if is_url else _home_of_a_hook())}
    folders |= {name: known[name] for name in FOLDERS if name in known}
    config = known.get("config") or places.config_file()
    return Hook(
        scope=settings.scope,
        path=settings.path,
        events=events,
        handler=handler,
        config=config,
        socket=known.get("socket") or link.socket_of(config),
        folders={name: folder for name, folder in folders.items() if os.path.isabs(folder)},
    )


def _folder_of(settings: Settings) -> str:
    """The project that *settings* belong to; empty if to none."""
    own = settings.scope in ("project", "local")
    return os.path.dirname(os.path.dirname(settings.path)) if own else ""


def variables_of(files: Iterable[Settings]) -> dict[str, str]:
    """What the settings set in the environment of hooks; the administrator's word counts most."""
    found: dict[str, str] = {}
    for settings in files:
        given = settings.content.get("env") if settings.content else None
        found |= {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
    return {name: value for name, value in found.items() if name and "=" not in name and "\0" not in name + value}


def options_of(handler: Mapping[str, Any]) -> dict[str, str]:
    """What the command line of *handler* says: `socket`, `config`, `home`, `state`, `cache`, `http`."""
    given = handler.get("args")
    words = [str(handler.get("command", "")), *map(str, given if isinstance(given, list) else ())]
    if not isinstance(given, list):
        words = words[0].split()
    found = {}
    for word, following in pairwise(words):
        name, is_whole, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in (*FOLDERS, "config", "http", "socket"):
            found[name] = value if is_whole else following
        elif f"/{word}".endswith(claude_settings.CLIENTS):
            found.setdefault("socket", following)
    return found


def _same(content: Any) -> list[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Rule 2."""
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for event, _, handler in claude_settings.handlers(content):
        if claude_settings.is_ours(handler):
            _, events = found.setdefault(wire.written(dict(handler)), (handler, []))
            events.append(event)
    return [(handler, tuple(dict.fromkeys(events))) for handler, events in found.values()]


def _home_of_a_hook() -> str:
    """Home as a hook takes it that is not told: in an agent, the environment does not count."""
    return places.home_in_database() or os.environ.get("HOME", "")
