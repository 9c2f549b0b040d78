"""The table `[record]`: what an owner may write there, and what the plan makes of it."""

import pytest

from wasmguard.config import load
from wasmguard.errors import ConfigError

POLICY = '[[policy]]\nname = "gate"\nmodule = "gate.wasm"\n'


@pytest.fixture
def planned(tmp_path):
    def load_text(text):
        (tmp_path / "wasmguard.toml").write_text(f"[record]\n{text}\n{POLICY}")
        return load(str(tmp_path / "wasmguard.toml")).record.planned()

    return load_text


def test_by_default_everything_is_recorded_without_secrets_for_a_quarter(planned):
    assert planned("") == {
        "on": True,
        "inputs": "redacted",
        "required": False,
        "largest": 64 * 2**10,
        "redact": [],
        "keep": 90,
        "size": 2**30,
        "segment": 64 * 2**20,
    }


def test_a_part_of_a_day_is_kept_as_a_whole_one(planned):
    assert planned('keep = "36 h"')["keep"] == 2


def test_it_is_plain_data_for_the_plan(planned):
    assert planned('redact = ["corp-[0-9a-f]{32}"]')["redact"] == ["corp-[0-9a-f]{32}"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('inputs = "some"', "inputs"),
        ('required = "yes"', "required"),
        ('keep = "20 y"', "keep"),
        ('keep = "40000 d"', "keep"),
        ('size = "2 TiB"', "size"),
        ('largest = "1 GiB"', "largest"),
        ('redact = ["("]', "redact"),
        ('redact = ["x*"]', "matches the empty text"),
        ('redact = ["(a+)+b"]', "repeats what repeats"),
        ('segment = "1 GiB"', "`segment` is more than half of `size`"),
        ('colour = "red"', "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(planned, text, why):
    with pytest.raises(ConfigError, match=why):
        planned(text)


def test_there_are_not_endlessly_many_expressions(planned):
    with pytest.raises(ConfigError, match="redact"):
        planned(f"redact = {[f'secret-{n}' for n in range(65)]}")
