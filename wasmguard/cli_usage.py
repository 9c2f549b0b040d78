"""What a command line may say, and the one line that tells what is wrong with one.

1. What is wrong is an `errors.UsageError` like any other: lower case, the user's word in backticks, what to do.
2. What click finds by itself is told apart by its class. Its own words are the last resort.
3. A word that somebody mistyped is told with the nearest one that is known, else with all, or with where they stand.
"""

from __future__ import annotations

from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from wasmguard.errors import UsageError
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Choice = click.Choice[str]
    Kind = click.ParamType[Any]
else:
    Choice = click.Choice  # generic since click 8.2 only
    Kind = click.ParamType

LONGEST = 80  # characters of a user's word that are shown
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class OneOf(Choice):
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices:
            known = [str(choice) for choice in self.choices]
            raise UsageError(f"{said(param, value)} is not known: {nearest(value, known) or listed(known)}")
        return value


class Whole(Kind):
    """A whole number between two."""

    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else -1
        if not self.least <= number <= self.most:
            raise UsageError(f"{said(param, value)}: write a number from {self.least} to {self.most}")
        return number


class Time(Kind):
    """A time in seconds: `90s`, `30m`, `8h`, `1d`, or a plain number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        unit = SECONDS.get(value[-1:])
        number = value[:-1] if unit else value
        if not (number.isascii() and number.isdecimal() and len(number) < 7 and int(number)):
            raise UsageError(f"{said(param, value)} is no time: write a number with s, m, h or d, like `30m`")
        return float(int(number) * (unit or 1))


class Place(Kind):
    """A path, as it was typed. The shell completes it: a `file`, or a folder (`dir`)."""

    name = "path"

    def __init__(self, kind: str = "file") -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(incomplete, type=self.kind)]


def said(param: click.Parameter | None, value: object) -> str:
    """What the user wrote, the option with it."""
    word = one_line(str(value), LONGEST)
    if isinstance(param, click.Argument):
        return f"{param.name} `{word}`"
    return f"`{param.opts[0]} {word}`" if param else f"`{word}`"


def nearest(word: str, known: Iterable[str]) -> str:
    """What the user may have meant by *word*; empty if nothing of *known* looks like it."""
    alike = get_close_matches(word[:LONGEST], sorted(known), 1)
    return f"did you mean `{alike[0]}`?" if alike else ""


def listed(known: Iterable[str]) -> str:
    """What the user may write."""
    words = [f"`{word}`" for word in known]
    return f"write {words[0]}" if len(words) == 1 else f"write one of {', '.join(words)}"


def no_command(word: str, known: Iterable[str]) -> NoReturn:
    """Raises UsageError about a command that there is not."""
    raise UsageError(f"no command `{one_line(word, LONGEST)}`: {nearest(word, known) or 'see `wasmguard --help`'}")


def one_too_many(ctx: click.Context, word: str) -> NoReturn:
    """Raises UsageError about an argument that nobody asked for."""
    raise UsageError(f"`{ctx.command_path}` has no use for `{one_line(word, LONGEST)}`: {_see(ctx)}")


@contextmanager
def belongs_to(ctx: click.Context) -> Iterator[None]:
    """What is wrong meanwhile is wrong with the command of *ctx*: click does not always say so."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def sentence(error: click.UsageError) -> str:
    """What is wrong with the command line, as click found it."""
    ctx = error.ctx
    if ctx is None:
        return _plainly(error)
    path = ctx.command_path
    if isinstance(error, click.NoSuchOption):
        word = error.option_name
        known = [name for param in ctx.command.params if not getattr(param, "hidden", False) for name in param.opts]
        instead = nearest(word, known) or _behind(ctx, word) or _see(ctx)
        return f"`{path}` has no option `{one_line(word, LONGEST)}`: {instead}"
    if isinstance(error, click.BadOptionUsage):
        return f"`{path}`: {_odd_option(ctx, error.option_name)}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"`{path}` needs {_shown(error.param)}: {_instead(error.param) or _see(ctx)}"
    return f"`{path}`: {_plainly(error)}"


def _behind(ctx: click.Context, word: str) -> str:
    """Where an option belongs that a command of this group has."""
    commands = ctx.command.commands.values() if isinstance(ctx.command, click.Group) else ()
    known = any(word in param.opts for command in commands for param in command.params)
    return "write it behind the command" if known else ""


def _odd_option(ctx: click.Context, name: str) -> str:
    """An option without its value, or a switch with one."""
    option = next((param for param in ctx.command.params if name in param.opts), None)
    if isinstance(option, click.Option) and not option.is_flag:
        return f"`{name}` needs a value: write {_shown(option)}"
    return f"`{name}` takes no value: write it alone"


def _shown(param: click.Parameter) -> str:
    metavar = param.metavar or str(param.name).upper()
    return f"`{param.opts[0]} {metavar}`" if isinstance(param, click.Option) else f"`{metavar}`"


def _instead(param: click.Parameter) -> str:
    return listed(str(choice) for choice in param.type.choices) if isinstance(param.type, OneOf) else ""


def _see(ctx: click.Context) -> str:
    return f"see `{ctx.command_path} --help`"


def _plainly(error: click.UsageError) -> str:
    """click's own words, in our form."""
    text = one_line(error.format_message(), 4 * LONGEST).rstrip(".")
    return text[:1].lower() + text[1:]
