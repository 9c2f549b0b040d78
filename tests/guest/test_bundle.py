"""Which files of a policy are read, and which are not trusted."""

import errno
import hashlib
import os
import socket

import pytest

from wasmguard.errors import BundleError
from wasmguard.guest import bundle
from wasmguard.guest.bundle import builtin_dir, builtins, open_bundle
from wasmguard.guest.sections import MANIFEST_SECTION, with_custom

WASM = b"\0asm\x01\0\0\0 and so on"
MANIFEST = """\
abi = 1
name = "path-redirect"
version = "0.1.0"
summary = "Moves paths"
events = ["PreToolUse"]
"""
CAP = 100

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owner and mode mean something on POSIX only")


def written(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)
    return path


@pytest.fixture
def folder(tmp_path):
    """A policy as a folder."""
    written(tmp_path / "mine" / "policy.wasm", WASM)
    written(tmp_path / "mine" / "manifest.toml", MANIFEST.encode())
    return tmp_path / "mine"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A place for builtin policies, with one in it."""
    place = tmp_path / "builtin"
    monkeypatch.setattr(bundle, "builtin_dir", lambda: str(place))
    written(place / "path-redirect" / "policy.wasm", WASM)
    written(place / "path-redirect" / "manifest.toml", MANIFEST.encode())
    return place


def opened(reference, base="/nowhere", cap=CAP):
    return open_bundle(str(reference), str(base), cap)


def refused(reference, base="/nowhere", cap=CAP):
    """The refusal of *reference*, in one line."""
    with pytest.raises(BundleError) as caught:
        opened(reference, base, cap)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- finding


def test_a_folder_is_a_policy(folder):
    found = opened(folder)
    seen = (folder / "policy.wasm").stat()
    assert found.reference == str(folder)
    assert found.path == str(folder / "policy.wasm")
    assert found.module == WASM
    assert found.sha256 == hashlib.sha256(WASM).hexdigest()
    assert found.stat == (seen.st_size, seen.st_mtime_ns, seen.st_ino)
    assert found.manifest.name == "path-redirect"


def test_a_path_starts_at_the_configuration(folder):
    assert opened("mine", folder.parent).path == str(folder / "policy.wasm")
    assert opened("./mine/", folder.parent).path == str(folder / "policy.wasm")
    assert opened("../mine", folder).path == str(folder / "policy.wasm")


def test_a_tilde_is_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert opened("~/mine").path == str(folder / "policy.wasm")


def test_policy_wasm_brings_the_manifest_beside_it(folder):
    assert opened(folder / "policy.wasm") == opened(folder).replaced(reference=str(folder / "policy.wasm"))


def test_policy_wasm_alone_has_no_manifest(folder):
    (folder / "manifest.toml").unlink()
    assert opened(folder / "policy.wasm").manifest is None


def test_another_module_has_no_manifest_whatever_lies_beside_it(folder):
    written(folder / "other.wasm", WASM)
    assert opened(folder / "other.wasm").manifest is None


@pytest.mark.parametrize("name", ["policy.wasm", "manifest.toml"])
def test_a_folder_needs_both_files(folder, name):
    (folder / name).unlink()
    assert refused(folder) == (
        f"`{folder}`: no `{name}` in it: a policy's folder holds `policy.wasm` and `manifest.toml`"
    )


@pytest.mark.parametrize("reference", ["absent.wasm", "absent", "oci:registry/policy", "a\0b"])
def test_what_is_not_there_is_refused(tmp_path, reference):
    assert "no such file or folder: write a path, or `builtin:` and a name" in refused(reference, tmp_path)


# -- builtin policies


def test_a_builtin_policy_has_a_name(shipped):
    found = opened("builtin:path-redirect")
    assert found.reference == "builtin:path-redirect"
    assert found.path == str(shipped / "path-redirect" / "policy.wasm")
    assert found.manifest.name == "path-redirect"


def test_a_misspelt_builtin_policy_is_suggested(shipped):
    assert refused("builtin:path-redirct").endswith("comes with wasmguard: did you mean `path-redirect`?")


def test_an_unknown_builtin_policy_names_those_there_are(shipped):
    written(shipped / "tool-gate" / "policy.wasm", WASM)
    assert refused("builtin:zzz").endswith("comes with wasmguard: write one of `path-redirect`, `tool-gate`")


@pytest.mark.parametrize("name", ["", ".", "..", "../builtin/path-redirect", "path-redirect/", "/etc"])
def test_a_builtin_name_is_no_path(shipped, name):
    assert "no such policy comes with wasmguard" in refused(f"builtin:{name}")


def test_only_folders_with_a_module_are_builtin(shipped):
    written(shipped / "half" / "manifest.toml", b"")
    written(shipped / "README.md", b"")
    assert builtins() == ["path-redirect"]


def test_without_a_place_there_are_none(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "builtin_dir", lambda: str(tmp_path / "absent"))
    assert builtins() == []
    assert refused("builtin:a").endswith("comes with wasmguard: this copy has none at all: install it anew")


def test_builtin_policies_are_in_the_package_or_beside_it(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "__file__", str(tmp_path / "wasmguard" / "guest" / "bundle.py"))
    assert builtin_dir() == str(tmp_path / "build")
    (tmp_path / "wasmguard" / "builtin").mkdir(parents=True)
    assert builtin_dir() == str(tmp_path / "wasmguard" / "builtin")


def test_a_builtin_policy_has_the_bytes_that_its_digest_names(shipped):
    digest = hashlib.sha256(WASM).hexdigest()
    for text in (digest, f"{digest}\n", f"{digest}  policy.wasm\n"):
        written(shipped / "path-redirect" / "sha256", text.encode())
        assert opened("builtin:path-redirect").sha256 == digest


@pytest.mark.parametrize("text", [b"", b"\n", b"0" * 64, b"policy.wasm"])
def test_a_builtin_policy_with_other_bytes_is_refused(shipped, text):
    written(shipped / "path-redirect" / "sha256", text)
    assert "not the bytes that `sha256` beside it names" in refused("builtin:path-redirect")


def test_a_digest_beside_somebody_s_own_policy_says_nothing(folder):
    written(folder / "sha256", b"0" * 64)
    assert opened(folder).sha256 == hashlib.sha256(WASM).hexdigest()


@posix
def test_an_installer_chooses_owner_and_mode_of_builtin_policies(shipped):
    for name in ("policy.wasm", "manifest.toml"):
        (shipped / "path-redirect" / name).chmod(0o664)  # pip, where the umask is 002
    assert opened("builtin:path-redirect").module == WASM


# -- trust


@pytest.fixture(params=["policy.wasm", "manifest.toml"])
def file(request, folder):
    """One of the two files of a policy: the same rules hold for both."""
    return folder / request.param


def test_a_file_is_no_symlink(file, tmp_path):
    real = file.rename(tmp_path / "elsewhere")
    file.symlink_to(real)
    assert refused(file.parent) == f"`{file}`: a symlink: name the file that it points to"


def test_a_symlink_to_nowhere_is_a_symlink(file):
    file.unlink()
    file.symlink_to("absent")
    assert "a symlink" in refused(file.parent)


def test_a_folder_on_the_way_may_be_a_symlink(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert opened(tmp_path / "link").path == str(tmp_path / "link" / "policy.wasm")


@posix
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o777])
def test_a_file_that_others_may_write_is_refused(file, mode):
    file.chmod(mode)
    assert refused(file.parent) == f"`{file}`: open for writing to others (mode {mode:o}): `chmod go-w` it"


@posix
@pytest.mark.parametrize("mode", [0o400, 0o444, 0o600, 0o644, 0o755])
def test_a_file_that_others_may_read_is_fine(file, mode):
    file.chmod(mode)
    assert opened(file.parent).module == WASM


@posix
def test_a_file_of_somebody_else_s_is_refused(file, monkeypatch):
    me, owner = os.geteuid(), file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    if owner == 0:
        assert opened(file.parent).module == WASM  # root's files count for everybody
    else:
        assert f"belongs to user {owner}" in refused(file.parent)


@posix
def test_root_does_not_use_somebody_s_file(file):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(file, 12345, 0)
    assert refused(file.parent) == (f"`{file}`: belongs to user 12345: only your own files and root's count: copy it")


def test_a_folder_is_no_file(file):
    file.unlink()
    file.mkdir()
    assert "not a regular file" in refused(file.parent)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_holds_nobody_up(file):
    file.unlink()
    os.mkfifo(file, 0o600)
    assert "not a regular file" in refused(file.parent)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no sockets with names here")
def test_a_socket_is_no_file(folder, monkeypatch):
    monkeypatch.chdir(folder)  # the path of a socket has at most 108 bytes
    (folder / "policy.wasm").unlink()
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("policy.wasm")
        assert "cannot be read" in refused(folder)


def test_a_file_that_cannot_be_read_says_so(file, monkeypatch):
    opening = os.open

    def denied(path, *rest, **options):  # not by its mode: root reads everything
        if str(path) == str(file):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opening(path, *rest, **options)

    monkeypatch.setattr(os, "open", denied)
    assert refused(file.parent) == f"`{file}`: cannot be read: permission denied: make it readable"


def test_a_module_has_a_size(folder):
    assert opened(folder, cap=len(WASM)).module == WASM
    assert "more than 17 bytes: make it smaller" in refused(folder, cap=len(WASM) - 1)


def test_no_more_than_the_cap_is_read(folder, monkeypatch):
    os.truncate(folder / "policy.wasm", 2**40)  # a sparse file; reading it all would end this process
    assert "more than 100 bytes" in refused(folder)


def test_a_manifest_has_a_size(folder):
    written(folder / "manifest.toml", b"#" * 65_537)
    assert "more than 65_536 bytes" in refused(folder)


def test_a_bad_manifest_refuses_the_policy(folder):
    written(folder / "manifest.toml", b"abi = 2\n" + MANIFEST.encode().replace(b"abi = 1\n", b""))
    assert refused(folder) == f"{folder}/manifest.toml:1: `abi`: ABI `2` is not known: write `abi = 1`"


def test_a_manifest_is_utf8(folder):
    written(folder / "manifest.toml", MANIFEST.encode() + b'license = "\xff"')
    assert refused(folder) == f"{folder}/manifest.toml:6: not UTF-8: save the file as UTF-8"


def test_the_bytes_that_were_read_are_the_bytes_that_count(folder, monkeypatch):
    """Whoever swaps the file after it was opened swaps it for the next time."""
    real = os.fstat

    def swap(file):
        seen = real(file)
        if seen.st_size == len(WASM):
            os.replace(written(folder / "evil", b"evil"), folder / "policy.wasm")
        return seen

    monkeypatch.setattr(os, "fstat", swap)
    found = opened(folder)
    assert found.module == WASM
    assert found.sha256 == hashlib.sha256(WASM).hexdigest()
    assert (folder / "policy.wasm").read_bytes() == b"evil"


@pytest.mark.parametrize("reference", ["mine", "mine/policy.wasm", "absent", "builtin:none"])
def test_no_descriptor_is_left_open(folder, reference):
    (folder / "policy.wasm").chmod(0o666)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        refused(reference, folder.parent)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


CAP_INSIDE = 200_000


def carrying(*manifests):
    """A module with these manifests inside."""
    made = b"\0asm\x01\0\0\0"
    for text in manifests:
        made += with_custom(made[:8], MANIFEST_SECTION, text)[8:]
    return made


def test_a_module_may_carry_its_manifest(folder):
    alone = written(folder.parent / "alone.wasm", carrying(MANIFEST.encode()))
    found = opened(alone, cap=CAP_INSIDE)
    assert found.manifest == opened(folder, cap=CAP_INSIDE).manifest
    assert found.module == alone.read_bytes()


def test_a_manifest_inside_and_the_one_beside_it_are_the_same_bytes(folder):
    written(folder / "policy.wasm", carrying(MANIFEST.encode()))
    assert opened(folder, cap=CAP_INSIDE).manifest
    written(folder / "policy.wasm", carrying(MANIFEST.encode() + b"\n"))
    assert refused(folder, cap=CAP_INSIDE) == (
        f"`{folder}/manifest.toml`: not the manifest that is inside `policy.wasm`: build it again"
    )


def test_a_manifest_inside_is_hostile_too(folder):
    alone = folder.parent / "alone.wasm"
    written(alone, carrying(MANIFEST.encode().replace(b"abi = 1", b"abi = 2")))
    assert refused(alone, cap=CAP_INSIDE).startswith(f"{alone} (manifest):1: `abi`: ABI `2` is not known")
    written(alone, carrying(b"\xff"))
    assert refused(alone, cap=CAP_INSIDE) == f"{alone} (manifest):1: not UTF-8: save the file as UTF-8"
    written(alone, carrying(b"#" * 65_537))
    assert "more than 65536 bytes" in refused(alone, cap=CAP_INSIDE)
    written(alone, carrying(MANIFEST.encode(), MANIFEST.encode()))
    assert refused(alone, cap=CAP_INSIDE) == f"`{alone}`: has 2 custom sections `wasmguard.manifest`: build it again"
