"""The command that proves what was recorded: `verify`."""

from __future__ import annotations

import json
import sys
from time import monotonic
from typing import TYPE_CHECKING

import click

from wasmguard.cli_desk import answer, json_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_records import since_option
from wasmguard.cli_usage import Whole
from wasmguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OFTEN = 0.2  # seconds between two lines that say how far it is


@command
@click.option("--chain", "chain_only", is_flag=True, help="Only the chain: decide nothing again.")
@since_option
@click.option("--head", is_flag=True, help="Print SEQ:HASH, to keep elsewhere.")
@click.option("--expect", metavar="SEQ:HASH", default="", help="The chain must contain this head.")
@click.option("--jobs", type=Whole(1, 256), metavar="N", default=1, help="Decide in N processes; by default one.")
@click.option("--acknowledge", metavar="ID", help="You have looked at this alarm: let its session go on.")
@json_option
def verify(head: bool, acknowledge: str | None, as_json: bool, **given: Any) -> None:
    """Prove that the records are what happened.

    Every record is hashed with all that were before it, and the chain is checked
    from its first byte to its last. Then each decision is made again: by the
    policies that made it, kept by their digests, from the recorded input and what
    they remembered, in jailed processes. It must come out the same to the byte:
    effects, reasons, rewrites, answers, fuel.

    What cannot be made again is counted and told: inputs that were redacted, cut
    or not recorded, policies that are not kept any more. So are limits of time,
    and links in the file system that have changed: those are not wrong.

    Somebody who can write to your files as you could write all records anew. So
    keep a head elsewhere, say with your commits: whoever has one can tell.

    Examples:
      wasmguard verify
      wasmguard verify --since 1d --jobs 4
      wasmguard verify --head > ../head.txt
      wasmguard verify --chain --expect "$(cat ../head.txt)"
      wasmguard verify --acknowledge 0193a4c2   # an alarm, after you looked

    Exit codes:
      0  nothing is wrong, or as asked
      1  a record or a decision is not what it was, or cannot be read
      2  wrong usage
    """
    if acknowledge is not None:
        _acknowledge(
            acknowledge,
            alone=not (head or as_json or given["chain_only"] or given["expect"] or given["since"] is not None),
        )
        return
    from wasmguard.workshop import verify as looking
    from wasmguard.workshop.verify_told import as_data, told

    if head:
        click.echo(looking.head())
        return
    line = _line() if sys.stderr.isatty() else None
    try:
        report = looking.verified(**given, told=line)
    finally:
        if line:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
    if as_json:
        click.echo(json.dumps(as_data(report), indent=2))
    else:
        tell(told(report))
    answer(yes=report.good)


def _acknowledge(which: str, *, alone: bool) -> None:
    if not alone:
        raise UsageError("`--acknowledge` goes with no other option: write it alone")
    from wasmguard.workshop.allow import acknowledge

    tell([("ok", acknowledge(which))])


def _line() -> Callable[[str, int, int], None]:
    """What writes one line on standard error that says how far it is, and over it the next one."""
    last = 0.0

    def write(what: str, done: int, all_of_them: int) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= OFTEN:
            last = now
            share = 100 * done // all_of_them if all_of_them else 100
            sys.stderr.write(f"\r\x1b[K{what}: record {done:,} of {all_of_them:,} ({share} %)")
            sys.stderr.flush()

    return write
