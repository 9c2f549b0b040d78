"""The manual pages: what `--help` prints is the docstring of a command, as it stands there, and its options.

A docstring begins with one sentence, which is all that the list of commands shows. Paragraphs follow, then sections:
a line such as `Examples:`, and indented lines below it. Nothing is wrapped, so nothing is wrapped wrongly: lines of a
docstring have at most 78 characters. In `Examples`, lines that begin with `wasmguard` are commands; the tests try them.
"""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from wasmguard.cli_usage import belongs_to, one_too_many

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 80, "show_default": True}
HEADING = re.compile(r"^[A-Z][A-Za-z ]*:$", re.MULTILINE)


def parted(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The paragraphs of a manual page, and its sections: heading, and the lines below it."""
    text = inspect.cleandoc(text)
    starts = [found.start() for found in HEADING.finditer(text)] + [len(text)]
    parts = (text[start:end].rstrip() for start, end in pairwise(starts))
    return text[: starts[0]].rstrip(), [(heading, rest) for heading, _, rest in (p.partition("\n") for p in parts)]


class Command(click.Command):
    """A command whose docstring is its manual page."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # click would tell of them in words of its own
        with belongs_to(ctx):
            rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            one_too_many(ctx, rest[0])
        return rest

    def get_short_help_str(self, limit: int = 45) -> str:
        return (self.help or "").partition("\n")[0].rstrip(".")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_text(self, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self, formatter)


def write_text(command: click.Command, formatter: click.HelpFormatter) -> None:
    """The paragraphs of *command*'s page."""
    body, _ = parted(command.help or "")
    formatter.write_paragraph()
    formatter.write("".join(f"  {line}".rstrip() + "\n" for line in body.splitlines()))


def write_sections(command: click.Command, formatter: click.HelpFormatter) -> None:
    """The sections of *command*'s page."""
    _, sections = parted(command.help or "")
    for heading, lines in sections:
        formatter.write_paragraph()
        formatter.write(f"{heading}\n{lines}\n")


def write_commands(sections: Mapping[str, Sequence[click.Command]], formatter: click.HelpFormatter) -> None:
    """The list of commands, section by section, in one column."""
    widest = max(len(str(command.name)) for commands in sections.values() for command in commands)
    for heading, commands in sections.items():
        formatter.write_paragraph()
        formatter.write(f"{heading}:\n")
        for command in commands:
            formatter.write(f"  {command.name:{widest}}  {command.get_short_help_str()}\n")


def command(function: Callable[..., Any]) -> Command:
    """Make *function* a command."""
    return click.command(cls=Command, context_settings=CONTEXT)(function)
