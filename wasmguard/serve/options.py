"""What the command line of a hook says.

1. It is parsed by hand: click would double the time that a hook takes.
2. In an agent's hook the environment chooses nothing: a project's settings may set variables for the hooks of its
   sessions (Claude Code 2.1.329: `env` in `.claude/settings.json`). Folders and the configuration are those that the
   command line names, or the usual ones in the home folder of the password database.
"""

from __future__ import annotations

import os

from wasmguard import places
from wasmguard.errors import EventError
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "usage: wasmguard serve [--config PATH] [--home DIR] [--state DIR] [--cache DIR] [--socket PATH]"
NAMES = ("config", "home", "state", "cache", "socket", "http")


class Options(Value):
    """What was said; None for what was not."""

    config: str | None = None
    home: str | None = None
    state: str | None = None
    cache: str | None = None
    socket: str | None = None
    """Where the daemon listens."""
    http: str | None = None
    """Where a daemon that this hook starts listens too, `HOST:PORT`."""


def parsed(arguments: Sequence[str]) -> Options:
    """The options in *arguments*.

    Raises:
        EventError: if there is something else.
    """
    rest, said = list(arguments), {}
    while rest:
        word = rest.pop(0)
        name, given, value = word.removeprefix("--").partition("=")
        if word[:2] != "--" or name not in NAMES or not (given or rest):
            raise EventError(f"unknown argument `{word}`: {USAGE}")
        said[name] = value if given else rest.pop(0)
    return Options(**said)


def settled(options: Options) -> str:
    """The path of the configuration, after the folders are settled for this process (rule 2).

    Raises:
        UsageError: if the configuration or a folder is named in a way that cannot be.
        HostError: if nothing says where home is.
    """
    home = options.home
    if home is None and in_agent():
        home = places.home_in_database() or os.environ.get("HOME")
    runtime = os.path.dirname(os.path.abspath(options.socket)) if options.socket else None
    places.tell(home=home, state=options.state, cache=options.cache, runtime=runtime)
    return places.config_file(options.config)


def in_agent() -> bool:
    """Whether an agent started this process, as far as it says so."""
    return "CLAUDECODE" in os.environ or "CLAUDE_PROJECT_DIR" in os.environ
