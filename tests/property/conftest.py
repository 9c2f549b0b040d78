"""What the laws share: the fuzzer, and a compiler that is asked once."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from wasmguard.sandbox.compile import compiled

compiled_once = cache(compiled)


@pytest.fixture(autouse=True)
def _compiled_once(monkeypatch):
    """A compiler's child for each module of each test would take most of the time."""
    monkeypatch.setattr("wasmguard.lock.compiled", compiled_once)


@pytest.fixture(scope="session")
def fuzz():
    """`benchmarks/fuzz.py` as a module."""
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parents[2] / "benchmarks" / "fuzz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
