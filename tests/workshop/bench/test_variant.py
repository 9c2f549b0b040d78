"""The words of a run are the same wherever they are written."""

import json

from wasmguard import cli_bench
from wasmguard.workshop.bench import page_bars, table_figures, variant, words
from wasmguard.workshop.bench.schema import schema


def test_the_command_and_the_headline_know_all_paths():
    assert cli_bench.PATHS == variant.PATHS  # the command does not import it to say its help
    assert sorted(words.TOLD_FIRST) == sorted(variant.PATHS)


def test_each_part_of_a_decision_has_a_letter_of_its_own():
    assert len(set(table_figures.LETTERS)) == len(set(page_bars.LETTERS)) == len(variant.PARTS)


def test_the_kinds_are_those_of_the_document():
    text = json.dumps(schema())
    assert all(f'"{kind}"' in text for kind in (variant.POLICY, variant.CHAIN, variant.FLOOR, *variant.BESIDE))


def test_a_variant_is_called_by_its_path_and_its_subject():
    one = variant.Variant(path="cell", subject="tool-gate", kind="policy", events=(), ask=lambda _place: None)
    assert one.id == "cell/tool-gate"
