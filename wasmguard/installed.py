"""What `wasmguard install` wrote into which settings: `installed.json` in the state folder.

1. The file is the owner's alone. One that somebody else may have written, or that is damaged, does not count: then
   nothing is known to be installed. (Our entries in the usual settings are found without it.)
2. It is written whole or not at all. Who reads it to write it anew does that alone (`Turn`).
3. When the agent's settings change under a session, what was installed must still stand there (`missing`): an entry
   that is gone, changed, or in a file that the client ignores is missing. A file without a record misses nothing.

A hook process reads this on ConfigChange.
"""

from __future__ import annotations

import os
import stat
from time import monotonic, sleep

from wasmguard import places, wire
from wasmguard.agents import claude_settings
from wasmguard.errors import HostError
from wasmguard.sandbox.cache import private_folder
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

NAME = "installed.json"
FORMAT = 1
UNKNOWN = "unknown"
"""In `Entry.made`: something of ours was there already, and nobody knows what was made for it."""
LARGEST = 2**20  # bytes, of this file and of settings
PATIENCE = 10.0  # seconds for another change of the note to end
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_TUPLES = ("events", "command", "made")


class Entry(Value):
    """What was written into one settings file."""

    agent: str
    scope: str
    """`user`, `project`, `local` or `managed`."""
    path: str
    """The settings file, absolute, as the agent names it."""
    transport: str
    """`command` or `http`."""
    config: str
    socket: str
    """Where the daemon of *config* listens."""
    http: str = ""
    """`127.0.0.1:PORT`, or empty."""
    events: tuple[str, ...]
    command: tuple[str, ...]
    """What is run; over http only for the events that cannot go to a URL (`claude_settings.BY_COMMAND`)."""
    url: str = ""
    time: int
    """When, in Unix milliseconds."""
    backup: str = ""
    """A copy of the file as it was before anything of ours was in it; empty if there is none."""
    wrote: str = ""
    """A digest of the file as it was written; see `wasmguard.sandbox.cache.digest`."""
    made: tuple[str, ...] = ()
    """What did not exist before: see `workshop.settings_text.Edit.made`; `file` and `folder` besides."""


def path() -> str:
    """The file that says it."""
    return os.path.join(places.state_dir(), NAME)


def entries() -> tuple[Entry, ...]:
    """What was installed; nothing if nobody knows (rule 1). Never raises."""
    try:
        data = wire.read(_read(path(), ours=True).decode())
        return tuple(map(_entry, data["entries"])) if data["format"] == FORMAT else ()
    except Exception:  # noqa: BLE001  # whatever is wrong with it: rule 1
        return ()


def keep(entries: Iterable[Entry]) -> None:
    """Write down *entries*, and nothing else.

    Raises:
        HostError: if they cannot be written; the old file is then still there.
    """
    data = {"format": FORMAT, "entries": [entry.as_dict() for entry in entries]}
    here, temporary = path(), f"{path()}.{os.getpid()}.{os.urandom(4).hex()}"
    private_folder(os.path.dirname(here))
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
        try:
            with open(file, "wb") as stream:
                stream.write(wire.written(data).encode() + b"\n")
                stream.flush()
                os.fsync(file)
            os.replace(temporary, here)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise HostError(f"`{here}` cannot be written: {why}: make room there, or repair the folder") from None


class Turn:
    """Meanwhile nobody else changes what is installed. Where that cannot be had, it goes on without."""

    def __enter__(self) -> None:
        self._file = -1
        try:
            import fcntl

            self._file = os.open(f"{path()}.lock", os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
        except (ImportError, OSError):
            return
        until, mine = monotonic() + PATIENCE, False
        while not mine and monotonic() < until:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = True
            except OSError:
                sleep(0.01)

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            os.close(self._file)


def expected(entry: Entry) -> dict[str, Mapping[str, Any]]:
    """The handler of each event of *entry*, without the token."""
    by_command = claude_settings.command_handler(entry.command)
    by_url = claude_settings.url_handler(entry.url, None) if entry.transport == "http" else by_command
    return {event: by_command if event in claude_settings.BY_COMMAND else by_url for event in entry.events}


def missing(path: str) -> tuple[str, ...]:
    """The events for which the settings file *path* does not hold our entry any more (rule 3)."""
    real = os.path.realpath(path)
    found = [entry for entry in entries() if os.path.realpath(entry.path) == real]
    if not found:
        return ()
    try:
        settings = wire.read_strictly(_read(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return found[-1].events
    return missing_in(settings, found[-1])


def missing_in(settings: object, entry: Entry) -> tuple[str, ...]:
    """The events for which *settings*, the JSON value of the file of *entry*, do not hold it any more."""
    from wasmguard.agents.claude_flaws import ignored

    if ignored(settings):
        return entry.events
    standing: dict[int, set[str]] = {}
    handlers = expected(entry)
    for handler in handlers.values():
        standing.setdefault(id(handler), claude_settings.standing(settings, handler))
    return tuple(event for event in entry.events if event not in standing[id(handlers[event])])


def _entry(data: Mapping[str, Any]) -> Entry:
    return Entry(**{**data, **{name: tuple(data[name]) for name in _TUPLES}})


def _read(path: str, *, ours: bool = False) -> bytes:
    """The bytes of a regular file; with *ours*, of one that is no link and that only this user may write.

    Raises:
        OSError, ValueError: if it is none.
    """
    file = os.open(path, os.O_RDONLY | (_SAFE if ours else _SAFE & ~getattr(os, "O_NOFOLLOW", 0)))
    try:
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > LARGEST:
            raise ValueError("is no file of that kind")
        if ours and hasattr(os, "geteuid") and (seen.st_uid != os.geteuid() or seen.st_mode & 0o022):
            raise ValueError("may be written by others")
        with open(file, "rb", closefd=False) as stream:
            return stream.read(LARGEST + 1)
    finally:
        os.close(file)
