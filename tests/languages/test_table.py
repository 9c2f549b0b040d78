"""The table of languages in the documents says what the modules in `build/languages/` are."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks.readme import EVENT, HEAD, SHIPPED, TITLES
from tests.languages.host import LANGUAGES, PLACES, REFERENCE, ROOT, bundle, guest
from wasmguard.agents import claude
from wasmguard.errors import GuestFault
from wasmguard.guest.bundle import builtin_dir
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.workshop.bench.exact import TIME

DOCUMENTS = ["README.md", "policies-src/README.md"]
RATIOS = {"C++": 1.5, "Rust": 1.5, "Zig": 1.5, "AssemblyScript": 1.5, "Go": 12, "TypeScript": 60, "Python": 60}
TITLE = {name: TITLES[f"build/languages/{name}"] for name in LANGUAGES} | {REFERENCE: TITLES[SHIPPED]}
PAGE = 64  # KiB
REBUILT = "WASMGUARD_LANGUAGES" in os.environ
EXACT = [name for name in TITLE if not (REBUILT and name in ("typescript", "python"))]
"""Those whose bytes are in the table: components differ from build to build."""


def table(document):
    """The cells of each row, by its language."""
    text = (ROOT / document).read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line == "| " + " | ".join(HEAD) + " |"]
    assert len(heads) == 1, document
    rows = text.partition(heads[0])[2].strip().split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells}


def number(cell):
    return int(cell.replace(",", "").removesuffix(" KiB"))


def asked(language):
    """The request about the event of the table, as the policy's host sends it."""
    manifest = bundle(language).manifest
    event = claude.from_mapping(json.loads((ROOT / EVENT).read_text(encoding="utf-8")), time=TIME)
    reads = None if manifest.reads is None else frozenset(manifest.reads)
    return request(encode_event(event, reads), encode_settings(manifest.settled({}, "settings")), None)


def test_all_documents_show_the_same_table():
    first, *others = map(table, DOCUMENTS)
    assert set(first) == set(TITLE.values())
    assert all(other == first for other in others)


@pytest.mark.parametrize("language", EXACT)
def test_bytes_and_fuel_are_those_of_the_module(language):
    size, fuel = map(number, table(DOCUMENTS[0])[TITLE[language]][:2])
    answer, burned = guest(language).evaluate(asked(language))
    assert (len(bundle(language).module), burned) == (size, fuel)
    assert decode_answer(answer).rewrite is None


@pytest.mark.parametrize("language", EXACT)
def test_the_memory_is_the_least_with_which_it_answers(language):
    memory = number(table(DOCUMENTS[0])[TITLE[language]][2])
    guest(language, memory * 1024).evaluate(asked(language))
    with pytest.raises(GuestFault):
        guest(language, (memory - PAGE) * 1024).evaluate(asked(language))


@pytest.mark.parametrize(("title", "most"), RATIOS.items())
def test_the_times_that_are_shown_keep_what_was_promised(title, most):
    """Times are not taken here: what `wasmguard bench` measured stands in the table."""
    microseconds, ratio = table(DOCUMENTS[0])[title][3:]
    assert re.fullmatch(r"[\d,]+ \([\d,]+\)", microseconds)
    assert float(ratio) <= most


def place(language):
    return Path(builtin_dir()) / "path-redirect" if language == REFERENCE else PLACES[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_manifest_says_its_language_and_otherwise_what_path_redirect_says(language):
    theirs, ours = (
        tomllib.loads((place(name) / "manifest.toml").read_text(encoding="utf-8")) for name in (language, REFERENCE)
    )
    assert theirs.pop("language") == language
    assert theirs.pop("limits", "default") == ("roomy" if language in ("typescript", "python") else "default")
    theirs.pop("reads", None)
    for name in ("language", "limits", "reads"):
        ours.pop(name)
    assert theirs == ours
