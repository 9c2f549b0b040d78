"""One policy in every language: the modules of `build/languages/`, and one host that asks all of them.

`WASMGUARD_LANGUAGES` names another folder, for modules that were just rebuilt.
"""

import json
import os
import tomllib
from functools import cache
from pathlib import Path

from wasmguard.errors import GuestFault
from wasmguard.event import Event
from wasmguard.guest.bundle import builtin_dir, open_bundle
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.limits import HARD_MAX, PROFILES
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.spec import Spec

ROOT = Path(__file__).parents[2]
BUILT = Path(os.environ.get("WASMGUARD_LANGUAGES", Path(builtin_dir()) / "languages"))
REFERENCE = "reference"
"""`build/path-redirect`, which all of them must agree with."""

POLICY = "path-redirect"
PLACES = {path.parent.name: path.parent for path in sorted(BUILT.glob("*/manifest.toml"))}
NAMES = {
    name: tomllib.loads((place / "manifest.toml").read_text(encoding="utf-8"))["name"] for name, place in PLACES.items()
}
LANGUAGES = sorted(name for name in PLACES if NAMES[name] == POLICY)
"""Those in which there is the one policy; a folder may also hold something else, as Rego's does."""

CASES = [
    case
    for path in sorted((ROOT / "policies-src" / POLICY / "cases").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]
RECORDED = [
    json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "tests" / "wire" / "claude").glob("*/*.json"))
    if "lone_surrogate" not in path.name  # it is refused before any policy is asked
]


@cache
def bundle(language):
    """The files of one of them."""
    place = Path(builtin_dir()) / POLICY if language == REFERENCE else PLACES[language]
    return open_bundle(str(place), "/", HARD_MAX.module)


def limits(language):
    """What it says that it needs; time to spare, so that fuel fires first on a busy machine, too."""
    return PROFILES[bundle(language).manifest.limits].replaced(clock=HARD_MAX.clock, compile_cpu=120, compile_wall=180)


@cache
def code(language):
    """Its native code, and what engines for it are like."""
    opened, most = bundle(language), limits(language)
    kind = "component" if opened.module[4] == 13 else "core"
    setup = Setup(kind=kind, reservation=most.memory, stack=most.stack)
    return compiled(opened.module, setup, most), setup


@cache
def guest(language, memory=None):
    """It, ready to be asked; with so many bytes of memory instead of what its profile gives."""
    (native, setup), most = code(language), limits(language)
    most = most if memory is None else most.replaced(memory=memory)
    cell = Cell(find(), {setup.kind: setup}, 2, portable=False)
    return cell.load(Spec(kind=setup.kind, limits=most, answer=most.answer), [native])


def asked(fields, settings=None):
    """The request about an event, as a host sends it that was told nothing about settings."""
    event = Event(name=fields["hook_event_name"], agent="claude", fields=fields, time=fields.get("time", 0))
    return request(encode_event(event, None), encode_settings(settings or {}), None)


def answered(language, data):
    """What it answers, and the fuel that it took; the word `fault` and None if it gives no answer that counts."""
    try:
        answer, fuel = guest(language).evaluate(data)
        return decode_answer(answer), fuel
    except GuestFault:
        return "fault", None
