"""The client that this user runs, and whether it fails closed."""

import pytest

from wasmguard.errors import HostError
from wasmguard.workshop import claude_client


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Makes a client that runs *script*, and says in which environment it is found."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(script, folder="bin"):
        program = tmp_path / folder / "claude"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}/bin"}

    return make


@pytest.mark.parametrize("version", ["2.1.295", "2.1.330 (Claude Code)", "3.0.0"])
def test_a_client_that_is_new_enough_needs_no_word(client, version):
    assert list(claude_client.checked(client(f"echo '{version}'"))) == []


@pytest.mark.parametrize("version", ["2.1.294", "2.0.999", "1.0.0"])
def test_a_client_that_is_too_old_is_refused_and_told_what_is_needed(client, version):
    with pytest.raises(HostError, match=rf"is {version}, which lets calls go on.*2\.1\.295 or newer"):
        list(claude_client.checked(client(f"echo '{version} (Claude Code)'")))


@pytest.mark.parametrize("script", ["echo hello", "exit 1", "kill -9 $$", "exec sleep 20"])
def test_a_client_that_does_not_say_its_version_is_noted(client, monkeypatch, script):
    monkeypatch.setattr(claude_client, "TRIAL", 0.3)
    ((style, said),) = claude_client.checked(client(script))
    assert style == "note"
    assert "does not say its version" in " ".join(said.split())


def test_no_client_at_all_is_noted(client, tmp_path):
    ((style, said),) = claude_client.checked({"PATH": f"{tmp_path}/none"})
    assert (style, "no `claude` was found" in said) == ("note", True)


@pytest.mark.parametrize("folder", claude_client.USUAL)
def test_it_is_also_found_where_its_installer_puts_it(client, tmp_path, folder):
    client("echo 2.1.330", folder)
    assert claude_client.found({"PATH": ""}) == f"{tmp_path}/{folder}/claude"


def test_the_one_on_the_path_counts_first(client, tmp_path):
    client("echo 1.0.0", ".local/bin")
    assert claude_client.found(client("echo 2.1.330")) == f"{tmp_path}/bin/claude"
