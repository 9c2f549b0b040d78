"""What tests of `wasmguard test`, `run` and `inspect` have in common: bundles of hand-written guests."""

import os

import pytest

from tests.workshop.trying import MANIFEST


@pytest.fixture
def bundled(tmp_path, own_home, assembled):
    """Writes a bundle with a hand-written guest, a manifest and cases; returns its folder."""

    def write(guest, cases="", more="", name="tried", data=None):
        folder = tmp_path / name
        (folder / "cases").mkdir(parents=True, exist_ok=True)
        (folder / "policy.wasm").write_bytes(assembled(guest) if data is None else data)
        (folder / "manifest.toml").write_text(MANIFEST.format(name=name, more=more))
        if cases:
            (folder / "cases/all.toml").write_text(cases)
        for path in (folder / "policy.wasm", folder / "manifest.toml"):
            os.chmod(path, 0o644)
        return folder

    return write
