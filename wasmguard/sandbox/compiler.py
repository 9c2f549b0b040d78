"""The child process that compiles: it limits itself, reads a module, writes native code or one line, and ends.

1. The limits come first, before a byte of the module is read.
2. A policy comes as bytes that wasmtime does not take for text: `wasmguard.sandbox.compile` sees to that. The only text
   that is ever assembled is ours: `wasmguard.sandbox.wasi` and `wasmguard.sandbox.opa`.
3. Imports and exports are checked as wasmtime sees them, after `wasmguard.sandbox.scan` has read them from the bytes.
   Two independent readers must agree, because the call path does not look at types any more.
4. No exit handler and no other thread runs at the end. The exit code says what stdout holds: 0 code, 1 a sentence, else
   nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import wasmtime
from wasmtime import component

from wasmguard.errors import ModuleRefused
from wasmguard.guest import abi
from wasmguard.sandbox import opa, wasi
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.portable import configuration
from wasmguard.sandbox.strip import stripped
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def child(given: dict[str, Any]) -> None:
    """The child's whole life."""
    _die_with_parent()
    _limit(given["cpu"], given["memory"])
    code, made = 0, b""
    try:
        made = TASKS[given["what"]](sys.stdin.buffer.read(), Setup(**given["setup"]))
    except ModuleRefused as error:
        code, made = 1, str(error).encode("utf-8", "replace")
    except MemoryError:
        code = 2
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()
    os._exit(code)


def _die_with_parent() -> None:
    """Or a compile would go on, up to its limits, after the process that wants it was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(cpu: int, memory: int) -> None:
    if sys.platform == "win32":
        return  # the wall clock is all there is
    import resource

    wanted = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for what, most in wanted.items():
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def _policy(module: bytes, setup: Setup) -> bytes:
    """The code of a policy's module, whose types are what the guest ABI names."""
    if setup.kind != "component":
        return _core(module, setup, _check_core)
    with _refusals():
        engine = _engine(setup)
        made = component.Component(engine, stripped(module))
        _check_component(made, engine)
        return bytes(made.serialize())


def _opa(module: bytes, setup: Setup) -> bytes:
    """The code of a module of OPA, whose types are what its ABI names."""
    return _core(module, setup, _check_opa)


def _core(module: bytes, setup: Setup, check: Callable[[wasmtime.Module], None]) -> bytes:
    with _refusals():
        made = wasmtime.Module(_engine(setup), stripped(module))
        check(made)
        return bytes(made.serialize())


def _engine(setup: Setup) -> wasmtime.Engine:
    config = configuration(setup)
    config.parallel_compilation = True  # the code is the same; this process never forks, and its group can be killed
    return wasmtime.Engine(config)


@contextmanager
def _refusals() -> Iterator[None]:
    """What the engine does not take is refused in its words, one line of them."""
    try:
        yield
    except wasmtime.WasmtimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModuleRefused(f"the compiler refuses it: {one_line('; '.join(lines), 250)}") from None


def _inert(_: bytes, setup: Setup) -> bytes:
    """The code of both modules of `wasmguard.sandbox.wasi`: the size of the first, then one after the other."""
    return _both(wasi.shim_text(), wasi.fixup_text(), setup)


def _opa_inert(given: bytes, setup: Setup) -> bytes:
    """The same for both modules of `wasmguard.sandbox.opa`, of which *given* tells the numbers in them, in JSON."""
    return _both(*opa.texts(**json.loads(given)), setup)


def _both(first: str, second: str, setup: Setup) -> bytes:
    engine = wasmtime.Engine(configuration(setup))
    one, other = (bytes(wasmtime.Module(engine, text).serialize()) for text in (first, second))
    return len(one).to_bytes(8, "little") + one + other


TASKS: dict[str, Callable[[bytes, Setup], bytes]] = {
    "policy": _policy,
    "inert": _inert,
    "opa": _opa,
    "opa inert": _opa_inert,
}


def _check_core(module: wasmtime.Module) -> None:
    for item in module.imports:
        known = wasi.FUNCTIONS.get(item.name or "") if item.module == wasi.MODULE else None
        if not known or not isinstance(item.type, wasmtime.FuncType) or _signature(item.type) != known.signature:
            name = one_line(f"{item.module}.{item.name}", 120)
            raise ModuleRefused(f"import `{name}` is none that a policy may have: build it without")
    exports = {item.name: item.type for item in module.exports}
    for name, signature in (abi.CORE_EXPORTS | abi.OPTIONAL_EXPORTS).items():
        kind = exports.get(name)
        if kind is None and name in abi.OPTIONAL_EXPORTS:
            continue
        if not isinstance(kind, wasmtime.FuncType) or _signature(kind) != signature:
            raise ModuleRefused(f"export `{name}` is missing or has another type: build it against guest ABI 1")
    if not _plain_memory(exports.get(abi.MEMORY)):
        raise ModuleRefused(f"export `{abi.MEMORY}` is missing, 64-bit or shared: build it against guest ABI 1")


def _check_opa(module: wasmtime.Module) -> None:
    if not any(item.module == opa.MODULE and item.name == abi.MEMORY for item in module.imports):
        raise ModuleRefused(f"import `{opa.MODULE}.{abi.MEMORY}` is missing: build it with `opa build -t wasm`")
    for item in module.imports:
        if item.module == opa.MODULE and item.name == abi.MEMORY and _plain_memory(item.type):
            continue
        known = opa.IMPORTS.get(item.name or "") if item.module == opa.MODULE else None
        if not known or not isinstance(item.type, wasmtime.FuncType) or _signature(item.type) != known:
            name = one_line(f"{item.module}.{item.name}", 120)
            raise ModuleRefused(f"import `{name}` is none that a policy of OPA may have: build it with `opa build`")
    exports = {item.name: item.type for item in module.exports}
    for name, signature in opa.FUNCTIONS.items():
        kind = exports.get(name)
        if not isinstance(kind, wasmtime.FuncType) or _signature(kind) != signature:
            raise ModuleRefused(f"export `{name}` is missing or has another type: build it with `opa build -t wasm`")
    for name in opa.GLOBALS:
        kind = exports.get(name)
        if not isinstance(kind, wasmtime.GlobalType) or str(kind.content) != "i32" or kind.mutable:
            raise ModuleRefused(f"export `{name}` is no constant of type i32: build it with `opa build -t wasm`")


def _plain_memory(kind: object) -> bool:
    return isinstance(kind, wasmtime.MemoryType) and not kind.is_64 and not kind.is_shared


def _signature(kind: wasmtime.FuncType) -> abi.Signature:
    return tuple(map(str, kind.params)), tuple(map(str, kind.results))


def _check_component(made: Any, engine: Any) -> None:
    if imports := made.type.imports(engine):
        names = ", ".join(f"`{one_line(name, 60)}`" for name in list(imports)[:3])
        raise ModuleRefused(f"the component imports {names}: a policy may import nothing: build it without WASI")
    found = made.type.exports(engine).get(abi.COMPONENT_EXPORT)
    kind = getattr(found, "ty", found)
    octets = component.ListType
    if not isinstance(kind, component.FuncType) or len(kind.params) != 1:
        raise ModuleRefused(
            f"the component exports no `{abi.COMPONENT_EXPORT}`: build it for the world wasmguard:policy"
        )
    (_, given), answer = kind.params[0], kind.result
    right = (
        isinstance(given, octets)
        and isinstance(given.element, component.U8)
        and isinstance(answer, component.ResultType)
        and isinstance(answer.ok, octets)
        and isinstance(answer.ok.element, component.U8)
        and isinstance(answer.err, component.String)
    )
    if not right:
        raise ModuleRefused(
            f"export `{abi.COMPONENT_EXPORT}` has another type: build it for the world wasmguard:policy"
        )
