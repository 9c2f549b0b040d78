"""Python: a component with CPython in it, made by componentize-py.

What a project is built from: its `src/`, its kit, and the pure Python half of `msgpack`, which wasmguard depends on
itself. The half in C is left out: it cannot be loaded there, and its absence is what chooses the other.

The bytes differ at each build, in one folder too: the seed of the hashes is drawn when the interpreter starts and is
part of the memory that is kept, and componentize-py passes no environment in that could fix it. So what is checked is
what the module does, and its digest is that of the shipped file.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.guest.abi import WORLD
from wasmguard.workshop.languages.language import Language, run, tool

INSTALL = "install it with `python3 -m pip install componentize-py==0.25.1`"
APP = "wasmguard_app"  # of the kit
MSGPACK = ("__init__.py", "exceptions.py", "ext.py", "fallback.py")


def compile_python(project: Path, work: Path) -> Path:
    """The component of the project.

    Raises:
        BuildError: if the compiler is missing or refuses it.
    """
    componentize = tool("componentize-py", INSTALL)
    (work / "world.wit").write_text(WORLD, encoding="utf-8")
    left_out = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    for part in ("src", "kit"):
        shutil.copytree(project / part, work / part, ignore=left_out)
    _copy_msgpack(work / "deps/msgpack")
    module = work / "policy.wasm"
    command = [componentize, "-d", "world.wit", "-w", "policy", "componentize", "--stub-wasi", APP]
    # It would look for packages in the environment that is active, or else in that of the machine.
    (work / "nothing/lib/python3/site-packages").mkdir(parents=True)
    try:
        run([*command, "-p", "src", "-p", "kit", "-p", "deps", "-o", module], work, {"VIRTUAL_ENV": "nothing"})
    except BuildError as error:  # after the person's traceback comes one of its own
        raise BuildError(str(error), said=error.said.partition("\n\nCaused by:")[0].strip() + "\n") from None
    return module


def _copy_msgpack(to: Path) -> None:
    spec = find_spec("msgpack")
    if spec is None or not spec.origin:
        raise BuildError("`msgpack` has no source here: reinstall wasmguard")
    to.mkdir(parents=True)
    for name in MSGPACK:
        shutil.copyfile(Path(spec.origin).parent / name, to / name)


LANGUAGE = Language(
    name="python", title="Python", mark="src/policy.py", compile=compile_python, kit="python", reproducible=False
)
