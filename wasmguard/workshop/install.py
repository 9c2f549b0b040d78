"""`wasmguard install claude-code`: the agent's settings ask wasmguard from now on.

1. A client that lets a call go on when a hook fails is refused. One that is not found is not.
2. The configuration is locked first: what cannot decide is not installed.
3. The settings change by our entries alone (`settings_text`); a file that is broken is not touched.
4. The change is shown, a copy is kept, and what was installed is written down before the file changes: a session that
   runs must know what may not be taken out of it. Then the file is read back.
5. To repeat it changes nothing; a newer version replaces its entries where they are.
6. What keeps the client from asking is said: what it ignores, drops, or switches off.
7. Over HTTP, the token stands in the settings, but not in those of a project: they are shared, so there the client
   takes it from a variable. What needs no daemon, or brings it back, stays a command.
8. Nobody installs as root for somebody else: for the administrator's settings, it says what root has to copy.
"""

from __future__ import annotations

import os
import tempfile
from random import SystemRandom
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard import audit, bearer, installed, link, places, plan
from wasmguard.agents import claude, claude_settings
from wasmguard.agents.claude_settings import AGENT, SCOPES
from wasmguard.errors import CacheError, ConfigError, HostError, PlanStale, UsageError
from wasmguard.lock import lock, prepare
from wasmguard.own_home import home_in
from wasmguard.sandbox.cache import digest
from wasmguard.workshop import hook_command, install_notes, settings_file
from wasmguard.workshop.claude_client import checked as client_checked
from wasmguard.workshop.json_text import NotJSON, parsed
from wasmguard.workshop.outcome import Outcome, changes, said
from wasmguard.workshop.settings_text import Edit, put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.installed import Entry
    from wasmguard.workshop.settings_file import SettingsFile

TRANSPORTS = ("command", "http")
PORTS = range(20_000, 30_000)  # below those that systems give to outgoing connections

Lines = list[tuple[str, str]]


def install(  # noqa: PLR0913  # one for each option
    agent: str,
    *,
    scope: str = "user",
    transport: str = "command",
    config: str | None = None,
    dry_run: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Outcome:
    """Make *agent* ask wasmguard, in its settings of *scope*, by *transport*. With *dry_run*, only say how.

    Raises:
        UsageError: if that cannot be meant.
        ConfigError, BundleError: if the configuration cannot be used.
        HostError: if the client is too old, or its settings cannot be read or written.
    """
    _check(agent, scope, transport, environ)
    lines = list(client_checked(environ))
    config = places.config_file(config)
    judged = events_of(config, dry_run=dry_run)
    with installed.Turn():
        return _installed(scope, transport, config, judged, lines, dry_run=dry_run, environ=environ)


def _installed(  # noqa: PLR0913  # as `install`
    scope: str,
    transport: str,
    config: str,
    judged: tuple[str, ...],
    lines: Lines,
    *,
    dry_run: bool,
    environ: Mapping[str, str],
) -> Outcome:
    file = settings_file.read(path_of(scope, environ))
    old = next((entry for entry in installed.entries() if entry.path == file.path), None)
    entry = _entry(scope, file.path, transport, config, claude_settings.events_for(judged, claude.KNOWN))
    edit = _edit(file, entry, old, _token(entry, dry_run=dry_run))
    lines += install_notes.notes(entry, judged)
    worries = list(install_notes.worries(file, edit.text))
    changed = edit.text != file.text or file.data is None
    if changed:
        lines = [*changes(file, edit.text), ("plain", ""), *lines]
    if not dry_run:
        lines += _done(file, edit, entry, old) if changed else _kept(file, entry, old)
    lines += worries
    works = not any(style == "wrong" for style, _ in lines)
    lines.append(install_notes.summary(entry, changed=changed, dry_run=dry_run, works=works))
    return Outcome(tuple(lines), changed, works)


def path_of(scope: str, environ: Mapping[str, str]) -> str:
    """The settings file of *scope*, for this user in the current folder."""
    given = environ.get("CLAUDE_CONFIG_DIR", "")
    return claude_settings.settings_file(
        scope, home=hook_command.home(), project=os.getcwd(), config_dir=os.path.abspath(given) if given else ""
    )


def events_of(config: str, *, dry_run: bool = False) -> tuple[str, ...]:
    """The events that policies of *config* judge, after locking it. With *dry_run* the plan is made elsewhere, and
    thrown away.

    Raises:
        ConfigError, BundleError, HostError: if it cannot be locked.
    """
    if not os.path.lexists(config):
        raise ConfigError(f"configuration `{config}`: does not exist: run `wasmguard init`, or pass --config PATH")
    try:
        made = plan.read(config)
    except (PlanStale, CacheError):
        if dry_run:
            with tempfile.TemporaryDirectory(prefix="wasmguard-") as folder, home_in(folder):
                made = prepare(config, repin=False).plan
        else:
            made = lock(config, repin=False).plan
    return tuple(dict.fromkeys(event for policy in made.policies for event in policy.events))


def _check(agent: str, scope: str, transport: str, environ: Mapping[str, str]) -> None:
    if agent != AGENT:
        raise UsageError(f"`{agent}` is no agent that can be set up here: take `{AGENT}`")
    if scope not in SCOPES:
        raise UsageError(f"`--scope {scope}` is no scope: take one of {', '.join(SCOPES)}")
    if transport not in TRANSPORTS:
        raise UsageError(f"`--transport {transport}` is no way to ask: take one of {', '.join(TRANSPORTS)}")
    if scope == "managed" and transport == "http":
        why = "every user may read those settings, and the token is yours alone"
        raise UsageError(f"`--scope managed --transport http`: {why}: take `--transport command`")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and environ.get("SUDO_UID", "0") != "0":
        why = "what it makes would belong to root"
        raise UsageError(f"`sudo`: {why}: call it as yourself; for `--scope managed` it says what root has to copy")


def _entry(scope: str, path: str, transport: str, config: str, events: tuple[str, ...]) -> Entry:
    http = http_of(config, transport)
    return installed.Entry(
        agent=AGENT,
        scope=scope,
        path=path,
        transport=transport,
        config=config,
        socket=link.socket_of(config),
        http=http,
        events=events,
        command=hook_command.command(config, http=http),
        url=f"http://{http}{claude_settings.PATH}" if transport == "http" else "",
        time=time_ns() // 1_000_000,
    )


def http_of(config: str, transport: str) -> str:
    """Where the daemon of *config* listens for HTTP: where it was told before, by any scope, else at a free port."""
    known = next((entry.http for entry in installed.entries() if entry.config == config and entry.http), "")
    return known or (f"127.0.0.1:{_free_port()}" if transport == "http" else "")


def _free_port() -> int:
    import socket

    for _ in range(100):
        port = SystemRandom().choice(PORTS)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise HostError(f"no port between {PORTS.start} and {PORTS.stop} is free: end what listens there")


def _token(entry: Entry, *, dry_run: bool) -> str | None:
    """Rule 7."""
    if entry.transport != "http" or entry.scope == "project":
        return None
    return "x" * bearer.LENGTH if dry_run and not os.path.lexists(bearer.path()) else bearer.token(create=not dry_run)


def _edit(file: SettingsFile, entry: Entry, old: Entry | None, token: str | None) -> Edit:
    by_url = claude_settings.url_handler(entry.url, token) if entry.transport == "http" else None
    wanted = claude_settings.groups(entry.events, claude_settings.command_handler(entry.command), by_url)
    try:
        goes_on = old is not None and installed.UNKNOWN not in old.made and _holds_ours(file)
        made = old.made if old is not None and goes_on else None  # a file that was replaced is not the one we made
        return put(file.text, wanted, claude_settings.is_ours, made)
    except NotJSON as error:
        raise HostError(f"`{file.path}`:{error}: mend it, then install again") from None


def _done(file: SettingsFile, edit: Edit, entry: Entry, old: Entry | None) -> Lines:
    """Rule 4."""
    before = _before(file, edit, entry, old)
    kept = tuple(other for other in installed.entries() if other.path != entry.path)
    installed.keep((*kept, before))
    lines = [said("plain", f"a copy of it as it was: {before.backup}")] if before.backup else []
    try:
        made = settings_file.write(file, edit.text, mode=_mode(entry))
    except HostError as error:
        if entry.scope != "managed" or not isinstance(error.__cause__, PermissionError):
            installed.keep((*kept, *([old] if old else [])))
            raise
        before = before.replaced(made=tuple(sorted({*before.made, *(["file"] if file.data is None else [])})))
        installed.keep((*kept, before))
        lines += [said("wrong", "only root may write that file. Nothing is in force before root has run:")]
        lines += [("plain", f"  {settings_file.by_root(file, edit.text)}")]
    else:
        installed.keep((*kept, before.replaced(made=tuple(sorted({*before.made, *made})))))
        _read_back(file, before)
    if entry.http and not (old and old.http):  # a daemon that runs already does not listen there
        _stop(entry.socket)
    return lines + _recorded(entry)


def _before(file: SettingsFile, edit: Edit, entry: Entry, old: Entry | None) -> Entry:
    """*entry* with what is needed to undo it."""
    copy = settings_file.backup(file, entry.scope)
    if not _holds_ours(file):
        backup, made = copy, edit.made
    elif old is not None and file.data is not None and digest(file.data) == old.wrote:
        backup, made = old.backup, edit.made | set(old.made)
    else:
        backup, made = "", edit.made | (set(old.made) if old else {installed.UNKNOWN})
    return entry.replaced(backup=backup, wrote=digest(edit.text.encode()), made=tuple(sorted(made)))


def _holds_ours(file: SettingsFile) -> bool:
    value = parsed(file.text).root.value if file.data and file.text.strip(" \t\r\n\ufeff") else {}
    return any(claude_settings.is_ours(handler) for _, _, handler in claude_settings.handlers(value))


def _read_back(file: SettingsFile, entry: Entry) -> None:
    """Whether the file now holds what it should, as a reader of JSON sees it."""
    value = parsed(settings_file.read(file.path).text).root.value
    by_command = claude_settings.command_handler(entry.command)
    found = claude_settings.standing(value, by_command)
    if entry.transport == "http":
        found |= claude_settings.standing(value, claude_settings.url_handler(entry.url, None))
    if not found >= set(entry.events):
        raise HostError(f"`{file.path}` does not hold what was written: look at it, then install again")


def _kept(file: SettingsFile, entry: Entry, old: Entry | None) -> Lines:
    """The file says it already; perhaps nobody wrote that down."""
    new = entry.replaced(wrote=digest(file.data or b""), made=(installed.UNKNOWN,))
    if old is not None:
        new = new.replaced(backup=old.backup, wrote=old.wrote, made=old.made, time=old.time)
    if new != old:
        installed.keep((*(other for other in installed.entries() if other.path != entry.path), new))
    return []


def _mode(entry: Entry) -> int:
    """The mode of a new file: closed if the token is in it."""
    if entry.transport == "http" and entry.scope != "project":
        return 0o600
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o644 if entry.scope == "managed" else 0o644 & ~mask  # whoever may write it could switch hooks off


def _stop(socket: str) -> None:
    try:
        link.ask(socket, link.STOP, seconds=3)
    except HostError:  # there is none
        return


def _recorded(entry: Entry) -> Lines:
    try:
        audit.record("installed", agent=entry.agent, scope=entry.scope, path=entry.path, transport=entry.transport)
    except HostError as error:
        return [said("note", f"no record of it was kept: {error}")]
    return []
