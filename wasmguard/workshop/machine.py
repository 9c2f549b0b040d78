"""What this machine gives and what lies on it: versions, isolation, private files, records, the daemon.

The isolation that is told is that of a cell which was really started, loaded with the shipped policies and asked.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import sys
import tempfile
from importlib.metadata import version
from typing import TYPE_CHECKING

from wasmguard import link, places, plan, spool
from wasmguard.decision import Effect
from wasmguard.errors import CacheError, HostError, WasmguardError
from wasmguard.guard import Guard
from wasmguard.lock import lock
from wasmguard.own_home import home_in
from wasmguard.records import query
from wasmguard.sandbox.cache import private_folder
from wasmguard.version import __version__
from wasmguard.workshop import advisories
from wasmguard.workshop.demo import RECORDED
from wasmguard.workshop.finding import Finding, note, ok, split, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

TIER_1 = {"x86_64", "AMD64"}  # wasmtime's promises hold for tier 1 alone
STEERING = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONSTARTUP")
PRIVATE = ("key", "token", "installed.json")
"""Files in the state folder that nobody else may read or write."""
ROOM = 2**20  # bytes that must be free for records: a thousand of them
WAITING = 64 * 2**20  # bytes of records that wait: the daemon moves what came in seconds, and a hook starts who does
PATIENCE = 2.0  # seconds a step that a daemon has to say how it is
ASKED = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "rm -rf /srv/data"},
    "cwd": "/",
}


def versions() -> Iterator[Finding]:
    """What runs, and which advisories concern it."""
    machine, engine = platform.machine(), version("wasmtime")
    runs = f"{__version__}, Python {platform.python_version()}, {platform.system()} {machine}"
    yield ok("wasmguard", runs, version=__version__, python=platform.python_version(), machine=machine)
    yield from _engine(engine)
    if machine not in TIER_1:
        yield note("wasmtime", f"{machine} is tier 2: less tested than x86-64, and it had an escape in 2026")


def _engine(engine: str) -> Iterator[Finding]:
    update, known = "run `pip install --upgrade wasmtime wasmguard`", list(advisories.concerning(engine))
    data = {"version": engine, "advisories": [one.as_dict() for one in known], "as_of": advisories.AS_OF}
    as_of = f"advisories known on {advisories.AS_OF}"
    if advisories.numbers(engine) < advisories.OLDEST:
        yield wrong("wasmtime", f"{engine} has known ways out of the sandbox ({as_of})", update, **data)
    elif not known:
        yield ok("wasmtime", f"{engine}; none of the {as_of} concerns it", **data)
    for one in known:
        told = f"{engine}; {one.name} ({one.published}): {one.what}; fixed in {'.'.join(map(str, one.fixed))}"
        if one.shield:
            yield ok("wasmtime", f"{told}. Not reached here: {one.shield} ({as_of})", **data)
        else:
            yield wrong("wasmtime", f"{told} ({as_of})", update, **data)


def isolation() -> Iterator[Finding]:
    """The report of a cell in which a shipped policy has just denied a call."""
    with tempfile.TemporaryDirectory(prefix="wasmguard-doctor-") as folder, home_in(folder):
        config = shutil.copy(os.path.join(RECORDED, "wasmguard.toml"), folder)
        try:
            made = lock(config, repin=False).plan
            with Guard(made, plan.cells(made, slots=1)) as guard:
                decision, reports = guard.decide(ASKED), guard.cells.start()
        except WasmguardError as error:
            yield wrong("isolation", f"none: no policy can run here: {error}", "run `wasmguard selftest` to see more")
            return
    for report in reports.values():
        yield from _report(report)
    if decision.effect is not Effect.DENY or decision.faulted:
        said = f"a shipped policy did not deny `rm -rf` as it should: {decision.reason}"
        yield wrong("policies", said, "reinstall wasmguard, then run `wasmguard selftest`")


def _report(report: dict[str, Any]) -> Iterator[Finding]:
    why = f" ({report['why']})" if report["why"] else ""
    mark = ok if report["isolation"] == "full" else note
    yield mark("isolation", f"{report['isolation']}{why}: policies run in a process of their own", **report)
    landlock = f"ABI {report['landlock']}: no file, no network" if report["landlock"] else "none"
    yield (ok if report["landlock"] else note)("- Landlock", landlock)
    seccomp = f"a filter of {report['seccomp']} instructions: no socket, no program" if report["seccomp"] else "none"
    yield (ok if report["seccomp"] else note)("- seccomp", seccomp)
    yield ok("- limits", ", ".join(name.removeprefix("RLIMIT_").lower() for name in report["limits"]))


def environment() -> Iterator[Finding]:
    """Variables that steer what hooks load."""
    for name in STEERING:
        if os.environ.get(name):
            said = f"`{name}` is set: it decides what programs load, hooks too"
            yield note("environment", said, f"unset `{name}` where agents are started", variable=name)
    if not sys.flags.isolated and os.environ.get("PYTHONHOME"):
        yield note("environment", "`PYTHONHOME` is set", "start hooks with `python -I`, as `install` does")


def private_files() -> Iterator[Finding]:
    """Whether what is nobody else's business is closed to everybody else: as far as it is there."""
    folders = {plan.vault().folder: "cache", places.state_dir(): "state", plan.ledger().folder: "plans"}
    folders[places.runtime_dir()] = "sockets"
    seen, flawed = 0, False
    for folder in folders:
        if os.path.lexists(folder):
            try:
                private_folder(folder)
                seen += 1
            except CacheError as error:
                flawed = True
                yield split("private files", error)
    for path in (os.path.join(places.state_dir(), name) for name in PRIVATE):
        if why := open_to_others(path):
            flawed = True
            yield wrong("private files", f"`{path}` {why}", f"`chmod 600` it if it is yours, else delete it: `{path}`")
        seen += os.path.lexists(path)
    if seen and not flawed:
        yield ok("private files", "cache, plans, state and sockets are yours and closed to others")


def records() -> Iterator[Finding]:
    """Whether another record could be written, and those that there are can be read. Nothing is recorded for it."""
    folder = spool.folder()
    if not os.path.lexists(folder):
        return  # the first decision makes it
    todo = f"mend `{folder}`: until then decisions are not recorded, or denied where `required = true`"
    if why := _unwritable(folder):
        yield wrong("records", f"cannot be written: {why}", todo, path=folder)
        return
    try:
        kept = query.state()
    except HostError as error:
        yield split("records", error)
        return
    if kept["lost"]:
        said = f"{kept['lost']:,} are missing: they could not be written, or were damaged"
        yield note("records", said, "run `wasmguard log` to see when", **kept)
    if kept["waiting"] > WAITING:
        said = f"{kept['waiting'] / 2**20:,.0f} MiB of them wait: nobody moves them on"
        yield note("records", said, "run `wasmguard log`, which does, and says what is in its way", **kept)
    yield ok("records", f"can be written; {kept['records']:,} are kept", **kept)


def _unwritable(folder: str) -> str:
    """Why no record can be written in *folder*; empty if one can."""
    try:
        private_folder(folder)
        if why := open_to_others(spool.Spool().path):
            return f"`{spool.Spool().path}` {why}"
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
        if os.path.lexists(spool.Spool().path):
            os.close(os.open(spool.Spool().path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
    except CacheError as error:
        return str(error)
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return ""


def open_to_others(path: str) -> str:
    """Why what lies at *path* is not ours alone; empty if it is, or is not there."""
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be looked at: {(error.strerror or 'unknown').lower()}"
    if stat.S_ISLNK(seen.st_mode):
        return "is a symbolic link"
    if seen.st_uid != os.geteuid():
        return f"belongs to user {seen.st_uid}"
    return f"is open to others (mode {stat.S_IMODE(seen.st_mode):o})" if seen.st_mode & 0o077 else ""


def daemon(socket: str, config: str) -> Iterator[Finding]:
    """Whether a daemon for the configuration file *config* listens at *socket*, and how it is."""
    about, restart = {"socket": socket, "config": config}, "run `wasmguard stop`: the next hook starts another"
    if len(os.fsencode(socket)) >= link.LONGEST_PATH:
        said = f"none can listen at `{socket}`: the name is too long for a socket. Hooks decide in their own process"
        yield note("daemon", said, "set `XDG_STATE_HOME` to a folder with a short name and install again", **about)
        return
    if why := open_to_others(socket):
        todo = f"delete `{socket}`, and end the daemon if it is not yours"
        yield wrong("daemon", f"its socket `{socket}` {why}", todo, **about)
        return
    try:
        code, status = status_of(socket)
    except HostError as error:
        said = f"not up: {error}. Until a hook has started it, hooks decide in their own process"
        yield ok("daemon", said, **about, up=False)
        return
    if code != link.ANSWERED:
        yield note("daemon", "is of another version, so hooks pass it by", restart, **about, up=True)
        return
    if why := _broken(status):
        said = f"decides as before the last change of `{config}`: {why}"
        yield wrong("daemon", said, "mend it, then run `wasmguard lock`", **about, up=True, status=status)
        return
    if why := _behind(status, config):
        yield wrong("daemon", why, restart, **about, up=True, status=status)
        return
    yield ok("daemon", f"up, version {status.get('version')}, at `{socket}`", **about, up=True, status=status)


def _broken(status: dict[str, Any]) -> str:
    """Why the daemon could not follow the last change; empty if it could."""
    followed = status.get("followed")
    return str(followed.get("error") or "") if isinstance(followed, dict) else ""


def _behind(status: dict[str, Any], config: str) -> str:
    """Why what the daemon decides with is not what was locked last; empty if it is."""
    try:
        locked = plan.read(config)
    except WasmguardError:
        return ""  # told elsewhere
    if status.get("digest") != locked.digest:
        return f"decides with another state of `{config}` than the one that is locked"
    return ""


def status_of(socket: str) -> tuple[int, dict[str, Any]]:
    """The code of a daemon's answer, and what it says about itself.

    Raises:
        HostError: if there is no daemon at *socket*, it is somebody else's, or what it says is no status.
    """
    code, answer, _ = link.ask(socket, link.STATUS, seconds=PATIENCE)
    if code != link.ANSWERED:
        return code, {}
    try:
        status = json.loads(answer)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        raise HostError(f"the daemon at `{socket}` does not say how it is: run `wasmguard stop`")
    return code, status
