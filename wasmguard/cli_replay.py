"""The command that asks what if: `replay`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from wasmguard.cli_desk import INTERRUPTED, NO, config_option, json_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_records import Since
from wasmguard.cli_usage import Kind, Place, Whole, said
from wasmguard.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

MOST_JOBS = 256


class Module(Kind):
    """Another module for a policy: `NAME=FILE`."""

    name = "module"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, file = value.partition("=")
        if not (name and equals and file):
            raise UsageError(f"{said(param, value)}: write the policy and its file: `--module NAME=FILE`")
        return name, file


class Word(Since):
    """A moment, and the word for it: a run that goes on an hour later means the same moment by it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, tuple) else (value, super().convert(value, param, ctx))


@command
@click.argument("sources", type=Place(), metavar="[SOURCE …]", nargs=-1)
@click.option(
    "--with", "tried", type=Place(), metavar="CONFIG", help="Another configuration, which need not be locked."
)
@click.option(
    "--module", "modules", type=Module(), metavar="NAME=FILE", multiple=True, help="Another module; may be repeated."
)
@click.option("--since", type=Word(), metavar="TIME", help="From then on: 30m, 2h, 7d, today, or a date.")
@click.option("--jobs", type=Whole(1, MOST_JOBS), metavar="N", help="Processes that decide; one for each core.")
@click.option("--fail-on-change", is_flag=True, help="Exit 1 if a decision or a rewrite changes.")
@click.option("--again", is_flag=True, help="Forget what an interrupted run has done.")
@config_option
@json_option
def replay(sources: tuple[str, ...], as_json: bool, fail_on_change: bool, **given: Any) -> None:
    """Decide what has happened once more, by other policies.

    Nothing happens by it: events of yesterday are decided by another
    configuration (--with), or by yours with another module (--module), and you
    are told which decisions and which rewrites would be different, with
    examples, and what the policies cost. Without both, it is your configuration
    as it is now, compared with what was decided then.

    First comes how much of it your policies see at all: a policy that sees 1 % of
    the calls changes little, whatever it says.

    The decision before is the recorded one. Where there is none (transcripts,
    files), your configuration decides as well; without --with and --module,
    nobody does, and everything passed.

    Policies that remember things begin with nothing. What the guard itself denies
    (self-protection) is no part of it. Ctrl-C ends it with what was done, and the
    same command goes on from there.

    Sources:
      records      your records, the default
      transcripts  all of Claude Code's: ~/.claude/projects, or below
                   $CLAUDE_CONFIG_DIR
      FOLDER       every .jsonl, .json and .parquet file in it
      FILE.jsonl   a line each: inputs of hooks, lines of a transcript, or of
                   `wasmguard log --json`
      FILE.json    one input of a hook, or a list of them
      FILE.parquet a row each, whose columns are the fields: hook_event_name,
                   tool_name, tool_input (a struct, or JSON), session_id, cwd,
                   …; needs `pip install 'wasmguard[parquet]'`

    Examples:
      wasmguard replay --with new.toml
      wasmguard replay transcripts --since 7d
      wasmguard replay --module no-etc=build/no-etc --since 1d
      wasmguard replay calls.jsonl --with new.toml --fail-on-change --json

    Exit codes:
      0  it was replayed
      1  with --fail-on-change: something changed; or it cannot be replayed
      2  wrong usage, or a source that cannot be read
      130  Ctrl-C; what was done is printed
    """
    from wasmguard.workshop.replay.progress import Progress
    from wasmguard.workshop.replay.session import Wanted, run
    from wasmguard.workshop.replay.told import told

    modules = dict(given["modules"])
    if len(modules) < len(given["modules"]):
        raise UsageError("`--module` names a policy twice: leave one out")
    since, moment = given["since"] or ("", None)
    wanted = Wanted(
        sources=sources,
        config=given["config"],
        tried=given["tried"],
        modules=modules,
        since=since,
        moment=moment,
        jobs=given["jobs"] or _cores(),
        again=given["again"],
    )
    with Progress() as progress:
        document = run(wanted, progress)
    if as_json:
        click.echo(json.dumps(document))
    else:
        tell(told(document))
    if not document["complete"]:
        raise click.exceptions.Exit(INTERRUPTED)
    raise click.exceptions.Exit(NO if fail_on_change and document["changes"]["total"] else 0)


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
