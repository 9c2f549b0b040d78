"""Commands of those who write policies: `new` and `build`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wasmguard.cli_desk import answer, json_option, tell
from wasmguard.cli_manual import command
from wasmguard.cli_usage import OneOf, Place
from wasmguard.errors import BuildError
from wasmguard.workshop.languages import LANGUAGES


@command
@click.argument("name", metavar="NAME")
@click.option("--lang", type=OneOf(tuple(LANGUAGES)), metavar="LANGUAGE", required=True, help="One of those below.")
@click.option("--into", type=Place("dir"), metavar="FOLDER", default=".", help="Where the folder NAME is made.")
def new(name: str, lang: str, into: str) -> None:
    """Begin a policy: a folder that builds at once.

    It holds a policy of 20 lines, its manifest, cases that say what it must
    answer, and the kit that it stands on, so it builds without anything else of
    wasmguard's source. One of the cases fails: making it green is your first
    change.

    Languages:
      rust            Rust
      c               C
      cpp             C++
      go              Go
      zig             Zig
      assemblyscript  AssemblyScript
      typescript      TypeScript
      javascript      JavaScript
      python          Python
      rego            Rego (Open Policy Agent)
      wat             WebAssembly text, which needs no toolchain

    Examples:
      wasmguard new no-etc --lang rust
      wasmguard new no-etc --lang wat --into ~/policies

    Exit codes:
      0  made
      1  there is something of that name, or it cannot be written
      2  wrong usage, or NAME is no name for a policy
    """
    from wasmguard.workshop.scaffold import new as make
    from wasmguard.workshop.scaffold import told

    language = LANGUAGES[lang]
    tell(told(make(name, language, Path(into)), language))


@command
@click.argument("path", type=Place("dir"), metavar="[PATH]", default=".")
@click.option("--into", type=Place("dir"), metavar="FOLDER", help="Where the bundle goes, if not to build/ in PATH.")
@click.option("--check", is_flag=True, help="Write nothing; tell whether a build gives the same bytes.")
@json_option
def build(path: str, into: str | None, check: bool, as_json: bool) -> None:
    """Make a policy of its source: one file that can be checked.

    PATH is a folder with a policy's source and its manifest.toml, by default the
    current one. Its language is known by its source file. The compiler is
    looked for in PATH, in $WASMGUARD_TOOLCHAINS and on $PATH; if it is missing,
    you are told what installs it.

    What the compiler made is freed of its imports and its debug information,
    gets the manifest built in, and is held against what a configuration would
    ask of it: so what is built here would load here. If anything fails, what
    was built before stays.

    With --check the bytes are compared with the bundle that is there; without
    one, the policy is built twice. Languages whose tools give other bytes each
    time are built, and not compared.

    Examples:
      wasmguard build
      wasmguard build ~/policies/no-etc --check
      wasmguard build --into /tmp/no-etc --json

    Exit codes:
      0  built; with --check: the same bytes, or not to be compared
      1  it cannot be built, and why; with --check: other bytes
      2  wrong usage

    Environment:
      WASMGUARD_TOOLCHAINS   compilers of their own, if not in
                             /opt/wasmguard-toolchains

    Files:
      build/policy.wasm     the policy, its manifest built in
      build/manifest.toml   the manifest once more, to be read
      build/sha256          the digest of policy.wasm
    """
    from wasmguard.workshop import build as work

    try:
        project = work.project_at(Path(path))
        built = work.build(project)
        folder = Path(into) if into else project.folder / work.BUILD
        if check:
            different = work.differs(built, folder) if project.language.reproducible else ""
            _tell_check(work.as_data(built, None), different, as_json=as_json)
            return
        work.write(built, folder)
    except BuildError as error:
        if error.said:
            click.echo(error.said.rstrip("\n"), err=True)
        raise
    if as_json:
        click.echo(json.dumps(work.as_data(built, folder)))
    else:
        tell(work.told(built, folder))


def _tell_check(built: dict[str, object], different: str, *, as_json: bool) -> None:
    """Whether the bytes are the same: an answer, but for languages that cannot give one."""
    name, same = built["name"], not different if built["reproducible"] else None
    if as_json:
        click.echo(json.dumps({**built, "same": same}))
    elif same is None:
        click.echo(f"{name}: built, and not to be compared: its tools give other bytes each time")
    else:
        click.echo(f"{name}: the same: {built['sha256']}" if same else f"{name}: other bytes: {different}")
    answer(yes=same is not False)
