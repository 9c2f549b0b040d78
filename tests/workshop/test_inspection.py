"""Any file can be looked at; what is told of it is what its bytes say, and what a host would say to it."""

import os

import pytest

from tests.workshop.trying import MANIFEST, asks
from wasmguard.errors import UsageError
from wasmguard.guest.sections import MANIFEST_SECTION, with_custom
from wasmguard.limits import HARD_MAX
from wasmguard.workshop.inspection import as_data, inspected, told
from wasmguard.workshop.subject import located


@pytest.fixture
def seen(tmp_path, own_home):
    """What is told of some bytes as a lone file, and the finding itself."""

    def look(data, **given):
        path = tmp_path / "x.wasm"
        path.write_bytes(data)
        path.chmod(0o644)
        found = inspected(located(str(path)), **given)
        return " ".join("\n".join(text for _, text in told(found)).split()), found

    return look


def test_a_bundle_is_shown_with_what_it_asks_for_and_its_fuel(bundled):
    cases = '[[case]]\nname = "x"\ntool = "Write"\neffect = "deny"\n'
    more = 'tools = ["Write"]\n' + asks(effects='["allow"]', state="{ max = 9 }")
    found = inspected(located(str(bundled("deny", cases, more=more))))
    text = " ".join("\n".join(line for _, line in told(found)).split())
    assert "imports none: nothing outside can be reached" in text
    assert "asks for to allow; to remember 9 bytes about each session" in text
    assert "over 1 case loads here yes, with the limits `default`" in text
    data = as_data(found)
    assert (data["loads"], data["abi"], data["manifest_is"]) == (True, "1", "beside it")
    assert data["manifest"]["name"] == "tried"


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0asm", b"\0asm\1\0\0\0\xff", b"MZ\x90\0", b"\x7fELF" + bytes(99), b"(module)", bytes(5000)]
)
def test_any_bytes_are_looked_at_and_do_not_load(seen, data):
    text, found = seen(data)
    assert found.refused == found.damaged
    assert text.endswith(" ".join(f"loads here no: {found.refused}".split()))
    assert as_data(found)["loads"] is False


def test_every_hand_written_guest_can_be_looked_at(seen, assembled):
    """The hostile ones that have a structure: nothing of them steers the terminal."""
    for name in ("escape_in_export_name", "escape_in_import_name", "names_acme", "imports_env", "imports_wasi"):
        text, found = seen(assembled(name))
        assert text.isprintable(), name
        assert found.shape, name
    assert "met by an inert stand-in" in seen(assembled("wasi_random"))[0]
    assert "met by an inert stand-in" not in seen(assembled("imports_env"))[0]
    assert "path_open" in seen(assembled("imports_wasi"))[1].refused
    assert seen(assembled("component_pass"))[1].shape.kind == "component"


def test_a_file_that_no_limit_allows_is_not_read(seen, tmp_path):
    path = tmp_path / "big.wasm"
    with open(path, "wb") as file:
        file.truncate(HARD_MAX.module + 1)
    path.chmod(0o644)
    found = inspected(located(str(path)))
    assert (found.sha256, found.size) == ("", HARD_MAX.module + 1)
    assert found.refused


def test_limits_may_be_tried(seen, assembled):
    assert seen(assembled("deny"), profile="tight")[1].limits == "tight"
    large = assembled("deny").replace(b"\5\3\1\0\1", b"\5\4\1\0\x80\4")  # 512 pages
    assert "(limit 16,777,216)" in seen(large)[1].refused
    assert not seen(large, profile="roomy")[1].refused


def test_a_manifest_that_is_built_in_is_found(seen, assembled, bundled):
    manifest = MANIFEST.format(name="inside", more="").encode()
    module = with_custom(assembled("deny"), MANIFEST_SECTION, manifest)
    text, found = seen(module)
    assert (found.manifest.name, found.carried) == ("inside", "built in")
    assert "wasmguard.manifest (" in text
    folder = bundled("", data=module, name="inside")
    assert inspected(located(str(folder))).carried == "built in, and the same beside it"
    (folder / "manifest.toml").write_bytes(manifest + b"#")
    found = inspected(located(str(folder)))
    assert "differs" in found.carried
    assert found.refused


def test_a_manifest_that_cannot_be_used_is_told(seen, assembled):
    for bad in (b"\xff", b"abi = 7\n", b"\x1b[2J"):
        text, found = seen(with_custom(assembled("deny"), MANIFEST_SECTION, bad))
        assert (found.manifest, text.isprintable()) == (None, True)
        assert found.carried.startswith("built in, and ")
        assert found.refused


def test_a_file_that_others_may_write_would_not_load(seen, assembled, tmp_path):
    seen(assembled("deny"))
    os.chmod(tmp_path / "x.wasm", 0o666)
    assert "open for writing to others" in inspected(located(str(tmp_path / "x.wasm"))).refused


def test_what_is_not_there_is_wrong_usage(tmp_path, own_home):
    (tmp_path / "manifest.toml").write_text("x")
    with pytest.raises(UsageError, match="build it first"):
        inspected(located(str(tmp_path)))
    with pytest.raises(UsageError, match="did you mean `builtin:budget`"):
        inspected(located("builtin:budgt"))


def test_a_pipe_is_not_waited_for(tmp_path, own_home):
    os.mkfifo(tmp_path / "policy.wasm")
    (tmp_path / "manifest.toml").write_text("x")
    from wasmguard.errors import BundleError

    with pytest.raises(BundleError, match="not a regular file"):
        inspected(located(str(tmp_path)))
