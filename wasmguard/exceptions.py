"""Exceptions: the owner lets one very call pass that policies denied, or asked about, once and soon.

1. An exception is a sealed mark in a folder of its own beside the plans (`wasmguard.plan.ledger`). It is bound to a
   configuration, an agent, an event's name, a tool, the folder that the agent is in, and a digest of exactly one tool
   input: of the one that its owner was shown (`exact`), or where the record does not hold it, the record's (`as_sent`).
   All of that is its name. It says which policies are set aside. All others judge the call as ever.
2. It counts once: whoever removes its file has it, and of two who come together one does. It is used up only where
   it makes a decision less strict (`wasmguard.guard`). Each use is in the records: who copies a file and puts it back,
   which no seal can tell, is seen there.
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
from wasmguard.errors import HostError, why_of
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
    def in_vain(self) -> str:
        """What is recorded where others deny the call as well."""
        names = ", ".join(f"`{name}`" for name in self.policies)
        return f"its owner set aside {names} for this call, but others deny it: the exception still stands"

    def covers(self, carried: Collection[str]) -> bool:
        """Whether it sets aside all who *carried* a decision: else it would be used up in vain."""
        return bool(carried) and set(self.policies).issuperset(carried)

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


def found(config: str, event: Event, where: str | None = None) -> Exception_ | None:
    """The exception for *event* under the configuration *config*, which `use` uses up. None if there is none."""
    if event.name not in TOOL_GATES:
        return None
    where, cwd = where or folder(), event.fields.get("cwd")
    bound = config, event.agent, event.name, event.tool or "", cwd if type(cwd) is str else ""
    try:
        inputs = exact(event.input), as_sent(recorder.input_digest(event).hex())
    except ValueError:  # what nobody can write down was never allowed
        return None
    for given in inputs:
        path = os.path.join(where, mark := _mark(*bound, given))
        if os.path.lexists(path):
            exception = _read(where, mark)
            if exception is not None and _counts(exception, time()):
                return exception
            _remove(path)
            _tidy(where)
    _sweep_late(where)
    return None


def use(exception: Exception_, where: str | None = None) -> bool:
    """Use *exception* up; False if somebody else did, or it cannot be removed: one that stayed would count twice."""
    where = where or folder()
    try:
        os.unlink(os.path.join(where, exception.mark))
    except OSError:
        return False
    _tidy(where)
    return _counts(exception, time())


def add(exception: Exception_) -> Exception_:
    """From now on *exception* stands. If one for the same call does already, whom that sets aside stays set aside, and
    neither counts longer than its owner said. Returns what stands.

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
    before = _read(where, exception.mark)
    if before is not None and not exception.covers(before.policies):
        both = dict.fromkeys((*before.policies, *exception.policies))
        exception = exception.replaced(policies=tuple(both), end=min(before.end, exception.end))
    said = {**exception.as_dict(), "policies": list(exception.policies)}
    _vault(where).write(exception.mark, wire.written(said).encode())
    return exception


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
        raise HostError(f"`{where}` cannot be read: {why_of(error)}: make it yours alone (`chmod 700`)") from None
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
        raise HostError(f"`{path}` cannot be removed: {why_of(error)}: remove it yourself") from None
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
