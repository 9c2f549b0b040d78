"""The master follows the configuration: when it changed, it is locked again, and the workers find a new plan.

1. What is looked at, twice a second, costs four `stat`: the configuration, its plan, the folder of compiled code, and
   wasmtime's library. Only if one is another file now, the plan is read.
2. A plan that does not count any more is made anew in a child, as a one-shot hook would make it: modules must still
   have the bytes that were locked. The master itself never loads what that takes, and whatever goes wrong there goes
   with the child.
3. What cannot be locked changes nothing: the workers keep the last good plan. That is recorded, once for each change,
   with the reason; so is every plan that came into force, with the digest of the one before. Where the reason is not in
   the owner's files (no memory, a child that was killed), it is tried again after a while.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from time import monotonic, time_ns
from typing import TYPE_CHECKING

from wasmguard import audit, places, plan
from wasmguard.errors import BundleError, ConfigError, HostError, PlanStale, WasmguardError
from wasmguard.serve.family import forked
from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAUSE = 0.5  # seconds between two looks
AGAIN = 2.0  # seconds until that is tried again for which the owner's files are not to blame
LONGEST = 120.0  # seconds that locking may take: several large components
DYING = 1.0  # seconds between two attempts to end a child
LARGEST = 65_536  # bytes of what a child says


OWNERS = (ConfigError, BundleError)
"""What is wrong with the owner's files stays wrong until they change."""


class Reload(Value):
    """The last time that the plan changed, or should have."""

    time: int = 0
    """Unix milliseconds; 0 if it never did."""
    old: str = ""
    new: str = ""
    """Digests of the plans before and after; the same if nothing came of it."""
    error: str = ""
    """Why the old one stays; empty if it does not."""


class Following:
    """The configuration file *config*, and the plan that is in force for it."""

    def __init__(self, config: str, private: Callable[[], Iterable[int]]) -> None:
        """Nothing is looked at yet. *private* are the descriptors that a child shall not have."""
        self.config, self.digest, self.reload = config, "", Reload()
        self.channel = -1
        """Where the child that locks says what came of it; -1 if there is none."""
        self._private, self._child, self._until, self._said, self._why = private, 0, 0.0, b"", ""
        self._library, self._next, self._again = "", 0.0, 0.0
        self._seen: tuple[tuple[int, ...], ...] = ()
        self._locked_as: tuple[int, ...] = ()

    def begin(self) -> None:
        """Have a plan that counts.

        Raises:
            WasmguardError: if there can be none.
        """
        try:
            self._use(plan.read(self.config))
        except PlanStale:
            self._lock()
            while self.channel >= 0:
                if select.select([self.channel], [], [], max(0.0, self._until - monotonic()))[0]:
                    self.heard()
                else:
                    self._kill()
                    self._until = monotonic() + DYING
            if self._why:
                raise ConfigError(self._why) from None
        self._seen = self._looked()

    def look(self) -> None:
        """Begin to lock if the configuration changed. Never raises."""
        if self.channel >= 0:
            if monotonic() > self._until:
                self._kill()
            return
        if (now := monotonic()) < self._next:
            return
        self._next = now + PAUSE
        due = 0 < self._again <= now
        if (seen := self._looked()) == self._seen and not due:
            return
        self._seen, self._again = seen, 0.0
        try:
            self._use(plan.read(self.config))
        except PlanStale:
            self._lock()
        except WasmguardError as error:
            self._came(self.digest, str(error), again=not isinstance(error, OWNERS))

    def heard(self) -> None:
        """Read what the child says, which may take until it ends."""
        part = os.read(self.channel, LARGEST)
        self._said = (self._said + part)[:LARGEST]
        if part:
            return
        os.close(self.channel)
        self.channel = -1
        os.waitpid(self._child, 0)
        self._child, said = 0, self._said.decode("utf-8", "replace")
        if not said.startswith("locked"):
            why = said.removeprefix("failed ").removeprefix("again ") or "the process that locks was killed"
            self._came(self.digest, why, again=not said.startswith("failed "))
            return
        self._seen = self._looked()
        try:
            self._use(plan.read(self.config))
        except WasmguardError as error:
            if isinstance(error, PlanStale) and _stamp(self.config) != self._locked_as:  # changed once more meanwhile
                self._seen = ()
                return
            self._came(self.digest, str(error), again=not isinstance(error, OWNERS))

    def end(self) -> None:
        """Nobody waits for a new plan any more."""
        if self.channel >= 0:
            self._kill()
            while self.channel >= 0:
                self.heard()

    def _kill(self) -> None:
        """End the child, and its compiler: then its channel closes."""
        with suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)

    def _use(self, read: plan.Plan) -> None:
        self._library = str(read.made["library"])
        if self.digest and (read.digest != self.digest or self.reload.error):
            self._came(read.digest, "")
        self.digest = read.digest

    def _came(self, new: str, error: str, *, again: bool = False) -> None:
        """Keep and record what came of a change; with *again*, it is tried once more."""
        self._why, self._again = error, monotonic() + AGAIN if again else 0.0
        if not self.digest:  # at the start that is nobody's reload
            return
        if again and self.reload.error == one_line(error, 1_000):  # told already
            return
        self.reload = Reload(time=time_ns() // 1_000_000, old=self.digest, new=new, error=one_line(error, 1_000))
        if error:
            say(f"the last good plan stays: {self.reload.error}")
        try:
            audit.record("reload", old=self.digest, new=new, error=self.reload.error)
        except HostError as wrong:
            say(f"not recorded: {wrong}")

    def _lock(self) -> None:
        reading, writing = os.pipe()
        self._said, self._until, self._locked_as = b"", monotonic() + LONGEST, _stamp(self.config)
        try:
            private = [*self._private(), reading]
            self._child = forked(lambda: _locked(self.config, writing), close=private, ends=signal.SIGKILL)
            self.channel = reading
        except OSError as error:
            os.close(reading)
            why = (error.strerror or "unknown").lower()
            self._came(self.digest, f"cannot start the process that locks: {why}", again=True)
        finally:
            os.close(writing)

    def _looked(self) -> tuple[tuple[int, ...], ...]:
        files = self.config, plan.file_of(self.config), plan.vault().folder, self._library
        return tuple(_stamp(path) for path in files)


def say(text: str) -> None:
    """Tell the person at the terminal, or the log."""
    with suppress(OSError):  # nobody may be there any more
        os.write(2, f"wasmguard: {text}\n".encode("utf-8", "replace"))


def _locked(config: str, channel: int) -> None:
    """The child's work."""
    from wasmguard.lock import lock

    try:
        lock(config, repin=False)
        said = "locked"
    except WasmguardError as error:
        said = f"{'failed' if isinstance(error, OWNERS) else 'again'} {error}"
    except Exception as error:  # noqa: BLE001  # a bug of ours, told like any other reason
        said = f"failed internal error: {type(error).__name__}: {error}: please report it"
    os.write(channel, said.encode("utf-8", "replace")[:LARGEST])


def _stamp(path: str) -> tuple[int, ...]:
    """What tells one file from the next; empty if there is none."""
    try:
        return places.stamp(os.stat(path))
    except OSError:
        return ()
