"""`wasi_snapshot_preview1` met by modules written in wasm: for runtimes that import it and hardly need it.

No WASI of wasmtime is ever linked: it is host code, which sleeps, allocates and opens files for a guest.

1. Functions are met by module, name and type; whatever else is imported is refused when the module is checked.
2. They give nothing away and change nothing outside the guest's own memory: no arguments, no environment, no files
   (`EBADF`), a clock that stands still, a fixed pattern for random bytes. So a verdict stays a pure function.
3. What is written counts as written and is gone. `poll_oneoff`, which would sleep, is refused (`ENOSYS`); `proc_exit`
   traps.
4. They run on the guest's own fuel, stack and time, and in its own memory: a list that lies costs its guest.

An import has to be given before the policy exists, yet most of these functions write into the policy's memory. So there
are two modules around a table of functions. The *shim* exports the functions, and each only jumps through the table;
the policy is instantiated with them; the *fixup* imports the policy's memory and the shim's table, and fills it. Until
then a call meets an empty entry and traps, which is what a start section gets that calls WASI. `_initialize` is called
after that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wasmguard.guest import abi
from wasmguard.sandbox.compile import in_child
from wasmguard.value import Value

if TYPE_CHECKING:
    from wasmguard.limits import Limits
    from wasmguard.sandbox.engine import Setup

MODULE = "wasi_snapshot_preview1"
TABLE = "table"

# wasi_snapshot_preview1.witx: errno
EBADF, ENOSYS = 8, 52
CLOCK = 1_000_000_000  # nanoseconds: one second. The Go runtime stops where its clock says 0
SUCCESS = "(i32.const 0)"


class Function(Value):
    """One function of WASI: its type, as the guest ABI writes types, and its body."""

    takes: tuple[str, ...]
    gives: tuple[str, ...] = ("i32",)
    body: str
    """WebAssembly text; the parameters are the locals 0, 1, …"""

    @property
    def signature(self) -> abi.Signature:
        return self.takes, self.gives

    @property
    def type(self) -> str:
        """Its type in WebAssembly text."""
        both = (("param", self.takes), ("result", self.gives))
        return " ".join(f"({side} {' '.join(kinds)})" for side, kinds in both if kinds)


def _function(takes: str, body: str, gives: str = "i32") -> Function:
    return Function(takes=tuple(takes.split()), gives=tuple(gives.split()), body=body)


_NONE = f"(i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) {SUCCESS}"
_NO_SUCH_FILE = f"(i32.const {EBADF})"

# The lengths of all buffers together count as written. 0: file, 1: buffers, 2: how many, 3: where the sum goes.
_WRITTEN = f"""(local $sum i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get 2)))
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get 1))))
      (local.set 1 (i32.add (local.get 1) (i32.const 8)))
      (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
      (br $next)))
    (i32.store (local.get 3) (local.get $sum)) {SUCCESS}"""

# 0: where, 1: how many bytes.
_PATTERN = f"""(block $done (loop $next
      (br_if $done (i32.eqz (local.get 1)))
      (i32.store8 (local.get 0) (i32.mul (local.get 1) (i32.const 37)))
      (local.set 0 (i32.add (local.get 0) (i32.const 1)))
      (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
      (br $next))) {SUCCESS}"""

FUNCTIONS: dict[str, Function] = {  # what unsealed C, C++, Go and QuickJS import, and no more
    "args_get": _function("i32 i32", SUCCESS),
    "args_sizes_get": _function("i32 i32", _NONE),
    "clock_res_get": _function("i32 i32", f"(i64.store (local.get 1) (i64.const 1)) {SUCCESS}"),
    "clock_time_get": _function("i32 i64 i32", f"(i64.store (local.get 2) (i64.const {CLOCK})) {SUCCESS}"),
    "environ_get": _function("i32 i32", SUCCESS),
    "environ_sizes_get": _function("i32 i32", _NONE),
    "fd_close": _function("i32", _NO_SUCH_FILE),
    "fd_fdstat_get": _function("i32 i32", _NO_SUCH_FILE),
    "fd_fdstat_set_flags": _function("i32 i32", _NO_SUCH_FILE),
    "fd_prestat_dir_name": _function("i32 i32 i32", _NO_SUCH_FILE),
    "fd_prestat_get": _function("i32 i32", _NO_SUCH_FILE),
    "fd_read": _function("i32 i32 i32 i32", _NO_SUCH_FILE),
    "fd_seek": _function("i32 i64 i32 i32", _NO_SUCH_FILE),
    "fd_write": _function("i32 i32 i32 i32", _WRITTEN),
    "poll_oneoff": _function("i32 i32 i32 i32", f"(i32.const {ENOSYS})"),
    "proc_exit": _function("i32", "unreachable", gives=""),
    "random_get": _function("i32 i32", _PATTERN),
    "sched_yield": _function("", SUCCESS),
}


def shim_text() -> str:
    """The module that comes first: its exports are the policy's imports."""
    size = len(FUNCTIONS)
    lines = [f'(module\n  (table (export "{TABLE}") {size} {size} funcref)']
    for slot, (name, function) in enumerate(FUNCTIONS.items()):
        given = "".join(f"(local.get {place}) " for place in range(len(function.takes)))
        jump = f"(call_indirect {function.type} {given}(i32.const {slot}))"
        lines.append(f'  (func (export "{name}") {function.type}\n    {jump})')
    return "\n".join(lines) + ")\n"


def fixup_text() -> str:
    """The module that comes last: its functions work on the policy's memory, its segment fills the shim's table."""
    size = len(FUNCTIONS)
    lines = [
        f'(module\n  (import "policy" "{abi.MEMORY}" (memory 0))',
        f'  (import "shim" "{TABLE}" (table {size} {size} funcref))',
    ]
    lines += [f"  (func ${name} {function.type} {function.body})" for name, function in FUNCTIONS.items()]
    lines.append("  (elem (i32.const 0) " + " ".join(f"${name}" for name in FUNCTIONS) + "))\n")
    return "\n".join(lines)


def digest() -> str:
    """What identifies the two texts: code that was compiled from others is no use."""
    return hashlib.sha256((shim_text() + fixup_text()).encode()).hexdigest()


def compiled_inert(setup: Setup, limits: Limits) -> tuple[bytes, bytes]:
    """The native code of shim and fixup for engines of *setup*.

    Raises:
        ModuleRefused: if the compiler needs more than *limits* allow.
        HostError: if the compiler cannot be run here.
    """
    both = in_child("inert", b"", setup, limits)
    size = int.from_bytes(both[:8], "little")
    return both[8 : 8 + size], both[8 + size :]
