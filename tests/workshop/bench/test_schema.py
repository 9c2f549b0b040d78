"""The schema is closed, explains each key, and tells a document from what is none."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from wasmguard.workshop.bench.schema import schema

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(schema())


def shortened(part):
    """*part*, of each list of objects or pairs only the first."""
    if isinstance(part, dict):
        return {key: shortened(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [shortened(inner) for inner in (part[:1] if part and isinstance(part[0], (dict, list)) else part)]
    return part


SHORT = shortened(SAMPLE)


@pytest.fixture
def document():
    return copy.deepcopy(SHORT)


def objects(part, where="#"):
    """Every schema in *part*, and where it stands."""
    if isinstance(part, dict):
        if "type" in part or "enum" in part or "const" in part or "anyOf" in part:
            yield where, part
        for key, inner in part.items():
            yield from objects(inner, f"{where}/{key}")
    elif isinstance(part, list):
        for place, inner in enumerate(part):
            yield from objects(inner, f"{where}/{place}")


def places(part, way=()):
    """The ways to every object in a document; of a list, to its first."""
    if isinstance(part, dict):
        yield way
        for key, inner in part.items():
            yield from places(inner, (*way, key))
    elif isinstance(part, list) and part:
        yield from places(part[0], (*way, 0))


def at(document, way):
    for step in way:
        document = document[step]
    return document


WAYS = list(places(SHORT))
KEYS = [(*way, key) for way in WAYS for key in at(SHORT, way)]


def test_the_sample_is_a_document():
    Draft202012Validator.check_schema(schema())
    VALIDATOR.validate(SAMPLE)
    VALIDATOR.validate(SHORT)


def test_a_run_that_was_interrupted_at_once_is_a_document(document):
    document |= {"complete": False, "policies": [], "rows": [], "missing": []}
    document |= dict.fromkeys(("measuring", "sizes", "check", "compare", "adversarial"))
    VALIDATOR.validate(document)


def test_every_object_is_closed_and_needs_all_of_its_keys():
    found = [(where, one) for where, one in objects(schema()) if one.get("type") == "object"]
    assert len(found) > 20
    for where, one in found:
        assert one["additionalProperties"] is False, where
        assert one["required"] == list(one["properties"]), where


def test_every_key_is_explained():
    for where, one in objects(schema()):
        for key, inner in one.get("properties", {}).items():
            assert inner.get("description") or "$ref" in inner, f"{where}/{key}"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "/".join(map(str, way)) or "document")
def test_an_unknown_key_is_refused(document, way):
    at(document, way)["new"] = 1
    assert not VALIDATOR.is_valid(document)


def test_a_missing_key_is_refused(document):
    for *way, key in KEYS:
        holder = at(document, way)
        had = holder.pop(key)
        assert not VALIDATOR.is_valid(document), (way, key)
        holder[key] = had


def test_a_value_of_another_type_is_refused(document):
    for *way, key in KEYS:
        holder = at(document, way)
        had = holder[key]
        if had is not None:  # a text may stand in its place
            holder[key] = 1 if isinstance(had, str) else "1"
            assert not VALIDATOR.is_valid(document), (way, key)
            holder[key] = had


@pytest.mark.parametrize("value", [-1, float("-inf"), "1", None, True])
def test_a_time_is_a_number(document, value):
    document["rows"][0]["median"] = value
    assert not VALIDATOR.is_valid(document)


def test_whoever_asks_gets_a_schema_of_their_own():
    schema()["properties"].clear()
    assert schema()["properties"]
