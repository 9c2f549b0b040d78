"""Commands about the policies: what is configured, whether it is in force, and how to let go of it for a while."""

from __future__ import annotations

import json

import click

from wasmguard import places
from wasmguard.cli_desk import config_option
from wasmguard.cli_manual import command
from wasmguard.cli_usage import OneOf


@command
@config_option
def check(config: str | None) -> None:
    """Explain the configuration in words.

    Which policy is asked about what, with which grants and limits, what happens
    when it fails, and whether the file is in force as it is now. Problems are
    told all at once, each with its line.

    Examples:
      wasmguard check
      wasmguard check --config ./wasmguard.toml

    Exit codes:
      0  explained
      1  the configuration cannot be used, and why
      2  wrong usage
    """
    from wasmguard.workshop.check import explained

    for line in explained(places.config_file(config)):
        click.echo(line)


@command
@config_option
def lock(config: str | None) -> None:
    """Check and compile the policies, and pin their bytes.

    Puts the configuration in force. The digest of each policy's module is
    written into the file, as `sha256`: from then on other bytes are refused
    until you lock again. A change of the file alone would also be locked by the
    next hook, and the agent would have to wait for it.

    Examples:
      wasmguard lock
      wasmguard lock --config ./wasmguard.toml

    Exit codes:
      0  locked
      1  the configuration or a policy cannot be used, and why
      2  wrong usage

    Files:
      ~/.config/wasmguard/wasmguard.toml   the configuration
      ~/.cache/wasmguard                   plans and compiled policies
    """
    from wasmguard.lock import lock as locked

    path = places.config_file(config)
    outcome = locked(path, repin=True)
    for policy in outcome.policies:
        if policy.before is None:
            what = "pinned"
        else:
            what = "unchanged" if policy.before == policy.sha256 else f"changed, was {policy.before[:12]}"
        took = f", compiled in {policy.seconds:.2f} s" if policy.seconds else ""
        click.echo(f"{policy.name}: {policy.reference} {policy.sha256[:12]} {what}{took}")
        for notice in policy.notices:
            click.echo(f"  note: {notice}")
    click.echo(f"locked {path}")


@command
@click.argument("what", type=OneOf(("config", "bench")), metavar="[config|bench]", default="config")
def schema(what: str) -> None:
    """Print the JSON schema of wasmguard.toml, for editors.

    Editors that know TOML schemas complete and check the file with it. With
    `bench`: that of what `wasmguard bench` prints with --json and keeps with
    --save, every key explained.

    Examples:
      wasmguard schema > wasmguard.schema.json
      wasmguard schema bench

    Exit codes:
      0  printed
      2  wrong usage
    """
    if what == "bench":
        from wasmguard.workshop.bench.schema import schema as written
    else:
        from wasmguard.config import schema as written

    click.echo(json.dumps(written(), indent=2))


@command
@click.option("--for", "duration", metavar="TIME", required=True, help="How long: 90s, 10m, 1h; at most 8h.")
def off(duration: str) -> None:
    """Let the agent do what it wants for a while, unjudged.

    Only for you: it works at a terminal that no agent started, asks you to type
    a word, and is recorded. It ends by itself, or with `wasmguard on`.

    Examples:
      wasmguard off --for 10m
      wasmguard off --for 1h

    Exit codes:
      0  off
      1  it cannot be recorded or carried out
      2  wrong usage, no terminal, or you did not type the word
    """
    from wasmguard.workshop import off as switch

    click.echo(switch.off(duration))


@command
def on() -> None:
    """End `wasmguard off` now.

    Examples:
      wasmguard on

    Exit codes:
      0  on
      1  it cannot be carried out
      2  wrong usage
    """
    from wasmguard.workshop import off as switch

    click.echo(switch.on())
