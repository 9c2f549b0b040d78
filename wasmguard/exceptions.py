"""Exceptions: the owner lets one very call pass that policies denied, or asked about, once and soon.

1. An exception is a sealed mark in a folder of its own beside the plans (`wasmguard.plan.ledger`). It is bound to a
   configuration, an agent, an event's name, a tool, the folder that the agent is in, and a digest of exactly one tool
   input: of the one that its owner was shown (`exact`), or where the record does not hold it, the record's (`as_sent`).
   All of that is its name. It says which policies are set aside. All others judge the call as ever.
2. It counts once: whoever removes its file has it, and of two who come together one does.
3. It counts from its start to its end and never longer than `LONGEST`, as `wasmguard.switch` has it. One that was
   changed, moved or cannot be read does not count, and is removed.
4. It sets aside policies, by their names. What the guard itself denies (its own protection, an alarm, a fault of its
   own) stays denied: `wasmguard.decision.OURSELVES` is no policy.
5. Who may make one is decided where it is made (`wasmguard.workshop.allow`).
"""

from __future__ import annotations

import os
from time import time

from wasmguard import plan, recorder, wire
from wasmguard.decision import OURSELVES
from wasmguard.errors import HostError
from wasmguard.event import TOOL_GATES
from wasmguard.granted import ordered
from wasmguard.guest.codec import packed
from wasmguard.sandbox.cache import Vault, digest
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from wasmguard.event import Event

FOLDER = "exceptions"
LONGEST = 8 * 3600  # seconds
MOST = 1_000  # exceptions that stand at the same time


class Exception_(Value):
    """One call that may pass once, in spite of some policies."""

    config: str
    """The configuration whose policies are set aside, absolute."""
    agent: str
    event: str
    tool: str
    cwd: str
    input: str
    """What `exact` or `as_sent` say of the tool input."""
    policies: tuple[str, ...]
    """Whom it sets aside."""
    record: str
    """The id of the record that it came from, in hex."""
    start: int
    """Unix seconds, as `end`."""
    end: int

    @property
    def sentence(self) -> str:
        """What is recorded of who used it."""
        names = ", ".join(f"`{name}`" for name in self.policies)
        return f"its owner set aside {names} for this call, once (`wasmguard allow {self.record} --once`)"

    @property
    def mark(self) -> str:
        """The name of its file."""
        return _mark(self.config, self.agent, self.event, self.tool, self.cwd, self.input)


def exact(tool_input: Mapping[str, Any]) -> str:
    """What an exception for *tool_input* is bound to, in whatever order its keys come.

    Raises:
        ValueError: if it holds what nobody can write down.
    """
    return "exact " + recorder.digest(packed(ordered(tool_input))).hex()


def as_sent(digest: str) -> str:
    """What an exception for the input with this *digest* of its record is bound to: keys in the agent's order, too."""
    return "as sent " + digest


def folder() -> str:
    """Where they are, while there are any."""
    return os.path.join(plan.ledger().folder, FOLDER)


def any_(where: str | None = None) -> bool:
    """Whether there may be an exception: one `lstat` of *where*, the `folder` of this user."""
    try:
        os.lstat(where or folder())
    except OSError:
        return False
    return True


def taken(config: str, event: Event, carried: Collection[str], where: str | None = None) -> Exception_ | None:
    """The exception for *event* under the configuration *config*, if it sets aside all policies that *carried* the
    decision; it is used up. None if there is none, or it cannot be removed: one that stayed would count twice.

    Raises:
        ValueError: if the input of *event* holds what nobody can write down.
    """
    if event.name not in TOOL_GATES or not carried or OURSELVES in carried:
        return None
    where, cwd = where or folder(), event.fields.get("cwd")
    bound = config, event.agent, event.name, event.tool or "", cwd if type(cwd) is str else ""
    for given in (exact(event.input), as_sent(recorder.input_digest(event).hex())):
        if os.path.lexists(os.path.join(where, mark := _mark(*bound, given))):
            found = _taken(where, mark, carried)
            if found is not None:
                return found
    _sweep_late(where)
    return None


def _taken(where: str, mark: str, carried: Collection[str]) -> Exception_ | None:
    found = _read(where, mark)
    counts = found is not None and _counts(found, time())
    if found is not None and counts and not set(found.policies).issuperset(carried):
        return None  # it would be used up in vain
    try:
        os.unlink(os.path.join(where, mark))
    except OSError:
        return None
    _tidy(where)
    return found if counts else None


def add(exception: Exception_) -> None:
    """From now on *exception* stands; one for the same call gives way.

    Raises:
        ValueError: if it sets aside nobody, or the guard itself, or is for no time or more than `LONGEST`.
        HostError: if it cannot be written, or there are too many.
    """
    if not exception.policies or OURSELVES in exception.policies or exception.event not in TOOL_GATES:
        raise ValueError(f"an exception from {exception.policies} on `{exception.event}`")
    if not 0 < exception.end - exception.start <= LONGEST:
        raise ValueError(f"{exception.end - exception.start} seconds are not between 1 and {LONGEST}")
    where = folder()
    if len(standing()) >= MOST:
        raise HostError(f"there are {MOST} exceptions already: end them with `wasmguard allow --revoke all`")
    said = {**exception.as_dict(), "policies": list(exception.policies)}
    _vault(where).write(exception.mark, wire.written(said).encode())


def standing() -> list[Exception_]:
    """All exceptions that count, in the order of their ends. Those that do not are swept away.

    Raises:
        HostError: if nobody can tell which there are.
    """
    where, now, found = folder(), time(), []
    try:
        names = os.listdir(where)
    except FileNotFoundError:
        return []
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{where}` cannot be read: {why}: make it yours alone (`chmod 700`)") from None
    for name in names:
        if name.startswith("."):  # it is still being written, or its writer was killed: `Vault` clears those
            continue
        exception = _read(where, name)
        if exception is not None and _counts(exception, now):
            found.append(exception)
        else:
            _remove(os.path.join(where, name))
    _tidy(where)
    return sorted(found, key=lambda exception: (exception.end, exception.mark))


def revoke(exception: Exception_) -> bool:
    """End *exception* before anybody uses it; False if it was used up.

    Raises:
        HostError: if it cannot be removed.
    """
    path = os.path.join(folder(), exception.mark)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{path}` cannot be removed: {why}: remove it yourself") from None
    _tidy(folder())
    return True


def _mark(*bound: str) -> str:
    """A name that stands for all of *bound*."""
    text = " ".join(str(len(part)) for part in bound) + " ".join(("", *bound))
    return digest(b"exception " + text.encode("utf-8", "surrogatepass"))[:32]


def _counts(exception: Exception_, now: float) -> bool:
    """Whether it does at the time *now*: a clock that was set back does not make it longer (rule 3)."""
    start, end = exception.start, exception.end
    return start <= now < end and end - start <= LONGEST


def _read(where: str, mark: str) -> Exception_ | None:
    """The exception in the file *mark*; None if it is none of ours."""
    try:
        said = wire.read(_vault(where).read(mark).decode())
        exception = Exception_(**{**said, "policies": tuple(said["policies"])})
        texts = (*exception.policies, exception.config, exception.agent, exception.event, exception.tool)
        texts += (exception.cwd, exception.input, exception.record)
        numbers = (exception.start, exception.end)
        if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
            return None
        named = bool(exception.policies) and OURSELVES not in exception.policies and exception.mark == mark
    except Exception:  # noqa: BLE001  # rule 3: whatever is wrong with it, it does not count
        return None
    return exception if named else None


def _sweep_late(where: str) -> None:
    """Sweep where nobody has written for so long that nothing there can count: then there is no folder to look into."""
    try:
        if os.lstat(where).st_mtime + LONGEST < time():
            standing()
    except (OSError, HostError):
        pass


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # it does not count either way
        return


def _tidy(where: str) -> None:
    try:
        os.rmdir(where)
    except OSError:  # there are others
        return


def _vault(where: str) -> Vault:
    return Vault(where, plan.ledger().key_folder)
