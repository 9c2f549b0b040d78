"""Which store: none is loaded before somebody remembers something, and no odd setting makes another one."""

import subprocess
import sys

import pytest

import wasmguard.state
from tests.state.turns import CONFIG, recall, slot
from wasmguard.errors import StateError
from wasmguard.state import exists, make, opened


def loaded(code):
    program = f"import sys; old = set(sys.modules); {code}; print(*set(sys.modules) - old)"
    return set(subprocess.check_output([sys.executable, "-Ic", program], text=True).split())


def test_opening_a_store_loads_no_store():
    modules = loaded("from wasmguard.state import opened; opened('/x', {'store': 'sqlite'})")
    assert {"wasmguard.state", "wasmguard.state.stores"} <= modules
    assert not {"_sqlite3", "sqlite3", "redis", "typing", "threading", "socket", "re"} & modules


def test_what_a_guard_needs_to_know_of_stores_is_light():
    modules = loaded("import wasmguard.state.interface, wasmguard.state.scope")
    assert not {"_sqlite3", "typing", "dataclasses", "re", "json", "pathlib", "contextlib", "hashlib"} & modules


def test_remembering_in_a_file_loads_nothing_heavy():
    modules = loaded("import wasmguard.state.sqlite")
    assert "_sqlite3" in modules
    assert not {"redis", "typing", "datetime", "threading", "dataclasses", "asyncio", "socket", "json", "re"} & modules


@pytest.mark.parametrize("store", ["", "SQLite", "file:///x", "memory", "redis:/x", None, 5])
def test_what_is_no_store_is_an_error_and_never_another_store(own_home, store):
    settings = {"store": store, "prefix": "wasmguard", "password_file": None}
    for act in (lambda: make(CONFIG, settings), lambda: exists(CONFIG, settings)):
        with pytest.raises(StateError, match=r"`state\.store` is"):
            act()
    opened_one = opened(CONFIG, settings)
    with pytest.raises(StateError, match=r"`state\.store` is"):
        opened_one.turn([slot()])
    opened_one.close()


@pytest.mark.parametrize(
    ("missing", "store", "advice"),
    [
        (("_sqlite3", "sqlite3"), "sqlite", "this Python has no SQLite"),
        (("redis",), "redis://127.0.0.1:1", r"`pip install 'wasmguard\[redis\]'`"),
    ],
)
def test_a_store_that_this_python_cannot_load_is_an_error(own_home, missing, store, advice, monkeypatch):
    families = ("wasmguard.state.sqlite", "wasmguard.state.redis", "redis.")
    for name in [name for name in sys.modules if name.startswith(families)]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(wasmguard.state, name.rpartition(".")[2], raising=False)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    settings = {"store": store, "prefix": "wasmguard", "password_file": None}
    for act in (
        lambda: recall(opened(CONFIG, settings)),
        lambda: make(CONFIG, settings),
        lambda: exists(CONFIG, settings),
    ):
        with pytest.raises(StateError, match=advice):
            act()


def test_a_store_that_is_closed_unused_opens_nothing(own_home):
    store = opened(CONFIG, {"store": "sqlite"})
    store.close()
    with pytest.raises(StateError, match="closed"):
        store.turn([slot()])
