"""Compiling a module, in a child process that may be killed.

Neither fuel nor time limits reach the compiler, nothing can interrupt it, and it aborts the process when memory runs
out; a module of 100 kB can take minutes and gigabytes. So `wasmguard lock` compiles in a child:

1. Only what starts like a binary module goes there: wasmtime would assemble text.
2. It is spawned, never forked (a fork after a compile can hang for ever), in a session of its own, with nothing of our
   environment and no descriptor but its input and its output.
3. It has limits on processor time, wall clock and address space, and may not write files. At the deadline, and whatever
   else happens here, its whole process group is killed and it is waited for.
4. Only bytes are taken from it: native code, or one line that says why not. Both are cut.

`wasmguard.sandbox.compiler` is the child.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, TYPE_CHECKING, cast

from wasmguard.errors import HostError, ModuleRefused
from wasmguard.guest import abi
from wasmguard.limits import MIB
from wasmguard.text import one_line

if TYPE_CHECKING:
    from wasmguard.limits import Limits
    from wasmguard.sandbox.engine import Setup

MAGIC = b"\0asm"
SAID = 300  # characters of the child's own sentence
CHUNK = 1 * MIB
_CHILD = (
    "import ctypes, json, os, sys; given = json.loads(sys.argv[1]);"
    "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9);"  # PR_SET_PDEATHSIG, SIGKILL: before it can hang
    "os.getppid() == given['parent'] or os._exit(3);"
    "sys.path[:0] = given['path'];"
    "from wasmguard.sandbox.compiler import child; child(given)"
)


ENVIRONMENT = {"RAYON_NUM_THREADS": "4", "MALLOC_ARENA_MAX": "1"}  # else threads multiply the address space


def compiled(module: bytes, setup: Setup, limits: Limits, declared: int | str = abi.VERSION) -> bytes:
    """The native code of *module*, which speaks the ABI that its manifest *declared*, for engines of *setup*.

    Raises:
        ModuleRefused: if the compiler refuses it, or needs more than *limits* allow.
        HostError: if the compiler cannot be run here.
    """
    if not module.startswith(MAGIC):
        raise ModuleRefused("is no WebAssembly: name the `.wasm` file that the build made")
    return in_child("opa" if declared == abi.OPA else "policy", module, setup, limits)


def in_child(what: str, module: bytes, setup: Setup, limits: Limits) -> bytes:
    """What `wasmguard.sandbox.compiler` makes of *module* under *limits*; *what* names the task.

    Raises:
        ModuleRefused: if it makes nothing of it.
        HostError: if it cannot be run here.
    """
    given = {"what": what, "setup": setup.as_dict(), "cpu": limits.compile_cpu, "memory": limits.compile_memory}
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(given | {"path": _roots(), "parent": os.getpid()})]
    try:
        with tempfile.TemporaryFile() as file:
            file.write(module)
            file.seek(0)
            child = _Child(command, file, limits.compile_wall)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"cannot start the compiler: {why}: free memory, processes and room for its file") from None
    before = _processor_time()
    code, made = child.finished(_most(limits))
    if child.late:
        raise ModuleRefused(f"takes more than {limits.compile_wall} s to compile: raise `limits.compile_wall`")
    if len(made) > _most(limits):
        raise ModuleRefused(f"becomes more than {_most(limits):,} bytes of code: build it smaller")
    if code == 0 and made:
        return made
    if code in (-9, -15) and _processor_time() - before < limits.compile_cpu - 1:
        raise HostError(f"the compiler was ended by signal {-code}, and not for its limits: free memory, try again")
    if code in (0, 1) and not made:
        raise HostError("the compiler does not run here: reinstall wasmguard")
    raise ModuleRefused(_reason(code, made, limits))


class _Child:
    """A process with a deadline, and what it writes."""

    def __init__(self, command: list[str], given: IO[bytes], seconds: float) -> None:
        self.late = False
        self._process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        self._pipe = cast("IO[bytes]", self._process.stdout)
        self._deadline = threading.Timer(seconds, self._expired)
        self._deadline.daemon = True

    def finished(self, most: int) -> tuple[int, bytes]:
        """Its exit code and what it wrote, a little more than *most* bytes at the most; it is gone then."""
        process, made = self._process, bytearray()
        try:
            self._deadline.start()
            while len(made) <= most and (chunk := self._pipe.read(CHUNK)):
                made += chunk
            if sys.platform == "win32":
                process.wait()
        finally:
            self._deadline.cancel()
            self._kill()  # its exit code was fixed before the end of its output could be seen
            if self._deadline.is_alive():
                self._deadline.join()  # or it might kill, after the wait below, whoever has the number next
            process.wait()
            self._pipe.close()
        return process.returncode, bytes(made)

    def _expired(self) -> None:
        self.late = True
        self._kill()

    def _kill(self) -> None:
        """End it and whatever it started. Its number is its own until it is waited for."""
        try:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except (ProcessLookupError, PermissionError):  # macOS says the second of a process that has ended
            pass


def _processor_time() -> float:
    """Seconds that the children took that have ended."""
    took = os.times()
    return took.children_user + took.children_system


def _most(limits: Limits) -> int:
    """The most bytes of code that are taken from the child: 64 MiB by default. Go becomes 11, Python 38 MB."""
    return limits.compile_memory // 16


def _reason(code: int, said: bytes, limits: Limits) -> str:
    if code == 1:
        return one_line(said[: 4 * SAID].decode("utf-8", "replace").strip(), SAID)
    if code in (-9, -24):  # SIGKILL at the hard limit, SIGXCPU at the soft one
        return f"takes more than {limits.compile_cpu} s of processor time to compile: raise `limits.compile_cpu`"
    mib = limits.compile_memory // MIB
    return f"cannot be compiled within {mib} MiB (the compiler ended with {code}): raise `limits.compile_memory`"


def _roots() -> list[str]:
    """Where the child finds this package and wasmtime: it starts without the parent's environment."""
    import wasmtime

    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [ours, os.path.dirname(os.path.dirname(os.path.abspath(wasmtime.__file__)))]
