"""The command line of a hook as it is measured: what `wasmguard install` writes (`hook_command`), two words changed.

1. A hook that decides by itself is given the name of a socket where nobody listens.
2. One that shall ask the daemon is given that daemon's socket, and a configuration that is not there: it would decide
   by itself in silence otherwise, and that is another row.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard import link
from wasmguard.value import Value
from wasmguard.workshop import hook_command

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "nobody"  # the name of a socket without a daemon


class HookLine(Value):
    """The command line of a hook, in parts."""

    native: tuple[str, ...]
    """The client in C; nothing if there is none. It gets a socket, and what follows as the command to become."""
    interpreter: tuple[str, ...]
    """Python, up to the `-c` of the client in Python."""
    client: tuple[str, ...]
    """What stands between that and the name of the socket."""
    config: str
    arguments: tuple[str, ...]
    """What follows the name of the socket; *config* is among it."""

    @classmethod
    def installed(cls, config: str) -> HookLine:
        """The one that `wasmguard install` writes for the configuration *config*.

        Raises:
            HostError: see `hook_command.command`.
        """
        line = hook_command.command(config)
        step = line.index(hook_command.STEP)  # behind PYTHON -I -S -c, before CLIENT SOCKET
        return cls(
            native=line[: step - 4][:1],
            interpreter=line[step - 4 : step],
            client=line[step : step + 2],
            config=config,
            arguments=line[step + 3 :],
        )

    def alone(self, folder: str) -> tuple[str, ...]:
        """Decides by itself: in *folder* nobody listens (rule 1)."""
        return (*self.interpreter, *self.client, os.path.join(folder, NOBODY), *self.arguments)

    def asking(self, socket: str, *, native: bool = False) -> tuple[str, ...]:
        """Asks the daemon at *socket* (rule 2), by the client in Python or the *native* one."""
        arguments = [f"{word}.not-there" if word == self.config else word for word in self.arguments]
        line = (*self.interpreter, *self.client, socket, *arguments)
        return (*self.native, socket, *line) if native else line


@contextmanager
def sockets_in(home: str) -> Iterator[str]:
    """A private folder in *home* for sockets, or where their paths are not too long."""
    longest = len(os.fsencode(os.path.join(home, "wasmguard-12345678", NOBODY))) + len("daemon~")
    with tempfile.TemporaryDirectory(prefix="wasmguard-", dir=home if longest < link.LONGEST_PATH else "/tmp") as made:  # noqa: S108
        yield made
