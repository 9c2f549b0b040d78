"""JavaScript and TypeScript: a component with QuickJS in it, made by esbuild and componentize-qjs.

esbuild makes one module of the policy, its kit and the msgpack library, which is looked for in the project's
`node_modules` and then among the toolchains. It strips types and does not check them, so the build of a project in
TypeScript runs `tsc` first where the project has one.

`--sync`: without it the component speaks the asynchronous ABI, which our engines refuse. `--disable-gc`: no instance
lives longer than one event. The smaller runtime (`--opt-size`) needs tail calls, which our engines refuse too.

QuickJS has no decoder for UTF-8: the component gets another one beside it, see `wasmguard.workshop.texts`.

The bytes differ at each build, in one folder too: four of four builds did. Why is not established, and componentize-qjs
has no option for it. So what is checked is what the module does, and its digest is that of the shipped file.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from wasmguard.workshop.languages.language import Language, ToolMissing, copied, run, tool, toolchains, with_node
from wasmguard.workshop.texts import NAME, WORLD, with_texts

INSTALL = "run `npm install` in the project: its package.json names what it takes"
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
    environ = with_node()
    _check_types(project, environ)
    libraries = [project / "node_modules", toolchains() / "node_modules"]
    if not any((library / MSGPACK).is_dir() for library in libraries):
        raise ToolMissing(f"`{MSGPACK}` is missing: {INSTALL}")
    bundle = _bundled(project, work, mark, environ | {"NODE_PATH": os.pathsep.join(map(str, libraries))})
    (work / "world.wit").write_text(WORLD, encoding="utf-8")
    module = work / "policy.wasm"
    command: list[str | Path] = [tool("componentize-qjs", INSTALL, project), "--wit", "world.wit", "--js", bundle]
    run([*command, "--stub-wasi", "--sync", "--disable-gc", "-o", module], work, environ)
    module.write_bytes(with_texts(module.read_bytes()))
    return module


def _check_types(project: Path, environ: dict[str, str]) -> None:
    tsc = project / "node_modules/.bin/tsc"
    if tsc.exists() and (project / "tsconfig.json").exists():
        run([tsc, "--noEmit", "-p", "."], project, environ)


def _bundled(project: Path, work: Path, mark: str, environ: dict[str, str]) -> Path:
    """One module of everything. It is made of a copy, because names of folders get into it."""
    copied(project, work, "src", "kit", without=["node_modules"])
    for name in SETTINGS:
        if (project / name).exists():
            shutil.copyfile(project / name, work / name)
    (work / "entry.js").write_text(ENTRY.format(mark=mark), encoding="utf-8")
    command = [tool("esbuild", INSTALL, project), "entry.js", "--bundle", "--format=esm", "--platform=neutral"]
    options = ["--main-fields=module,main", "--target=es2022", f"--external:{NAME}", "--outfile=bundle.js"]
    # Without white space, because the comments name the folders of the libraries.
    run([*command, "--log-level=warning", "--minify-whitespace", *options], work, environ)
    return work / "bundle.js"


def _language(name: str, title: str, mark: str) -> Language:
    made = partial(compile_script, mark=mark)
    return Language(name=name, title=title, mark=mark, compile=made, kit="javascript", reproducible=False)


JAVASCRIPT = _language("javascript", "JavaScript", "src/policy.js")
TYPESCRIPT = _language("typescript", "TypeScript", "src/policy.ts")
LANGUAGE = JAVASCRIPT
