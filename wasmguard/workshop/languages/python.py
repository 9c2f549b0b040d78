"""Python: a component with CPython in it, made by componentize-py.

What a project is built from: its `src/`, its kit, and the pure Python half of `msgpack`, which wasmguard depends on
itself. The half in C is left out: it cannot be loaded there, and its absence is what chooses the other.

The bytes differ at each build, in one folder too: four of four builds did. Why is not established; the likely cause is
the seed of the hashes, which componentize-py has no option for. So what is checked is what the module does, and its
digest is that of the shipped file.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.guest.abi import WORLD
from wasmguard.workshop.languages.language import Language, copied, run, tool, with_pip

VERSION = "0.25.1"  # of policies-src/toolchains/requirements.txt, and of the template's
APP = "wasmguard_app"  # of the kit
PARTS = ("src", "kit", "deps")  # which its modules are looked for in
MSGPACK = ("__init__.py", "exceptions.py", "ext.py", "fallback.py")


def compile(project: Path, work: Path) -> Path:
    """The component of the project.

    Raises:
        BuildError: if the compiler is missing or refuses it.
    """
    componentize = tool("componentize-py", with_pip(f"componentize-py=={VERSION}"))
    (work / "world.wit").write_text(WORLD, encoding="utf-8")
    copied(project, work, "src", "kit", without=["__pycache__", "*.so", "*.pyd"])
    _copy_msgpack(work / "deps/msgpack")
    module = work / "policy.wasm"
    command = [componentize, "-d", "world.wit", "-w", "policy", "componentize", "--stub-wasi", APP]
    command += [word for part in PARTS for word in ("-p", part)]
    # It would look for packages in the environment that is active, or else in that of the machine.
    (work / "nothing/lib/python3/site-packages").mkdir(parents=True)
    try:
        run([*command, "-o", module], work, {"VIRTUAL_ENV": "nothing"})
    except BuildError as error:
        raise BuildError(str(error), said=_traceback(error.said)) from None
    return module


def _traceback(said: str) -> str:
    """The traceback of the policy: around it is one of the compiler, and its folders have numbers there."""
    own = said.partition("AssertionError: ")[2] or said
    own = own.partition("\n\nCaused by:")[0].strip() + "\n"
    for number, part in enumerate(PARTS):
        own = own.replace(f'"/{number}/', f'"{part}/').replace(f"(/{number}/", f"({part}/")
    return own


def _copy_msgpack(to: Path) -> None:
    spec = find_spec("msgpack")
    if spec is None or not spec.origin:
        raise BuildError("`msgpack` has no source here: reinstall wasmguard")
    to.mkdir(parents=True)
    for name in MSGPACK:
        shutil.copyfile(Path(spec.origin).parent / name, to / name)


LANGUAGE = Language(
    name="python", title="Python", mark="src/policy.py", compile=compile, kit="python", reproducible=False
)
