"""What the tests of kits for core modules share: a project as `wasmguard new` makes it, built, asked, and read."""

import shutil
from pathlib import Path

import pytest
from msgpack import packb

from wasmguard.guest.codec import decode_answer, encode_settings, request
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.workshop.languages.language import ToolMissing

SOURCES = Path(__file__).parents[3] / "policies-src"


def project_of(language, folder):
    """A project in *language*, in the new folder *folder*."""
    shutil.copytree(SOURCES / "templates" / language.name, folder)
    shutil.copytree(SOURCES / "sdk" / language.name, folder / "kit")
    return folder


def built(language, project, work):
    """The module's bytes; the test is skipped where the compiler is missing."""
    work.mkdir()
    try:
        return language.compile(project, work).read_bytes()
    except ToolMissing as error:
        pytest.skip(str(error))


def guest_of(language, project, source, folder):
    """The policy *source* in *project*'s place, compiled in *folder* and ready to be asked."""
    asked = folder / "project"
    shutil.copytree(project, asked)
    (asked / language.mark).write_text(source, encoding="utf-8")
    engine = Engine(Library(find()), Setup(), 2)
    module = built(language, asked, folder / "work")
    return CoreGuest(engine, compiled(module, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)


def data(tool, given=None, settings=None, state=None, **more):
    """A request about a tool call."""
    event = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given or {}, **more}
    return request(packb(event), encode_settings(settings or {}), state)


def said(guest, *asked, **more):
    """What the guest answers to that."""
    return decode_answer(guest.evaluate(data(*asked, **more))[0])
