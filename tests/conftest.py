"""What tests of several packages share."""

from functools import cache
from pathlib import Path

import pytest
import wasmtime

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture(scope="session")
def assembled():
    """The bytes of `tests/guests/<name>.wat`: `assembled("pass")`."""

    @cache
    def assemble(name):
        return bytes(wasmtime.wat2wasm((GUESTS / f"{name}.wat").read_text(encoding="utf-8")))

    return assemble
