"""Commands that tell of what was recorded: `log`, `explain` and `stats`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from wasmguard.cli_desk import STYLES, json_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_usage import SECONDS, Kind, OneOf, Place, said
from wasmguard.errors import HostError, UsageError, why_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from wasmguard.records.query import Record

ALL = "all"
MOST = 10**9  # records that `-n` may ask for


class Since(Kind):
    """A moment in the past, as Unix milliseconds: `2h` ago, `today`, or a local date with or without a time."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from datetime import datetime, timedelta

        now = datetime.now().astimezone()
        number, unit = value[:-1], SECONDS.get(value[-1:])
        if unit and number.isascii() and number.isdecimal() and len(number) < 7:
            return int((now - timedelta(seconds=int(number) * unit)).timestamp() * 1000)
        words = {"today": 0, "yesterday": 1}
        try:
            if value in words:
                day = now.date() - timedelta(days=words[value])
                moment = datetime(day.year, day.month, day.day)  # local, as `timestamp` takes it
            else:
                moment = datetime.fromisoformat(value)
            return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError, OSError):
            raise UsageError(
                f"{said(param, value)} is no time: write `30m`, `2h` or `7d`, `today`, or a date like"
                f" `{now:%Y-%m-%d}` or `{now:%Y-%m-%dT%H:%M}`"
            ) from None


class Newest(Kind):
    """How many records: a number, or `all` (None)."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if isinstance(value, int):
            return value
        if value == ALL:
            return None
        if not (value.isascii() and value.isdecimal() and int(value[:10]) <= MOST):
            raise UsageError(f"{said(param, value)}: write a number, or `{ALL}`")
        return int(value)


def since_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--since TIME`."""
    return click.option(
        "--since", type=Since(), metavar="TIME", help="From then on: 30m, 2h, 7d, today, or a date (2026-11-22T09:30)."
    )(function)


@command
@click.option("-n", "newest", type=Newest(), metavar="N", default="20", help="The newest N, or `all`.")
@click.option("-f", "--follow", is_flag=True, help="Also what comes, until Ctrl-C.")
@click.option("--effect", type=OneOf(("pass", "allow", "ask", "deny")), metavar="EFFECT", help="Only this effect.")
@click.option("--policy", metavar="NAME", help="Only what this policy carried.")
@click.option("--tool", metavar="TOOL", help="Only events of this tool.")
@click.option("--session", metavar="ID", help="Only this session of an agent.")
@since_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for programs.")
def log(newest: int | None, follow: bool, as_json: bool, **filters: Any) -> None:
    """Show what was decided, the newest last.

    A line for each record: time, number, effect, tool, and what the call was
    about. Below a deny or an ask stands who carried it and why, in the words of
    that policy, which are untrusted. `pass` is no opinion: the agent's own
    permission rules went on; `allow` means that nobody was asked. `->` shows what
    a rewrite made of the input. What you did yourself (off, on, reload, allow)
    and alarms are lines, too.

    With --json each line is a whole record as it stands in the chain, with its
    number and hash: `wasmguard replay` takes such a file.

    Examples:
      wasmguard log
      wasmguard log -n 100 --effect deny --since 7d
      wasmguard log -f --tool Bash
      wasmguard log -n all --json > records.jsonl

    Exit codes:
      0  as asked, also if there is nothing
      1  the records cannot be read
      2  wrong usage
      130  Ctrl-C
    """
    from wasmguard.workshop import log as told

    filters = {name: value for name, value in filters.items() if value is not None}
    _drained()
    records = (told.follow if follow else told.found)(newest, filters)
    count = _as_json(records) if as_json else _as_lines(records, told.Paper())
    if not count and newest != 0 and not as_json:
        _echo_nothing(filters)


@command
@click.argument("record", metavar="[ID]", default="last")
@json_option
def explain(record: str, as_json: bool) -> None:
    """Tell the story of one decision.

    Who asked for what, each policy that was asked in each round, what it said
    and what it used, what that amounts to and who carried it, what the agent was
    told, what happened afterwards, and how to let it through once.

    ID is a number as `wasmguard log` shows it, the id of a record or its first
    six digits, the id of a tool use, or `last`: the last decision. Texts of
    policies and agents are untrusted, and stand in quotes.

    Examples:
      wasmguard explain
      wasmguard explain 1234
      wasmguard explain toolu_01A9xYzQ --json

    Exit codes:
      0  as asked
      1  there are no records, or they cannot be read
      2  wrong usage, or there is no such record
    """
    from wasmguard.workshop import explain as story

    _drained()
    found = story.story(record)
    if as_json:
        click.echo(json.dumps(story.as_data(found)))
    else:
        tell((style, _sayable(text)) for style, text in story.told(found))


@command
@since_option
@click.option("--session", metavar="ID", help="Only this session of an agent.")
@click.option("--tool", metavar="TOOL", help="Only events of this tool.")
@click.option("--policy", metavar="NAME", help="Only what this policy carried; with --shadow: only this shadow.")
@click.option("--shadow", is_flag=True, help="Instead: how far shadows agree with what was decided.")
@click.option("--html", type=Place(), metavar="FILE", help="Also write a report, one page.")
@json_option
def stats(shadow: bool, html: str | None, as_json: bool, **conditions: Any) -> None:
    """Count what was decided.

    Effects, calls and errors of each tool, what each policy was asked and said,
    the most frequent reasons, how long decisions took, and how many there were
    each day. A tool's error rate is among its calls that came to a result.

    With --shadow: for each policy that is only watched (`shadow = true` or
    `shadow_of`), how often it agrees, is stricter or looser, and the numbers of
    records to look at with `wasmguard explain`.

    Examples:
      wasmguard stats
      wasmguard stats --since 7d --tool Bash
      wasmguard stats --shadow
      wasmguard stats --html report.html

    Exit codes:
      0  as asked
      1  the records cannot be read, or the report cannot be written
      2  wrong usage
    """
    from wasmguard.workshop.stats import counting, shadows

    _drained()
    watched = shadows.shadowed(**conditions) if shadow else None
    document = counting.counted(**conditions) if html or not shadow else None
    if html and document is not None:
        _write_page(html, document, watched)
    if as_json:
        click.echo(json.dumps(watched if watched is not None else document))
        return
    from wasmguard.workshop.bench.table import console_for
    from wasmguard.workshop.stats import table

    console = console_for(sys.stdout, no_color=click.get_current_context().color is False)
    if watched is not None:
        table.tell_shadows(watched, console)
    elif document is not None:
        table.tell(document, console)
        if document["records"] and not sum(document["effects"].values()):
            _echo_nothing(conditions)


def _echo_nothing(filters: Mapping[str, Any]) -> None:
    """What it may come from that nothing was found."""
    from wasmguard.workshop.columns import wrapped
    from wasmguard.workshop.log import nothing

    for line in wrapped(nothing(filters), ""):
        click.echo(_sayable(line))


def _drained() -> None:
    """Move what waits into the database; who reads tells of it, also if somebody else is at it."""
    from wasmguard.records import drain

    left = drain.drained().left
    if left:
        click.echo("wasmguard: others are moving records at this moment: the newest may be missing", err=True)


def _write_page(path: str, document: dict[str, Any], watched: dict[str, Any] | None) -> None:
    from pathlib import Path

    from wasmguard.workshop.files import replace_files
    from wasmguard.workshop.stats.page import page

    try:
        replace_files({Path(path): page(document, watched).encode()})
    except OSError as error:
        raise HostError(f"`--html {path}` cannot be written: {why_of(error)}: name another file") from None
    click.echo(f"wrote {path}", err=True)


def _as_lines(records: Iterable[Record], paper: Any) -> int:
    """Print records for people as they come; how many there were."""
    count = 0
    for record in records:
        count += 1
        for line in paper.lines(record):
            click.echo("".join(_styled(style, _sayable(text)) for style, text in line).rstrip())
    return count


def _as_json(records: Iterable[Record]) -> int:
    from wasmguard.workshop.log import as_data

    count = 0
    for record in records:
        count += 1
        click.echo(as_data(record))
    return count


def _styled(style: str, text: str) -> str:
    look = STYLES[style]
    return click.style(text, **look) if look else text


def _sayable(text: str) -> str:
    """*text* in characters that standard output can say."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "replace").decode(encoding)
