"""Alarms: a call ran with an input that was not granted, so its session may do nothing more until its owner has looked.

1. An alarm is a sealed mark, one for each session, in a folder of its own beside the plans (`wasmguard.plan.ledger`).
   It belongs to no configuration: what ran past one guard of this user ran past all of them.
2. While it is raised, `wasmguard` denies every gating event of that session, but for those on which a deny means "go on
   working" (`wasmguard.event.STOPPING`).
3. When in doubt it is raised: a mark that cannot be read, or was changed, counts for the session whose name it has, and
   a folder that cannot be looked into for all of them; an event that does not say its session may be of any with an
   alarm. That is the reverse of `wasmguard.switch`.
4. The first alarm of a session stands until it is acknowledged; those that follow are counted.
5. Who may acknowledge one is decided where it is done (`wasmguard.workshop.allow`).

A program of the same user can remove a mark. What tools may do to our folders is `wasmguard.protection`'s business.
"""

from __future__ import annotations

import os
from time import time_ns

from wasmguard import plan, wire
from wasmguard.errors import HostError, why_of
from wasmguard.sandbox.cache import Vault, digest
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "alarms"
LONGEST_ID = 80  # characters
UNREADABLE = "the mark of an alarm cannot be read"


class Alarm(Value):
    """What happened, and how to end it."""

    mark: str
    """The name of its file: 32 hex digits."""
    record: str = ""
    """The id of the record that tells of it, or of the call; empty if its mark cannot be read."""
    why: str = UNREADABLE
    agent: str = ""
    session: str = ""
    time: int = 0
    """When it was raised, Unix milliseconds."""
    more: int = 0
    """How many followed."""

    @property
    def id(self) -> str:
        """What `wasmguard verify --acknowledge` takes. Ids of calls are an agent's words: one that could be more than a
        word in a command is not shown to be copied."""
        plain = self.record.isascii() and self.record.replace("_", "").replace("-", "").isalnum()
        return self.record if plain and self.record[0] != "-" and len(self.record) <= LONGEST_ID else self.mark

    @property
    def sentence(self) -> str:
        """Why the session may not go on, and what its owner can do."""
        look = f"see `wasmguard explain {self.id}`, then " if self.id != self.mark else ""
        return f"{self.why}: {look}run `wasmguard verify --acknowledge {self.id}` in a terminal"


def folder() -> str:
    """Where the marks are, while there are any."""
    return os.path.join(plan.ledger().folder, FOLDER)


def mark_of(agent: str, session: str) -> str:
    """The name of the mark of this *session*."""
    return digest(f"alarm {len(agent)} {agent}{session}".encode("utf-8", "surrogatepass"))[:32]


def any_(where: str | None = None) -> bool:
    """Whether there may be an alarm, whosoever: one `lstat` of *where*, the `folder` of this user."""
    try:
        os.lstat(where or folder())
    except FileNotFoundError:
        return False
    except OSError:  # rule 3
        return True
    return True


def raised(agent: str, session: str, where: str | None = None) -> Alarm | None:
    """The alarm of this *session*, if one stands. Without any alarm this costs one `lstat` of *where*, the `folder` of
    this user."""
    where = where or folder()
    try:
        os.lstat(where)
    except FileNotFoundError:
        return None
    except OSError:
        pass  # rule 3: the next look says the same
    mark = mark_of(agent, session)
    try:
        os.lstat(os.path.join(where, mark))
    except FileNotFoundError:
        return None
    except OSError:
        return Alarm(mark=mark)
    return _read(where, mark)


def raise_(agent: str, session: str, record: str, why: str) -> Alarm:
    """From now on an alarm stands for this *session*, because of *why* (a clause in our own words), as *record* tells.
    Returns the one that stands, which may be an older one.

    Raises:
        CacheError: if it cannot be written.
    """
    where, mark = folder(), mark_of(agent, session)
    standing = raised(agent, session, where)
    if standing is not None and standing.record:
        alarm = standing.replaced(more=standing.more + 1)
    else:
        now = time_ns() // 1_000_000
        alarm = Alarm(mark=mark, record=record, why=why, agent=agent, session=session, time=now)
    _vault(where).write(mark, wire.written(alarm.as_dict()).encode())
    return alarm


def standing() -> list[Alarm]:
    """All alarms, oldest first.

    Raises:
        HostError: if nobody can tell which there are.
    """
    where = folder()
    return sorted((_read(where, name) for name in _names(where)), key=lambda alarm: (alarm.time, alarm.mark))


def end(alarm: Alarm) -> None:
    """The owner has looked: the session of *alarm* may go on.

    Raises:
        HostError: if its mark cannot be removed.
    """
    where = folder()
    path = os.path.join(where, alarm.mark)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostError(f"`{path}` cannot be removed: {why_of(error)}: remove it, and the session goes on") from None
    try:
        os.rmdir(where)
    except OSError:  # there are others
        return


def _names(where: str) -> Iterator[str]:
    try:
        found = os.listdir(where)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"`{where}` cannot be read: {why_of(error)}: make it yours alone (`chmod 700`)") from None
    yield from (name for name in found if not name.startswith("."))  # one that begins so is still being written


def _read(where: str, mark: str) -> Alarm:
    """The alarm in the file *mark*, or what stands for one that cannot be read."""
    try:
        said = wire.read(_vault(where).read(mark).decode())
        alarm = Alarm(**said)
        texts = (alarm.mark, alarm.record, alarm.why, alarm.agent, alarm.session)
        numbers = (alarm.time, alarm.more)
        if all(type(text) is str for text in texts) and all(type(n) is int for n in numbers) and alarm.mark == mark:
            return alarm
    except Exception:  # noqa: BLE001, S110  # rule 3: whatever is wrong with it, it stands
        pass
    return Alarm(mark=mark)


def _vault(where: str) -> Vault:
    return Vault(where, plan.ledger().key_folder)
