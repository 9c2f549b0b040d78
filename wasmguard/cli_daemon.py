"""Commands about what answers the agent: the hook, and the daemon beside it."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from wasmguard import places
from wasmguard.cli_desk import config_option, json_option, tell, told
from wasmguard.cli_manual import command
from wasmguard.cli_usage import Place, Time, Whole

MOST_WORKERS = 64
FOLDERS = ("home", "state", "cache")


@command
@config_option
@click.option("--daemon", is_flag=True, help="Answer many events, until told to end.")
@click.option("--socket", type=Place(), metavar="PATH", help="Where the daemon listens. [default: told by `status`]")
@click.option("--http", metavar="HOST:PORT", help="Listen there, too: a loopback address, such as 127.0.0.1:8787.")
@click.option(
    "--idle", type=Time(), metavar="TIME", help="End after so long without an event: 90s, 30m, 8h. [default: never]"
)
@click.option(
    "--workers",
    type=Whole(1, MOST_WORKERS),
    metavar="N",
    help="Processes that decide. [default: one per core, at most 8]",
)
@click.option(
    "--home", type=Place("dir"), metavar="DIR", help="The user's home folder; then no variable says where files are."
)
@click.option("--state", type=Place("dir"), metavar="DIR", help="The folder of records, keys and the token.")
@click.option("--cache", type=Place("dir"), metavar="DIR", help="The folder of plans and compiled policies.")
@click.option("--lock", type=Whole(0, 2**20), hidden=True, help="A descriptor that holds the lock of the socket.")
def serve(daemon: bool, **given: Any) -> None:
    """Answer an agent's hook events: one, or as a daemon all that come.

    Without --daemon it answers one event: JSON on standard input, JSON on
    standard output. Agents run that, as `wasmguard install` told them to.
    Whatever goes wrong, the answer is a deny: in the event's own JSON with exit
    code 0, or, where the event cannot even be named, with exit code 2, which
    blocks as well.

    With --daemon it stays in the foreground and answers at a Unix socket that
    only you can open. The first hook starts one by itself, so you need this for
    two things: to have it started by systemd or launchd (sockets that systemd
    passes on are used), and to listen at an address with --http, where whoever
    asks must send the bearer token in the file below. A changed configuration
    is taken over at once; one that cannot be used is not, and `wasmguard
    status` says why.

    Examples:
      wasmguard serve < event.json
      wasmguard serve --daemon
      wasmguard serve --daemon --http 127.0.0.1:8787
      wasmguard serve --daemon --idle 30m --workers 2

    Exit codes:
      0  the event is answered; of a daemon: it was told to end, or was idle
      1  of a daemon: there is one already, or it cannot begin
      2  of a hook: the event is blocked; of a daemon: wrong usage

    Environment:
      WASMGUARD_CONFIG   the configuration, where no --config is given; in an
                         agent's hook no variable counts
      WASMGUARD_DAEMON   0: hooks start no daemon
      LISTEN_FDS         sockets from systemd

    Files:
      ~/.local/state/wasmguard/daemon.log   what a daemon says that nobody sees
      ~/.local/state/wasmguard/token        the bearer token (0600)
    """
    if not daemon:
        from wasmguard.serve import hook

        hook.main([f"--{name}={value}" for name, value in given.items() if value is not None])
    from wasmguard.serve.daemon import run
    from wasmguard.serve.listening import address

    runtime = os.path.dirname(os.path.abspath(given["socket"])) if given["socket"] else None
    places.tell(**{name: given.pop(name) for name in FOLDERS}, runtime=runtime)
    config, http = places.config_file(given.pop("config")), given.pop("http")
    run(config, http=None if http is None else address(http), **given)


@command
@config_option
@json_option
def status(config: str | None, as_json: bool) -> None:
    """Tell how the daemon is: policies, decisions, times, memory.

    Which policies are loaded, which are never asked and which are only shadows;
    the last decision; how long decisions take (median and 99th percentile);
    whether the last change of the configuration could be taken over.

    Examples:
      wasmguard status
      wasmguard status --json

    Exit codes:
      0  a daemon answered
      1  there is none; hooks then decide by themselves
      2  wrong usage
    """
    from wasmguard.workshop.status import lines
    from wasmguard.workshop.status import status as said

    found = said(places.config_file(config))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        tell(lines(found))


@command
@config_option
def stop(config: str | None) -> None:
    """End the daemon.

    It finishes what it is deciding. The guard stays on: hooks decide by
    themselves, and the next one starts a new daemon (not with
    WASMGUARD_DAEMON=0). To let the agent work unguarded for a while, see
    `wasmguard off`.

    Examples:
      wasmguard stop

    Exit codes:
      0  it ended
      1  there is none, or it did not end
      2  wrong usage
    """
    from wasmguard.workshop.status import stop as ended

    click.echo(told(ended(places.config_file(config))))
