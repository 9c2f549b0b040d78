"""What travels to where guests run: native code and names, and no module that a hook process should not load."""

import subprocess
import sys
from pathlib import Path

import pytest

from wasmguard.sandbox.inert import Inert

ROOT = Path(__file__).parents[2]
LOADED = "import sys; old = set(sys.modules); import wasmguard.sandbox.inert; print(*sorted(set(sys.modules) - old))"


def test_it_holds_both_modules_and_the_imports_in_their_order():
    inert = Inert(shim=b"s", fixup=b"f", imports=("fd_write", "fd_close", "fd_write"))
    assert (inert.shim, inert.fixup, inert.imports) == (b"s", b"f", ("fd_write", "fd_close", "fd_write"))
    with pytest.raises(TypeError, match="missing"):
        Inert(shim=b"s", fixup=b"f")


def test_a_hook_process_loads_it_for_next_to_nothing():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=ROOT)
    expected = {"__future__", "wasmguard", "wasmguard.sandbox", "wasmguard.sandbox.inert", "wasmguard.value"}
    assert set(done.stdout.split()) - {"wasmguard.version"} <= expected
