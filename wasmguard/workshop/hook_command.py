"""The command line of a hook: what `install` writes into an agent's settings.

1. It names everything that it uses by its whole path: interpreter, client, socket, configuration and folders. What an
   agent or a project sets in the environment changes nothing.
2. It holds no version, so it stays the same over upgrades.
3. Python leaves with 0 when a script is empty, as a file is for a moment while it is replaced, and for an agent that is
   no opinion. So what runs the client ends with 2, which blocks, whatever the client's file says.
4. With the native client, if this installation has one that runs here; else Python runs the client. Either goes on to
   decide by itself where there is no daemon.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from wasmguard import link, places
from wasmguard.errors import HostError
from wasmguard.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

NATIVE, PYTHON = "wasmguard-client", "client.py"
STEP = (
    "import posix,sys\n"
    "try:exec(open(sys.argv[1],'rb').read())\n"
    "finally:posix.write(2,b'wasmguard is broken: reinstall it\\n');posix._exit(2)"
)
"""Rule 3. It is part of the command line, so it stays what it is."""
TRIAL = 5.0  # seconds in which the native client has to say its version


def home() -> str:
    """The user's home folder."""
    return os.path.normpath(places.expanded("~/."))


def command(config: str, *, http: str = "") -> tuple[str, ...]:
    """The command line of a hook for the configuration *config*; the daemon that it starts also listens at *http*.

    Raises:
        HostError: if a part of this installation is missing, or has a name that settings cannot hold.
    """
    socket, client = link.socket_of(config), _part(PYTHON)
    if not os.path.isfile(client):
        raise HostError(f"`{client}` is not there: reinstall wasmguard")
    if not sys.executable:
        raise HostError("python does not say where it is: call it by its whole path")
    python = (os.path.abspath(sys.executable), "-I", "-S", "-c", STEP, client, socket, *_arguments(config, http))
    native = native_client()
    words = (native, socket, *python) if native else python
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise HostError(f"`{word!a}` is not in UTF-8, so no settings can name it: rename it") from None
    return words


def native_client() -> str:
    """The native client, if there is one of this version and it runs here; else nothing."""
    path = _part(NATIVE)
    if not os.access(path, os.X_OK):
        return ""
    try:
        said = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return path if said.returncode == 0 and said.stdout.split()[:2] == [NATIVE.encode(), __version__.encode()] else ""


def _part(name: str) -> str:
    """The file *name* beside the hook."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "serve", name)


def _arguments(config: str, http: str) -> Iterator[str]:
    yield from ("--config", config, "--home", home())
    alone = {"HOME": home(), "USERPROFILE": home()}  # what a hook knows that is told nothing else
    for name, folder in (("state", places.state_dir), ("cache", places.cache_dir)):
        if folder() != folder(alone):
            yield from (f"--{name}", folder())
    if http:
        yield from ("--http", http)
