import builtins
import json
import sys
import types

import pytest

from tests.workshop.replay.happened import payload
from wasmguard.errors import UsageError
from wasmguard.workshop.replay import parquet


class Batch:
    def __init__(self, rows):
        self.to_pylist = lambda: rows


@pytest.fixture
def arrow(monkeypatch):
    """Stands for `pyarrow`, which is an extra: gives what its file was told to hold."""
    made, inner = types.ModuleType("pyarrow"), types.ModuleType("pyarrow.parquet")
    made.ArrowException = type("ArrowException", (Exception,), {})
    made.rows, made.asked = [], []

    class ParquetFile:
        def __init__(self, path):
            if made.rows is None:
                raise made.ArrowException("no magic bytes\nmore")
            self.schema_arrow = types.SimpleNamespace(names=list(made.rows[0]))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def iter_batches(self, batch_size):
            made.asked.append(batch_size)
            yield from (Batch(made.rows[:1]), Batch(made.rows[1:]))

    inner.ParquetFile = ParquetFile
    monkeypatch.setitem(sys.modules, "pyarrow", made)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", inner)
    return made


def read():
    return list(parquet.pasts("/d/f.parquet", "f.parquet"))


def test_a_row_is_an_event_and_its_columns_the_fields(arrow):
    arrow.rows = [payload("/1", extra=b"x", other=None), payload("/2", session="s2")]
    one, two = read()
    assert (one.where, two.where) == ("f.parquet:1", "f.parquet:2")
    assert one.event.fields == payload("/1", extra="b'x'")
    assert two.event.fields["session_id"] == "s2"
    assert arrow.asked == [parquet.BATCH]


def test_an_input_may_be_json_as_text(arrow):
    arrow.rows = [payload() | {"tool_input": '{"file_path": "/1"}'}, payload() | {"tool_input": "{broken"}]
    one, two = read()
    assert one.event.input == {"file_path": "/1"}
    assert two.event is None


def test_fields_that_a_struct_has_for_other_tools_are_not_there(arrow):
    arrow.rows = [payload() | {"tool_input": {"file_path": "/1", "command": None}}]
    assert read()[0].event.input == {"file_path": "/1"}


def test_a_file_without_the_column_is_a_wrong_usage(arrow):
    arrow.rows = [{"tool": "Write"}]
    with pytest.raises(UsageError, match="no column `hook_event_name`"):
        read()


def test_a_file_that_is_none_is_a_wrong_usage_on_one_line(arrow):
    arrow.rows = None
    with pytest.raises(UsageError, match="cannot be read as Parquet: no magic bytes: pass") as told:
        read()
    assert "\n" not in str(told.value)


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"pip install 'wasmguard\[parquet\]'"):
        read()


@pytest.mark.e2e
def test_files_that_arrow_wrote_are_read_as_structs_and_as_text(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not there")
    tables = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not there")
    events = [payload("/1"), payload("/2", session="s2") | {"tool_name": "Bash", "tool_input": {"command": "ls"}}]
    for name, rows in (
        ("structs", events),
        ("texts", [event | {"tool_input": json.dumps(event["tool_input"])} for event in events]),
    ):
        path = str(tmp_path / f"{name}.parquet")
        tables.write_table(arrow.Table.from_pylist(rows), path)
        assert [past.event.fields for past in parquet.pasts(path, name)] == events
