"""The command line of a hook: the installed one, but for what makes it decide alone or ask."""

import os

import pytest

from wasmguard import link
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench.hook_line import HookLine, sockets_in

CONFIG = "/home/dev/wasmguard.toml"


@pytest.fixture(params=["", "/opt/wasmguard-client"], ids=["no native client", "native client"])
def native(request, monkeypatch):
    monkeypatch.setattr(hook_command, "native_client", lambda: request.param)
    return request.param


def test_its_parts_are_those_of_the_installed_one(native):
    line, socket = HookLine.installed(CONFIG), link.socket_of(CONFIG)
    whole = (*line.interpreter, *line.client, socket, *line.arguments)
    assert hook_command.command(CONFIG) == ((native, socket, *whole) if native else whole)
    assert line.native == ((native,) if native else ())
    assert line.client[0] == hook_command.STEP
    assert line.arguments[:2] == ("--config", CONFIG)


def test_one_that_decides_by_itself_has_the_name_of_a_socket_where_nobody_listens(native, tmp_path):
    line = HookLine.installed(CONFIG)
    alone = line.alone(str(tmp_path))
    assert [word for word in alone if word not in hook_command.command(CONFIG)] == [str(tmp_path / "nobody")]
    assert not os.path.lexists(tmp_path / "nobody")


def test_one_that_asks_could_not_decide_by_itself(native):
    asking = HookLine.installed(CONFIG).asking("/run/it")
    assert [word for word in asking if word not in hook_command.command(CONFIG)] == ["/run/it", f"{CONFIG}.not-there"]
    assert CONFIG not in asking


def test_the_native_client_gets_the_socket_and_what_it_becomes_without_a_daemon(monkeypatch):
    monkeypatch.setattr(hook_command, "native_client", lambda: "/opt/wasmguard-client")
    line = HookLine.installed(CONFIG)
    assert line.asking("/run/it", native=True) == ("/opt/wasmguard-client", "/run/it", *line.asking("/run/it"))


def test_a_socket_does_not_lie_where_its_path_would_be_too_long(tmp_path):
    (deep := tmp_path / ("x" * 90)).mkdir()
    with sockets_in(str(deep)) as folder:
        assert os.path.dirname(folder) == "/tmp"
    with sockets_in("/tmp") as folder:
        assert len(os.path.join(folder, "daemon~")) < link.LONGEST_PATH
