"""What the documents show is what happens: console blocks are run and compared, links and tables are looked up."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "SECURITY.md", "AGENTS.md", "CHANGELOG.md")]
VARIES = [(r"\d+ us", "N us"), (r"\d+\.\d\d s\b", "N s"), (r" {2,}", "  ")]  # times, and the columns they move


def blocks(path):
    """Every (command, expected output) of the `console` blocks."""
    for block in re.findall(r"```console\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more
            yield command, output.strip("\n")


SHOWN = [(path.name, command, output) for path in DOCUMENTS for command, output in blocks(path)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a command line in the project's folder, with `wasmguard` on the path and a home of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "wasmguard").write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m wasmguard "$@"\n'
    )
    (home / "wasmguard").chmod(0o755)
    environment = {"HOME": str(home), "PATH": f"{home}:{os.environ['PATH']}", "LANG": "C.UTF-8"}

    def run(command):
        done = subprocess.run(
            ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        return (done.stdout + done.stderr).strip("\n")

    return run


def settled(text):
    for pattern, constant in VARIES:
        text = re.sub(pattern, constant, text)
    return text


@pytest.mark.parametrize(("document", "command", "output"), SHOWN, ids=[f"{d}: {c[:40]}" for d, c, _ in SHOWN])
def test_console_blocks_show_what_happens(shell, document, command, output):
    assert settled(shell(command)) == settled(output)


def test_there_are_console_blocks_to_run():
    assert len(SHOWN) >= 4


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(r"`((?:wasmguard|tests|policies-src|benchmarks|build)/[\w./-]+)`", text)
    assert [name for name in links + paths if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_of_console_blocks_fit_eighty_columns(document):
    shown = "\n".join(re.findall(r"```console\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL))
    assert [line for line in shown.splitlines() if len(line) > 80 and not line.startswith(("$", "{"))] == []
