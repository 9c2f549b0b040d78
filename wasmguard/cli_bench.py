"""The command that measures: `bench`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from wasmguard.cli_desk import INTERRUPTED, NO, config_option, json_option
from wasmguard.cli_manual import command
from wasmguard.cli_try import limits_option
from wasmguard.cli_usage import OneOf, Place, Whole
from wasmguard.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

PATHS = ("library", "cell", "serve", "daemon", "http", "native-client")
ALL = "all"


@command
@click.argument("subjects", type=Place(), metavar="[SUBJECT …]", nargs=-1)
@click.option("--events", type=Place(), metavar="EVENTS", default="builtin:mix", help="See Events below.")
@click.option(
    "--path", "paths", type=OneOf((*PATHS, ALL)), metavar="PATH", multiple=True, help="See Paths; may be repeated."
)
@click.option("--seconds", type=Whole(1, 3600), metavar="N", default=20, help="How long to measure.")
@click.option(
    "--rate", type=Whole(1, 1_000_000), metavar="N", help="N events a second, whether the last is done or not."
)
@click.option("--compare", is_flag=True, help="The two SUBJECTs are versions of one policy.")
@click.option("--peers", is_flag=True, help="Also what else is installed here, on the same events.")
@click.option("--adversarial", is_flag=True, help="Also inputs that an agent could craft.")
@click.option("--save", type=Place(), metavar="FILE", help="Keep the figures, to compare with.")
@click.option("--baseline", type=Place(), metavar="FILE", help="Compare with figures that were kept.")
@click.option("--check", is_flag=True, help="Exit 1 if something got worse than in --baseline.")
@click.option("--html", type=Place(), metavar="FILE", help="Also write a report, one page.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@limits_option
@config_option
@json_option
def bench(
    subjects: tuple[str, ...], as_json: bool, as_csv: bool, html: str | None, save: str | None, **given: Any
) -> None:
    """Measure what policies cost: time, fuel, memory.

    SUBJECT is a configuration, or any number of builtin:NAME, bundles, projects,
    modules, and names of policies in your configuration; by default it is your
    configuration, and without one the policies that come with wasmguard. Each
    policy is measured alone, and all of them as the chain that an event goes
    through. Yours are run in a home of their own: nothing that they remember,
    no daemon and no file of yours is touched.

    Fuel, memory and sizes are exact: the same on every machine with the same
    wasmtime. Times are taken in turns, so that noise hits all alike: `min` is the
    quiet machine, the median what you will see, with its 95 % interval.

    Paths:
      library        Guard.decide, policies in the same process
      cell           the same with policies in a jailed process (the default)
      serve          a hook process that decides itself, from spawn to exit
      daemon         the Python client and the daemon; and its round trip alone
      native-client  the native client and the daemon, from spawn to exit
      http           a URL of the daemon
      all            each of them, with the floors beside them

    Events:
      builtin:mix       recorded calls, one of each tool, and other events
      builtin:sizes     Writes from 0.5 kB to 5 MB
      builtin:rewrites  paths that are moved
      FILE, FOLDER      hook inputs as JSON, or JSON lines

    Examples:
      wasmguard bench
      wasmguard bench build/policy.wasm --events builtin:sizes
      wasmguard bench my.toml --path all --html report.html
      wasmguard bench builtin:tool-gate --save figures.json
      wasmguard bench builtin:tool-gate --baseline figures.json --check
      wasmguard bench old.wasm new.wasm --compare
      wasmguard bench --peers --path all
      wasmguard bench --adversarial --seconds 5

    Exit codes:
      0  measured; with --check: nothing got worse
      1  with --check: over 2 % more fuel, a new fault, or more time than noise
         explains; with --adversarial: an input that a policy did not stand; or
         it cannot be measured, or no policy is asked about any of the events
      2  wrong usage, or a baseline that cannot be compared with
      130  Ctrl-C; what was measured so far is printed
    """
    from wasmguard.workshop.bench.session import Wanted, run

    _fit(subjects, as_json=as_json, as_csv=as_csv, **given)
    chosen = given["paths"] or ("cell",)
    wanted = Wanted(
        subjects=subjects,
        config=given["config"],
        events=given["events"],
        paths=PATHS if ALL in chosen else tuple(path for path in PATHS if path in chosen),
        seconds=float(given["seconds"]),
        rate=float(given["rate"] or 0),
        profile=given["limits"] or "",
        compare=given["compare"],
        with_peers=given["peers"],
        with_adversarial=given["adversarial"],
        baseline=given["baseline"] or "",
        command=_said(),
    )
    from wasmguard.workshop.bench.progress import Progress
    from wasmguard.workshop.bench.report import Outputs

    outputs = Outputs(html=html or "", save=save or "")
    outputs.writable()
    with Progress() as progress:
        document = run(wanted, progress)
    try:
        outputs.write(document)
    finally:  # a full disk takes nobody's minute
        _tell(document, as_json=as_json, as_csv=as_csv)
    if save and not document["complete"]:
        click.echo(
            "wasmguard: interrupted: these figures are not kept, half a run is nothing to compare with", err=True
        )
    raise click.exceptions.Exit(_code(document, check=given["check"]))


def _tell(document: dict[str, Any], *, as_json: bool, as_csv: bool) -> None:
    """Print it, in the form that was asked for."""
    if as_json:
        click.echo(json.dumps(document))
    elif as_csv:
        from wasmguard.workshop.bench.sheet import sheet

        click.echo(sheet(document), nl=False)
    else:
        from wasmguard.workshop.bench.table import console_for, tell

        tell(document, console_for(sys.stdout))


def _fit(subjects: tuple[str, ...], **given: Any) -> None:
    """See that the options go together.

    Raises:
        UsageError: if not.
    """
    if given["as_json"] and given["as_csv"]:
        raise UsageError("`--json` and `--csv` are two outputs: write one of them")
    if given["check"] and not given["baseline"]:
        raise UsageError("`--check` needs something to compare with: write `--baseline FILE`, made with `--save FILE`")
    if given["compare"] and len(subjects) != 2:
        raise UsageError("`--compare` needs two SUBJECTs: the old version, then the new one")
    if given["rate"] and (given["baseline"] or given["compare"]):
        raise UsageError("`--rate` measures how long events wait, not what differs: leave it out, or the comparison")


def _code(document: dict[str, Any], *, check: bool) -> int:
    """The exit code."""
    if not document["complete"]:
        return INTERRUPTED
    if not any(row["kind"] in {"policy", "chain"} for row in document["rows"]):
        return NO
    held = document["check"] is None or document["check"]["ok"] or not check
    stood = all(entry["ok"] for entry in document["adversarial"] or ())
    return 0 if held and stood else NO


def _said() -> str:
    """The command line, for the report."""
    words = sys.argv[1:] if sys.argv[1:2] == ["bench"] else ["bench"]
    return shlex.join(["wasmguard", *words])
