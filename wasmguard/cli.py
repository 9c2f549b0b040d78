"""The command line: what there is, in the order in which a person needs it.

Each command is its manual page, its arguments, one call, and what is printed (`cli_setup`, `cli_daemon`,
`cli_policies`, `cli_records`, `cli_verify`, `cli_replay`, `cli_allow`, `cli_inspect`, `cli_write`, `cli_try`,
`cli_bench`). What they have in common is in `cli_desk`, how
their pages look in `cli_manual`, what is wrong with a command line in `cli_usage`.
"""

from __future__ import annotations

import click

from wasmguard.cli_allow import allow
from wasmguard.cli_bench import bench
from wasmguard.cli_daemon import serve, status, stop
from wasmguard.cli_desk import FrontDesk
from wasmguard.cli_inspect import demo, doctor, selftest
from wasmguard.cli_policies import check, lock, off, on, schema
from wasmguard.cli_records import explain, log, stats
from wasmguard.cli_replay import replay
from wasmguard.cli_setup import completion, init, install, uninstall
from wasmguard.cli_try import inspect, run, test
from wasmguard.cli_verify import verify
from wasmguard.cli_write import build, new
from wasmguard.version import __version__

SECTIONS = {
    "Set up": (init, install, uninstall, completion),
    "Every day": (check, lock, allow, off, on),
    "See why": (log, explain, stats, verify, replay),
    "Look inside": (demo, doctor, selftest, schema),
    "Daemon": (serve, status, stop),
    "Write policies": (new, build, test, run, inspect, bench),
}


@click.group("wasmguard", cls=FrontDesk, sections=SECTIONS)
@click.version_option(__version__, prog_name="wasmguard")
def main() -> None:
    """A guard for AI coding agents.

    Before an agent uses a tool, policies judge the call: it passes, you are
    asked, it is denied, or it is rewritten. A policy is a WebAssembly module in
    any language that can touch nothing.

    Examples:
      wasmguard demo
      wasmguard init
      wasmguard install claude-code
      wasmguard doctor

    Exit codes:
      0    as asked
      1    the answer is no, or it could not be done
      2    wrong usage; and of `serve`, a block
      130  interrupted (Ctrl-C)
      141  nobody reads the output any more

    Environment:
      WASMGUARD_CONFIG   the configuration, an absolute path
      NO_COLOR           set to anything: no colour
      XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR
                         where the folders below are, if not there

    Files:
      ~/.config/wasmguard/wasmguard.toml   what you decide
      ~/.cache/wasmguard                   what can be made again
      ~/.local/state/wasmguard             records, keys, the token

    `wasmguard COMMAND --help` is the page of a command.
    """
