"""The table of languages in the documents says what the modules in `build/languages/` are."""

import re
import tomllib

import pytest

from benchmarks.languages import EVENT, HEAD, SHIPPED, TITLES, exact, place
from tests.languages.host import LANGUAGES, ROOT, answered, asked

DOCUMENTS = ["README.md", "policies-src/README.md"]
RATIOS = {"cpp": 1.5, "rust": 1.5, "zig": 1.5, "assemblyscript": 1.5, "go": 12, "typescript": 60, "python": 60}


def table(document):
    """The cells of each row, by its language."""
    text = (ROOT / document).read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line == "| " + " | ".join(HEAD) + " |"]
    assert len(heads) == 1, document
    rows = text.partition(heads[0])[2].strip().split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells}


def test_all_documents_show_the_same_table():
    first, *others = map(table, DOCUMENTS)
    assert set(first) == {TITLES[language] for language in (*LANGUAGES, SHIPPED)}
    assert all(other == first for other in others)


@pytest.mark.parametrize("language", [*LANGUAGES, SHIPPED])
def test_bytes_fuel_and_memory_are_those_of_the_module(language):
    size, fuel, memory = exact(language)
    assert table(DOCUMENTS[0])[TITLES[language]][:3] == [f"{size:,}", f"{fuel:,}", f"{memory // 1024:,} KiB"]


@pytest.mark.parametrize(("language", "most"), RATIOS.items())
def test_the_times_that_are_shown_keep_what_was_promised(language, most):
    """Times are not taken here: what `benchmarks/languages.py` printed stands in the table."""
    microseconds, ratio = table(DOCUMENTS[0])[TITLES[language]][3:]
    assert re.fullmatch(r"[\d,]+ \([\d,]+\)", microseconds)
    assert float(ratio) <= most


def test_the_event_of_the_table_is_one_that_is_moved():
    for language in LANGUAGES:
        assert answered(language, asked(EVENT))[0].rewrite == {"file_path": "/sandbox/home/dev/data/new.txt"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_manifest_says_its_language_and_otherwise_what_path_redirect_says(language):
    theirs, ours = (
        tomllib.loads((place(name) / "manifest.toml").read_text(encoding="utf-8")) for name in (language, SHIPPED)
    )
    assert theirs.pop("language") == language
    assert theirs.pop("limits", "default") == ("roomy" if language in ("typescript", "python") else "default")
    theirs.pop("reads", None)
    for name in ("language", "limits", "reads"):
        ours.pop(name)
    assert theirs == ours
