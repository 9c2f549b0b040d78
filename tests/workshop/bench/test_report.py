"""Files of a run: whole or not at all, where a person wants them, and refused before a minute is spent."""

import json
import os
from pathlib import Path

import pytest

from wasmguard.errors import UsageError
from wasmguard.workshop.bench.report import Outputs

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("option", ["save", "html"])
def test_a_link_stays_one_and_its_file_is_replaced(tmp_path, option):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    outputs = Outputs(**{option: str(link)})
    outputs.writable()
    outputs.write(SAMPLE)
    assert link.is_symlink()
    assert target.read_text() != "before"
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


@pytest.mark.parametrize("option", ["save", "html"])
@pytest.mark.parametrize("name", ["folder", "null", "pipe", "loop", "x" * 255, "nowhere/file", "dangling"])
def test_what_cannot_be_written_is_refused_at_once_and_left_as_it_is(tmp_path, option, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/file")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UsageError, match=f"`--{option} "):
        Outputs(**{option: str(tmp_path / name)}).writable()
    assert sorted(os.listdir(tmp_path)) == before


def test_looking_whether_it_can_be_written_leaves_nothing(tmp_path):
    Outputs(save=str(tmp_path / "a"), html=str(tmp_path / "b")).writable()
    assert not os.listdir(tmp_path)


def test_two_outputs_are_two_files(tmp_path):
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UsageError, match="are the same file"):
        Outputs(save=str(tmp_path / "a"), html=str(tmp_path / "b")).writable()


def test_figures_of_half_a_run_are_not_kept_and_its_page_is(tmp_path):
    outputs = Outputs(save=str(tmp_path / "a"), html=str(tmp_path / "b"))
    outputs.write({**SAMPLE, "complete": False})
    assert os.listdir(tmp_path) == ["b"]
