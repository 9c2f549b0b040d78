"""Compiling a module, in a child process that may be killed.

Neither fuel nor time limits reach the compiler, nothing can interrupt it, and it aborts the process when memory runs
out; a module of 100 kB can take minutes and gigabytes. So `wasmguard lock` compiles in a child with limits on processor
time, wall clock and address space, with an empty environment, and takes only bytes from it. The child is spawned, never
forked: a fork after a compile can hang for ever.

The child checks the exports' types as wasmtime sees them, after `scan` has read them from the bytes: two independent
readers must agree, because the call path does not look at types any more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from wasmguard.errors import HostError, ModuleRefused
from wasmguard.guest import abi
from wasmguard.sandbox.engine import Setup
from wasmguard.text import one_line

if TYPE_CHECKING:
    from wasmguard.limits import Limits

_CHILD = (
    "import sys, json; given = json.loads(sys.argv[1]); sys.path[:0] = given['path'];"
    "from wasmguard.sandbox.compile import child; child(given)"
)


def compiled(module: bytes, setup: Setup, limits: Limits) -> bytes:
    """The native code of *module* for engines of *setup*.

    Raises:
        ModuleRefused: if the compiler refuses it, or needs more than *limits* allow.
        HostError: if the compiler cannot be run here.
    """
    given = {"setup": setup.as_dict(), "cpu": limits.compile_cpu, "memory": limits.compile_memory, "path": _roots()}
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(given)]
    try:
        done = subprocess.run(
            command, input=module, capture_output=True, timeout=limits.compile_wall, env={}, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise ModuleRefused(
            f"takes more than {limits.compile_wall} s to compile: raise `limits.compile_wall`"
        ) from None
    except OSError as error:
        raise HostError(f"cannot start the compiler: {error.strerror}: free memory and processes") from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    raise ModuleRefused(_reason(done.returncode, done.stderr, limits))


def _reason(code: int, said: bytes, limits: Limits) -> str:
    if code == 1:
        return one_line(said.decode("utf-8", "replace").strip(), 300)
    if code in (-9, -24):  # SIGKILL at the hard limit, SIGXCPU at the soft one
        return f"takes more than {limits.compile_cpu} s of processor time to compile: raise `limits.compile_cpu`"
    mib = limits.compile_memory // 2**20
    return f"cannot be compiled within {mib} MiB (the compiler ended with {code}): raise `limits.compile_memory`"


def _roots() -> list[str]:
    """Where the child finds this package and wasmtime: it starts without the parent's environment."""
    import wasmtime

    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [ours, os.path.dirname(os.path.dirname(os.path.abspath(wasmtime.__file__)))]


def child(given: dict[str, Any]) -> None:
    """The child's whole life: limit itself, read a module from stdin, write its code to stdout."""
    _limit(given["cpu"], given["memory"])
    module = sys.stdin.buffer.read()
    try:
        code = _code(module, Setup(**given["setup"]))
    except ModuleRefused as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.buffer.write(code)
    sys.stdout.buffer.flush()
    os._exit(0)


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


def _code(module: bytes, setup: Setup) -> bytes:
    import wasmtime
    from wasmtime import component

    from wasmguard.sandbox.portable import configuration

    engine = wasmtime.Engine(configuration(setup))
    try:
        if setup.kind == "component":
            made = component.Component(engine, module)
            _check_component(made, engine)
            return bytes(made.serialize())
        plain = wasmtime.Module(engine, module)
        _check_core(plain)
        return bytes(plain.serialize())
    except wasmtime.WasmtimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModuleRefused(f"the compiler refuses it: {one_line('; '.join(lines), 250)}") from None


def _check_core(module: Any) -> None:
    import wasmtime

    if module.imports:
        raise ModuleRefused("it imports something: a policy may import nothing")
    exports = {item.name: item.type for item in module.exports}
    for name, (parameters, results) in (abi.CORE_EXPORTS | abi.OPTIONAL_EXPORTS).items():
        kind = exports.get(name)
        if kind is None and name in abi.OPTIONAL_EXPORTS:
            continue
        types = isinstance(kind, wasmtime.FuncType) and (_names(kind.params), _names(kind.results))
        if types != (parameters, results):
            raise ModuleRefused(f"export `{name}` is missing or has another type: build it against guest ABI 1")
    memory = exports.get(abi.MEMORY)
    if not isinstance(memory, wasmtime.MemoryType) or memory.is_64 or memory.is_shared:
        raise ModuleRefused(f"export `{abi.MEMORY}` is missing, 64-bit or shared: build it against guest ABI 1")


def _names(types: Any) -> tuple[str, ...]:
    return tuple(str(kind) for kind in types)


def _check_component(made: Any, engine: Any) -> None:
    from wasmtime import component

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
