"""The front desk: each command is its arguments, one call, and what is printed.

Exit codes: 0 as asked; 1 the answer is no; 2 wrong usage, and for `serve` a block.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from wasmguard import places
from wasmguard.errors import UsageError, WasmguardError
from wasmguard.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

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
WIDTH = 80  # columns


class FrontDesk(click.Group):
    """Says every error of ours in one line, and ends with 1, or with 2 where the usage was wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WasmguardError as error:
            for line in str(error).splitlines():
                click.echo(f"wasmguard: {line}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config PATH`, as every command has it."""
    return click.option(
        "--config",
        metavar="PATH",
        help="The configuration file. [default: $WASMGUARD_CONFIG, else wasmguard.toml in the user's config folder]",
    )(command)


def told(head: str, sentence: str) -> str:
    """*sentence* behind *head*, on lines that fit. Words stay whole: paths are copied."""
    lines = textwrap.wrap(sentence, WIDTH - len(head), break_on_hyphens=False, break_long_words=False)
    return head + ("\n" + " " * len(head)).join(lines)


@click.group(cls=FrontDesk, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="wasmguard")
def main() -> None:
    """A guard for AI coding agents.

    Untrusted policies, WebAssembly modules in any language, allow, ask, deny or rewrite what an agent is about to do.
    """


@main.command()
def demo() -> None:
    """Show three recorded tool calls being decided."""
    from wasmguard.workshop.demo import demonstration

    for style, text in demonstration():
        click.secho(text, **STYLES[style])


@main.command()
@config_option
def lock(config: str | None) -> None:
    """Check, compile and pin what the configuration names.

    Pins are written into the file as `sha256`: other bytes are refused until you lock again.
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


@main.command()
@config_option
def check(config: str | None) -> None:
    """Explain the configuration in words.

    Which policy is asked about what, with which grants, and what happens when it fails.
    """
    from wasmguard.workshop.check import explained

    for line in explained(places.config_file(config)):
        click.echo(line)


@main.command()
@config_option
def doctor(config: str | None) -> None:
    """Tell what isolation this machine gives, and what is wrong here.

    Exit code 1 if something is wrong.
    """
    from wasmguard.workshop.doctor import findings

    found = list(findings(config))
    for mark, about, sentence in found:
        click.secho(told(f"{mark:6}{about:15}", sentence), **STYLES[mark])
    if any(mark == "wrong" for mark, _, _ in found):
        raise click.exceptions.Exit(1)


@main.command()
def selftest() -> None:
    """Attack this machine with hostile policies, and tell what held.

    It takes half a minute. Exit code 1 if something did not hold.
    """
    from wasmguard.workshop.selftest import selftest as attacked

    held = True
    for style, text in attacked():
        click.secho(text, **STYLES[style])
        held = held and style != "deny"
    if not held:
        raise click.exceptions.Exit(1)


@main.command()
@click.option("--for", "duration", metavar="TIME", required=True, help="How long: 90s, 10m, 1h; at most 8h.")
def off(duration: str) -> None:
    """Let the agent do what it wants for a while, unjudged.

    Works only for you, at a terminal, and is recorded. `wasmguard on` ends it.
    """
    from wasmguard.workshop import off as switch

    click.echo(switch.off(duration))


@main.command()
def on() -> None:
    """End `wasmguard off` now."""
    from wasmguard.workshop import off as switch

    click.echo(switch.on())


@main.command()
def schema() -> None:
    """Print the JSON schema of wasmguard.toml, for editors."""
    from wasmguard.config import schema as written

    click.echo(json.dumps(written(), indent=2))


@main.command()
@config_option
def serve(config: str | None) -> None:
    """Answer one hook event: JSON on stdin, JSON on stdout.

    This is what an agent runs. Whatever goes wrong, the answer is a deny: in the event's own JSON with exit code 0, or,
    where the event cannot even be named, with exit code 2.
    """
    from wasmguard.serve import hook

    hook.main(["--config", config] if config else [])
