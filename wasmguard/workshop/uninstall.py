"""`wasmguard uninstall claude-code`: the agent's settings as they were before.

1. A file that nobody changed since is what it was, byte for byte; one that `install` made is removed, with its folder
   if that was made for it and is empty. Of any other, our entries go and nothing else (`settings_text`).
2. It works when nothing else does. It needs no configuration, no plan, no daemon, no policy, no package of others, and
   no note of what was installed: without one, our entries are looked for in the usual files, and known by what they
   run.
3. The note goes before the entries, so that a session that runs lets them go. It comes back if they cannot be removed.
4. Each file is tried, whatever becomes of the others.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

from wasmguard import audit, installed, link, places
from wasmguard.agents import claude_settings
from wasmguard.agents.claude_settings import AGENT, SCOPES
from wasmguard.errors import HostError, UsageError, WasmguardError
from wasmguard.sandbox.cache import digest
from wasmguard.workshop import hooks, plugins, settings_file
from wasmguard.workshop.json_text import NotJSON, parsed
from wasmguard.workshop.outcome import Outcome, changes, said
from wasmguard.workshop.settings_text import take

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmguard.installed import Entry
    from wasmguard.workshop.settings_file import SettingsFile

PATIENCE = 3.0  # seconds for a daemon to say that it ends


def uninstall(
    agent: str, *, scope: str | None = None, dry_run: bool = False, environ: Mapping[str, str] = os.environ
) -> Outcome:
    """Take wasmguard out of *agent*'s settings: those of *scope*, or all that are known. With *dry_run*, only say how.

    Raises:
        UsageError: if that cannot be meant.
        HostError: if a file could not be changed; the others are done.
    """
    if agent != AGENT:
        raise UsageError(f"`{agent}` is no agent that can be set up here: take `{AGENT}`")
    if scope is not None and scope not in SCOPES:
        raise UsageError(f"`--scope {scope}` is no scope: take one of {', '.join(SCOPES)}")
    lines: list[tuple[str, str]] = []
    errors, sockets, seen = [], set[str](), set[str]()
    with installed.Turn():
        for path in _paths(scope, environ):
            if (real := os.path.realpath(path)) in seen:
                continue
            seen.add(real)
            try:
                done, asked = _removed(path, dry_run=dry_run)
            except WasmguardError as error:
                errors.append(str(error))
                continue
            lines += done
            sockets |= asked
    if errors:
        raise HostError("\n".join([*errors, *(f"from the others it is gone: {text}" for _, text in lines[-1:])]))
    still = [said("note", plugins.removal(name)) for name in _plugins(scope)]
    if not lines:
        return Outcome((said("ok", "nothing to do: no settings ask wasmguard"), *still), changed=False)
    if dry_run:
        return Outcome((*lines, *still, said("plain", "nothing was written")), changed=True)
    _stop(sockets - {entry.socket for entry in installed.entries()})
    return Outcome((*lines, *still), changed=True, works=not any(style == "wrong" for style, _ in lines))


def _plugins(scope: str | None) -> list[str]:
    """The plugins that stay: only the client itself takes them out."""
    try:
        return [] if scope else list(plugins.ours(hooks.all_settings(os.getcwd())))
    except (WasmguardError, OSError):  # rule 2
        return []


def _paths(scope: str | None, environ: Mapping[str, str]) -> Iterator[str]:
    """The settings files of *scope*: those where something was installed, then the usual ones."""
    yield from (entry.path for entry in installed.entries() if scope in (None, entry.scope))
    home = os.path.normpath(places.expanded("~/."))
    given = environ.get("CLAUDE_CONFIG_DIR", "")
    for one in SCOPES if scope is None else (scope,):
        yield claude_settings.settings_file(
            one, home=home, project=os.getcwd(), config_dir=os.path.abspath(given) if given else ""
        )
        if one == "user" and given:
            yield claude_settings.settings_file(one, home=home, project="")


def _removed(path: str, *, dry_run: bool) -> tuple[list[tuple[str, str]], set[str]]:
    """What was done to the file *path*, and the sockets that its hooks asked at."""
    entry = next((entry for entry in installed.entries() if entry.path == path), None)
    file = settings_file.read(path)
    if entry is None and _is_foreign(file):
        return [], set()
    new = _without_us(file, entry)
    if new == (None if file.data is None else file.text):
        if not dry_run:
            _forget(entry)
        return [], set()
    lines = list(changes(file, new))
    sockets = _sockets(file)
    if dry_run:
        return lines, sockets
    forgotten = _forget(entry)
    try:
        lines += _changed(file, new, folder=entry is not None and "folder" in entry.made)
    except HostError:
        installed.keep((*installed.entries(), *forgotten))
        raise
    _hand_on(entry)
    _record(path)
    return lines, sockets


def _hand_on(entry: Entry | None) -> None:
    """Whoever is left in a folder that was made for *entry* takes it along."""
    if entry is None or "folder" not in entry.made or not os.path.isdir(folder := os.path.dirname(entry.path)):
        return
    left = installed.entries()
    if heirs := [other for other in left if os.path.dirname(other.path) == folder]:
        changed = heirs[0].replaced(made=(*heirs[0].made, "folder"))
        installed.keep(changed if other == heirs[0] else other for other in left)


def _without_us(file: SettingsFile, entry: Entry | None) -> str | None:
    """What *file* says without us; None if it goes (rule 1)."""
    if file.data is None:
        return None
    untouched = entry is not None and entry.wrote == digest(file.data)
    if entry is not None and untouched and "file" in entry.made:
        return None
    if entry is not None and untouched and (before := _backup(entry)) is not None:
        return before
    made = None if entry is None or installed.UNKNOWN in entry.made else entry.made
    try:
        left = take(file.text, claude_settings.is_ours, made)
    except NotJSON as error:
        if "wasmguard" not in file.text:
            return file.text
        raise HostError(f"`{file.path}`:{error}: take out by hand what runs `wasmguard`, or mend it") from None
    return None if not left and entry is not None and "file" in entry.made else left


def _is_foreign(file: SettingsFile) -> bool:
    """Whether *file* is no text, and nothing in it looks like ours."""
    data = file.data or b""
    try:
        data.decode()
    except UnicodeDecodeError:
        return not any(mark.encode() in data for mark in (places.OURS, claude_settings.PATH))
    return False


def _backup(entry: Entry) -> str | None:
    """The file as it was before, if a copy is there that holds nothing of ours."""
    if not entry.backup:
        return None
    try:
        copy = settings_file.read(entry.backup)
        settings = parsed(copy.text).root.value if copy.text.strip() else {}
    except (HostError, NotJSON):
        return None
    ours = any(claude_settings.is_ours(handler) for _, _, handler in claude_settings.handlers(settings))
    return None if copy.data is None or ours else copy.text


def _changed(file: SettingsFile, new: str | None, *, folder: bool) -> Sequence[tuple[str, str]]:
    try:
        if new is None:
            settings_file.remove(file, folder=folder)
            return [said("ok", f"removed `{file.path}`, which `install` had made")]
        settings_file.write(file, new, mode=0o600)
    except HostError as error:
        if not isinstance(error.__cause__, PermissionError) or os.path.dirname(file.path) not in _administrators():
            raise
        told = "only root may write that file. It stays in force until root has run:"
        return [said("wrong", told), ("plain", f"  {settings_file.by_root(file, new)}")]
    return [said("ok", f"`{file.path}` does not ask wasmguard any more")]


def _administrators() -> set[str]:
    return {os.path.dirname(claude_settings.settings_file("managed", home="", project=""))}


def _sockets(file: SettingsFile) -> set[str]:
    """Where the hooks in *file* ask the daemon: the word behind the client."""
    try:
        settings = parsed(file.text).root.value
    except (HostError, NotJSON):
        return set()
    found = set()
    for _, _, handler in claude_settings.handlers(settings):
        words = [handler.get("command"), *(handler.get("args") or ())] if claude_settings.is_ours(handler) else []
        for word, following in pairwise(words):
            if f"/{word}".endswith(claude_settings.CLIENTS):
                found.add(str(following))
    return found


def _forget(entry: Entry | None) -> tuple[Entry, ...]:
    """Take *entry* out of the note. Returns what was taken out."""
    if entry is None:
        return ()
    try:
        installed.keep(other for other in installed.entries() if other.path != entry.path)
    except HostError:  # rule 2
        return ()
    return (entry,)


def _stop(sockets: set[str]) -> None:
    """End the daemons that nobody asks any more, as far as they can be reached."""
    for socket in sockets:
        try:
            link.ask(socket, link.STOP, seconds=PATIENCE)
        except HostError:
            continue


def _record(path: str) -> None:
    try:
        audit.record("uninstalled", agent=AGENT, path=path)
    except HostError:  # rule 2
        return
