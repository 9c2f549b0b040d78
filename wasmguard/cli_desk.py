"""The front desk: what every command has in common.

1. Exit codes: 0 as asked; 1 the answer is no, or it could not be done; 2 wrong usage (and a block, of `serve`); 130
   interrupted by the user; 141 nobody reads the output any more. The last two are what a shell would say.
2. An error of ours is one line (of a configuration, one for each problem) on standard error: `wasmguard: …`.
3. A pipe that closes and Ctrl-C end a command without a word.
4. Colour only at a terminal, and not with `NO_COLOR` (no-color.org) or `TERM=dumb`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from wasmguard.cli_manual import CONTEXT, write_commands, write_sections, write_text
from wasmguard.cli_usage import Place, belongs_to, no_command, sentence
from wasmguard.errors import UsageError, WasmguardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

NAME = "wasmguard"
WIDTH = 80  # columns
NO, USAGE, INTERRUPTED, UNREAD = 1, 2, 130, 141  # exit codes; the last two are 128 + SIGINT and 128 + SIGPIPE
STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "deny": {"fg": "red", "bold": True},
    "rewrite": {"fg": "yellow", "bold": True},
    "pass": {"fg": "green", "bold": True},
    "old": {"fg": "red"},
    "new": {"fg": "green"},
    "plain": {},
    "ok": {},
    "note": {"fg": "yellow"},
    "wrong": {"fg": "red", "bold": True},
}


class FrontDesk(click.Group):
    """All commands, and how each of them ends."""

    def __init__(self, name: str, *, sections: Mapping[str, Sequence[click.Command]], **given: Any) -> None:
        commands = [command for listed in sections.values() for command in listed]
        super().__init__(name, commands, context_settings=CONTEXT, **given)
        self.sections = sections

    def main(self, args: Sequence[str] | None = None, *_: Any, standalone_mode: bool = True, **given: Any) -> Any:
        given["prog_name"] = NAME  # however it was called: `python -m wasmguard` too
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            given["color"] = False
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **given)
        sys.exit(self._code(args, given))

    def make_context(self, *args: Any, **given: Any) -> click.Context:
        with _ends_with_its_pipe():  # `--help` and `--version` print from there
            return super().make_context(*args, **given)

    def invoke(self, ctx: click.Context) -> Any:
        with _ends_with_its_pipe():
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        with belongs_to(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            no_command(args[0], self.commands)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_text(self, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_commands(self.sections, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self, formatter)

    def _code(self, args: Sequence[str] | None, given: dict[str, Any]) -> int:
        """The exit code, after everything is said."""
        try:
            code = super().main(args, standalone_mode=False, **given)
        except click.UsageError as error:
            return _refused(sentence(error), USAGE)
        except WasmguardError as error:
            return _refused(str(error), USAGE if isinstance(error, UsageError) else NO)
        except OSError as error:
            about = f"`{error.filename}`: " if error.filename else ""
            return _refused(f"{about}{(error.strerror or type(error).__name__).lower()}: repair that, then repeat", NO)
        except ImportError as error:
            return _refused(f"its installation is broken: cannot import `{error.name}`: reinstall it", NO)
        except (click.Abort, KeyboardInterrupt):
            return INTERRUPTED
        return code if isinstance(code, int) else 0


def tell(styled: Iterable[tuple[str, str]]) -> set[str]:
    """Print lines as they come, each in its style. Returns the styles that there were."""
    seen = set()
    for style, text in styled:
        look = STYLES[style]
        click.echo(click.style(text, **look) if look else text)  # a reset alone would be noise
        seen.add(style)
    return seen


def told(text: str) -> str:
    """*text* on lines that fit. Words stay whole: paths are copied."""
    return "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False))


def answer(*, yes: bool) -> None:
    """End with exit code 1 if the answer is no."""
    if not yes:
        raise click.exceptions.Exit(NO)


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--config PATH`, as every command has it."""
    return click.option(
        "--config",
        type=Place(),
        metavar="PATH",
        help="The configuration, if not the usual file (see `wasmguard --help`).",
    )(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")(function)


def _refused(why: str, code: int) -> int:
    with suppress(OSError):  # nobody listens any more
        for line in why.splitlines():
            click.echo(f"{NAME}: {line}", err=True)
    return code


@contextmanager
def _ends_with_its_pipe() -> Iterator[None]:
    """Whoever read the output has seen enough (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # what is not written yet must not fail once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(UNREAD) from None
