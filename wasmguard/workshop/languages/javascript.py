"""JavaScript and TypeScript: a component with QuickJS in it, made by esbuild and componentize-qjs.

esbuild makes one module of the policy, its kit and the msgpack library, which is looked for in the project's
`node_modules` and then among the toolchains. It strips types and does not check them, so the build of a project in
TypeScript runs `tsc` first where the project has one.

`--sync`: without it the component speaks the asynchronous ABI, which our engines refuse. `--disable-gc`: no instance
lives longer than one event. The smaller runtime (`--opt-size`) needs tail calls, which our engines refuse too.

The bytes differ at each build, in one folder too: the seeds that the runtime draws when it starts (of its hash tables,
and of `Math.random`) are part of the memory that is kept, and no option of componentize-qjs fixes them. So what is
checked is what the module does, and its digest is that of the shipped file.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.guest.abi import WORLD
from wasmguard.workshop.languages.language import Language, run, tool, toolchains

INSTALL = "run `npm install` in the project: its package.json names what it takes"
NODE = "install Node.js 20 or newer: `sudo apt-get install nodejs npm` (macOS: `brew install node`)"
MSGPACK = "@msgpack/msgpack"
SETTINGS = ("package.json", "tsconfig.json", "jsconfig.json")  # which esbuild reads
ENTRY = """\
import "./{mark}";
import {{ marked }} from "./kit/wasmguard.js";

export {{ evaluate }} from "./kit/wasmguard.js";

marked(); // throws at build time if there is no policy
"""


def compile_script(project: Path, work: Path, *, mark: str) -> Path:
    """The component of the project.

    Raises:
        BuildError: if a tool is missing or refuses it.
    """
    node = tool("node", NODE)
    environ = {"PATH": os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", os.defpath)])}
    _check_types(project, environ)
    libraries = [project / "node_modules", toolchains() / "node_modules"]
    if not any((library / MSGPACK).is_dir() for library in libraries):
        raise BuildError(f"`{MSGPACK}` is missing: {INSTALL}")
    bundle = _bundled(project, work, mark, environ | {"NODE_PATH": os.pathsep.join(map(str, libraries))})
    (work / "world.wit").write_text(WORLD, encoding="utf-8")
    module = work / "policy.wasm"
    command: list[str | Path] = [tool("componentize-qjs", INSTALL, project), "--wit", "world.wit", "--js", bundle]
    run([*command, "--stub-wasi", "--sync", "--disable-gc", "-o", module], work, environ)
    return module


def _check_types(project: Path, environ: dict[str, str]) -> None:
    tsc = project / "node_modules/.bin/tsc"
    if tsc.exists() and (project / "tsconfig.json").exists():
        run([tsc, "--noEmit", "-p", "."], project, environ)


def _bundled(project: Path, work: Path, mark: str, environ: dict[str, str]) -> Path:
    """One module of everything. It is made of a copy, because names of folders get into it."""
    for part in ("src", "kit"):
        shutil.copytree(project / part, work / part, ignore=shutil.ignore_patterns("node_modules"))
    for name in SETTINGS:
        if (project / name).exists():
            shutil.copyfile(project / name, work / name)
    (work / "entry.js").write_text(ENTRY.format(mark=mark), encoding="utf-8")
    command = [tool("esbuild", INSTALL, project), "entry.js", "--bundle", "--format=esm", "--platform=neutral"]
    options = ["--main-fields=module,main", "--target=es2022", "--log-level=warning", "--outfile=bundle.js"]
    run([*command, *options], work, environ)
    return work / "bundle.js"


def _language(name: str, title: str, mark: str) -> Language:
    made = partial(compile_script, mark=mark)
    return Language(name=name, title=title, mark=mark, compile=made, kit="javascript", reproducible=False)


JAVASCRIPT = _language("javascript", "JavaScript", "src/policy.js")
TYPESCRIPT = _language("typescript", "TypeScript", "src/policy.ts")
LANGUAGE = JAVASCRIPT
