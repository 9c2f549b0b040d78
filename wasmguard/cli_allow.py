"""The command that lets one call pass: `allow`."""

from __future__ import annotations

import click

from wasmguard.cli_manual import command
from wasmguard.errors import UsageError


@command
@click.argument("record", metavar="ID", required=False)
@click.option("--once", is_flag=True, help="For one call. There is no other way, so it has to be said.")
@click.option("--for", "duration", metavar="TIME", help="How long it waits for that call. [default: 10m, at most 8h]")
@click.option("--revoke", metavar="ID", help="End an exception that nobody used yet, or `all`.")
def allow(record: str | None, once: bool, duration: str | None, revoke: str | None) -> None:
    """Let one call pass that a policy stopped.

    ID is the record of a call that policies denied, or asked about: `wasmguard
    log --effect deny` lists them, `wasmguard explain ID` tells why. If the agent
    makes the very same call again (same tool, same input, same folder) within
    TIME, those policies are set aside, once. All others judge it as ever.

    You are shown what you allow, and type `allow`: it works only at a terminal
    of your own, and is recorded. What wasmguard itself denies, such as a change
    of its own settings, cannot be allowed.

    Without ID it lists the exceptions that nobody used yet.

    Examples:
      wasmguard allow 0193a4c2 --once
      wasmguard allow 0193a4c2 --once --for 1h
      wasmguard allow
      wasmguard allow --revoke all

    Exit codes:
      0  as asked
      1  it cannot be recorded, or not be carried out
      2  wrong usage: no such record, nothing that can be allowed, no terminal
    """
    from wasmguard.workshop import allow as workshop

    given = record is not None or once or duration is not None
    if revoke is not None:
        if given:
            raise UsageError("`--revoke` goes with no other word: write it alone")
        click.echo(workshop.revoke(revoke))
    elif record is not None:
        if not once:
            raise UsageError(
                "`wasmguard allow` is for one call: write `--once`; for more, change the policy's settings"
            )
        click.echo(workshop.allow(record, duration or "10m"))
    elif given:
        raise UsageError("`wasmguard allow` needs `ID`: take one from `wasmguard log --effect deny`")
    else:
        for line in workshop.listed():
            click.echo(line)
