"""Commands that show and prove what wasmguard does."""

from __future__ import annotations

import click

from wasmguard.cli_desk import answer, config_option, json_option, tell
from wasmguard.cli_manual import command


@command
def demo() -> None:
    """Show three recorded tool calls being decided.

    One is denied, one rewritten, one passes. It needs no agent, no
    configuration and no network, and leaves nothing behind.

    Examples:
      wasmguard demo

    Exit codes:
      0  shown
      1  policies cannot run here, and why
      2  wrong usage
    """
    from wasmguard.workshop.demo import demonstration

    tell(demonstration())


@command
@config_option
@click.option("--real", is_flag=True, help="Also let the agent itself make calls, offline.")
@json_option
def doctor(config: str | None, real: bool, as_json: bool) -> None:
    """Prove that the guard is there: ask it as the agent would.

    Made-up events go through every hook that is installed, exactly as the agent
    sends them: what must be denied has to be denied, what must be rewritten has
    to be rewritten. It also reads the settings of all scopes for what could
    switch the hooks off, and tells what isolation this machine gives and what a
    call costs. Each finding says what to do about it.

    With --real the agent's own program makes calls, too, in a folder that is
    thrown away afterwards. Its model is made up and on this machine: nothing is
    sent anywhere.

    Marks:
      ok     as it should be
      note   worth a look
      wrong  the agent may do what it should not, or the guard does not work

    Examples:
      wasmguard doctor
      wasmguard doctor --real
      wasmguard doctor --json > doctor.json    # for CI

    Exit codes:
      0  nothing is wrong
      1  something is
      2  wrong usage
    """
    from wasmguard.workshop.doctor import findings
    from wasmguard.workshop.finding import WRONG, report
    from wasmguard.workshop.finding import as_json as written

    if as_json:
        found = list(findings(config, real=real))
        click.echo(written(found))
        answer(yes=all(one.mark != WRONG for one in found))
    else:
        answer(yes=WRONG not in tell(report(findings(config, real=real))))


@command
def selftest() -> None:
    """Attack this machine with hostile policies; tell what held.

    Policies that loop, eat memory, lie about where their answer is, forge
    reasons or try to reach files and the network are run as yours would be. It
    takes half a minute, and touches no file of yours.

    Examples:
      wasmguard selftest

    Exit codes:
      0  everything held
      1  something did not
      2  wrong usage
    """
    from wasmguard.workshop.selftest import selftest as attacked

    answer(yes="deny" not in tell(attacked()))
