"""A module that needs WASI made into one that imports nothing, when it is built.

1. The stand-in that a host gives at load time (`wasmguard.sandbox.wasi`) is merged into the module: the same functions
   on the module's own memory, so what they answer does not depend on who sealed it.
2. Then, if its start-up can be run ahead, it is run once, here, and what memory holds afterwards becomes the module's
   data: Go spends 1.2 M fuel on its start, which no event pays for any more. In this order, because a start-up that
   met a real clock and real random bytes would give other bytes at every build.
3. What is not reached from the exports of the guest ABI is left out.

What cannot be met is refused with the words of a host that loads it. The same module gives the same bytes, in whatever
folder and whenever it is sealed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from wasmguard.errors import BuildError, ModuleRefused
from wasmguard.guest import abi
from wasmguard.limits import HARD_MAX
from wasmguard.sandbox import wasi
from wasmguard.sandbox.scan import Shape, check_abi, scan
from wasmguard.workshop.languages.language import run, tool, with_node

INSTALL = "`npm install --global binaryen@132.0.0 @bytecodealliance/wizer@11.0.3`"

_POLICY = "policy"  # what the stand-in calls the module whose memory it works on
_FEATURES = "-all"  # of wasm: what the compiler used is not ours to refuse here


def sealed(module: Path, work: Path, *, started: bool) -> Path:
    """The file, in the folder *work*, of *module* without imports.

    *started*: whether its `_initialize` is run now instead of at every event. Not for C++, whose start-up is cheap.

    Raises:
        BuildError: if a tool is missing or fails, or the module cannot be a policy.
    """
    module, work = module.resolve(), work.resolve()  # the tools run in the folder
    shape = _checked(module)
    if started and abi.INITIALIZE not in shape.exports:
        raise BuildError(f"the compiled module has no `{abi.INITIALIZE}` to run ahead: build it as a reactor")
    merged = _merged(module, work)
    whole = _started(merged, work) if started else merged
    return _kept(whole, work, [name for name in _exports(started) if name in shape.exports])


def stand_in() -> str:
    """The functions of `wasi_snapshot_preview1` as one module, as WebAssembly text."""
    lines = [f'(module\n  (import "{_POLICY}" "{abi.MEMORY}" (memory 0))']
    lines += [
        f'  (func (export "{name}") {function.type}\n    {function.body})' for name, function in wasi.FUNCTIONS.items()
    ]
    return "\n".join(lines) + ")\n"


def _checked(module: Path) -> Shape:
    try:
        shape = scan(module.read_bytes(), HARD_MAX)
        check_abi(shape, HARD_MAX)
    except ModuleRefused as error:
        raise BuildError(f"the compiled module {error}") from None
    return shape


def _merged(module: Path, work: Path) -> Path:
    (text := work / "stand-in.wat").write_text(stand_in(), encoding="utf-8")
    merged = work / "merged.wasm"
    # An export of both, such as the names of tables, stays that of the module, which comes first.
    given: list[str | Path] = [module, _POLICY, text, wasi.MODULE, _FEATURES, "--skip-export-conflicts", "-o", merged]
    _call("wasm-merge", given, work)
    return merged


def _started(module: Path, work: Path) -> Path:
    booted = work / "started.wasm"
    # Without `--allow-wasi`: what the stand-in does not meet must not be met by anything else.
    _call("wizer", ["--init-func", abi.INITIALIZE, "--wasm-bulk-memory", "true", module, "-o", booted], work)
    return booted


def _kept(module: Path, work: Path, names: Sequence[str]) -> Path:
    graph = [{"name": "root", "root": True, "reaches": names}, *({"name": name, "export": name} for name in names)]
    (keep := work / "keep.json").write_text(json.dumps(graph), encoding="utf-8")
    kept = work / "sealed.wasm"
    _call("wasm-metadce", [module, _FEATURES, "-f", keep, "-o", kept], work)
    return kept


def _exports(started: bool) -> list[str]:
    return [abi.MEMORY, *abi.CORE_EXPORTS, *(() if started else abi.OPTIONAL_EXPORTS)]


def _call(name: str, given: Sequence[str | Path], work: Path) -> None:
    program = tool(name, f"{INSTALL} installs it")
    run([program, *given], work, with_node())
