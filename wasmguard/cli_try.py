"""Commands that try a policy: `test`, `run` and `inspect`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from wasmguard.cli_desk import answer, json_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_usage import OneOf, Place
from wasmguard.errors import BuildError, UsageError, WasmguardError
from wasmguard.limits import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wasmguard.workshop.exam import Report
    from wasmguard.workshop.subject import Subject


def limits_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--limits PROFILE`, instead of what the manifest names."""
    return click.option(
        "--limits",
        type=OneOf(tuple(PROFILES)),
        metavar="PROFILE",
        help="tight, default or roomy, if not as its manifest says.",
    )(function)


@command
@click.argument("path", type=Place(), metavar="[PATH]", default=".")
@click.option("--cases", type=Place("dir"), metavar="FOLDER", help="Where its cases are, if not beside it.")
@click.option("-k", "words", metavar="WORDS", help="Only cases with all of these in their name or file.")
@click.option("--strict", is_flag=True, help="Notes fail, too: what no case touches, for one.")
@click.option("--no-build", is_flag=True, help="Test what was built, even if the sources are newer.")
@click.option("--junit", type=Place(), metavar="FILE", help="Also write the report as JUnit XML.")
@click.option("--watch", is_flag=True, help="Test again after every change, until Ctrl-C.")
@json_option
def test(path: str, watch: bool, **given: Any) -> None:
    """Hold a policy against its cases.

    PATH is a policy's project (it is built first if its sources are newer), a
    folder with policy.wasm and manifest.toml, a module, or builtin:NAME; by
    default the current folder. Its cases are in cases/*.toml there.

    Besides its cases, what must hold for every policy is tried: the same
    request has the same answer, a malformed one is never answered, nothing is
    used that the manifest does not ask for. Events, tools and effects that no
    case touches are told.

    Building runs the project's compiler, and whatever its source makes that do,
    as you: for a project that is not yours say --no-build.

    Cases:
      [[case]]
      name = "a write below the folder is denied"
      tool = "Write"                        # a PreToolUse; or a whole `event`
      input = { file_path = "/etc/x", content = "" }
      settings = { folder = "/etc" }        # defaults are in the manifest
      effect = "deny"                       # pass, allow, ask, deny, trap
      reason = "is in /etc"                 # what the reason contains

      [[case]]
      name = "other folders are left alone"
      tool = "Write"
      input = { file_path = "/tmp/x", content = "" }
      quiet = true                          # it passes and says nothing

      Other keys: rewrite = { file_path = "/sandbox/x" }, output, interrupt and
      permissions are what it answers, exactly; context = "text" and
      notes = ["text"] are contained; reason_matches is a regular expression.
      For a policy that remembers: before = [one event, another], state (in
      hexadecimal), remembers = true.

    Examples:
      wasmguard test
      wasmguard test ~/policies/no-etc -k "left alone"
      wasmguard test build/no-etc --cases cases --junit report.xml
      wasmguard test --watch

    Exit codes:
      0  every case and property holds
      1  some do not, or the policy cannot be built or loaded
      2  wrong usage
      130  Ctrl-C
    """
    from wasmguard.workshop.subject import located

    subject = located(path, given.pop("cases") or "")
    if not watch:
        answer(yes=_tested(subject, **given))
        return
    from wasmguard.workshop.watch import changes

    for _ in changes(subject):
        try:
            _tested(subject, **given)
        except WasmguardError as error:  # an author in the middle of a line: the next change may be right
            click.echo(f"wasmguard: {error}", err=True)
        if not given["as_json"]:
            click.echo("waiting for a change, Ctrl-C ends\n")


@command
@click.argument("file", type=Place(), metavar="FILE")
@click.option("--event", metavar="EVENT", help="A file, - for standard input, or a recorded event's name.")
@click.option("--tool", metavar="TOOL", help="Instead: a PreToolUse of this tool,")
@click.option("--input", metavar="JSON", help="with this input.")
@click.option("--settings", metavar="JSON", help="What its owner set.")
@click.option("--state", metavar="HEX", help="What it remembers, as an earlier run printed it.")
@limits_option
@json_option
def run(file: str, as_json: bool, **given: Any) -> None:
    """Ask a policy about one event, and show everything.

    What is sent, the answer with what it changes, its notes and its fuel; then
    what a host makes of it that gives all the grants that the manifest asks for,
    and one that gives none. FILE is a module, a bundle's folder, a project, or
    builtin:NAME. Nothing is built: see `wasmguard build`.

    Recorded events:
      PreToolUse.Bash, PreToolUse.Read, PreToolUse.Write

    Examples:
      wasmguard run builtin:path-redirect --event PreToolUse.Write
      wasmguard run . --tool Write --input '{"file_path": "/etc/x"}'
      wasmguard run build/policy.wasm --event - < event.json

    Exit codes:
      0  it answered
      1  it did not, or would not load, and why
      2  wrong usage
    """
    from wasmguard.workshop import one_event
    from wasmguard.workshop.subject import located

    subject, tool, event = located(file), given["tool"], given["event"]
    if bool(event) == bool(tool) or (given["input"] and not tool):
        raise UsageError("`wasmguard run` is about one event: write `--event EVENT`, or `--tool TOOL --input JSON`")
    called_with = one_event.object_in(given["input"] or "{}", "--input")
    asked = one_event.made_event(tool, called_with) if tool else one_event.read_event(event)
    settings = one_event.object_in(given["settings"] or "{}", "--settings")
    state = one_event.state_in(given["state"]) if given["state"] else None
    trace = one_event.traced(subject.reference, asked, settings, state, given["limits"] or "")
    if as_json:
        click.echo(json.dumps(one_event.as_data(trace)))
    else:
        tell(one_event.told(trace))
    answer(yes=trace.said.answer is not None)


@command
@click.argument("file", type=Place(), metavar="FILE")
@limits_option
@json_option
def inspect(file: str, limits: str | None, as_json: bool) -> None:
    """Show what a module is, and whether it would load here.

    Its imports and exports, memory, digest, manifest and what that asks for,
    as its bytes say; then whether a configuration would take it on this
    machine, and why not. Any file can be looked at. FILE is a module, a
    bundle's folder, a project, or builtin:NAME. If its cases are there, their
    fuel is told.

    Examples:
      wasmguard inspect builtin:path-redirect
      wasmguard inspect build/policy.wasm --limits tight
      wasmguard inspect policy.wasm --json

    Exit codes:
      0  it would load
      1  it would not, and why
      2  wrong usage, or there is no such file
    """
    from wasmguard.workshop import inspection
    from wasmguard.workshop.subject import located

    found = inspection.inspected(located(file), limits or "")
    if as_json:
        click.echo(json.dumps(inspection.as_data(found)))
    else:
        tell(inspection.told(found))
    answer(yes=not found.refused)


def _tested(subject: Subject, *, strict: bool, as_json: bool, **given: Any) -> bool:
    """Test once and tell; whether nothing failed."""
    from wasmguard.workshop import exam

    try:
        notes = exam.brought_up_to_date(subject, may_build=not given["no_build"])
    except BuildError as error:
        if error.said:
            click.echo(error.said.rstrip("\n"), err=True)
        raise
    report = exam.examined(subject, given["words"] or "", notes=notes)
    _tell(report, strict=strict, as_json=as_json)
    if given["junit"]:
        from wasmguard.workshop.junit import written

        written(report, given["junit"])
    return report.ok(strict=strict)


def _tell(report: Report, *, strict: bool, as_json: bool) -> None:
    from wasmguard.workshop import exam

    if as_json:
        click.echo(json.dumps(exam.as_data(report, strict=strict)))
    else:
        tell(exam.told(report, strict=strict))
