"""How much a policy may use. Named profiles; every number has its unit and where it comes from.

`TIGHT` suits C, Rust and Zig; `DEFAULT` fits every measured guest on ordinary events; `ROOMY` is for interpreters and
components. The owner may raise a single value up to `HARD_MAX`; `wasmguard lock` refuses more.

The measurements: wasmtime 50.0.1, x86-64 Linux, CPython 3.11, November 2026.
"""

from __future__ import annotations

from wasmguard.value import Value

KIB, MIB, GIB = 2**10, 2**20, 2**30


class Limits(Value):
    """What one policy may use for one event, and what its module may cost to load."""

    fuel: int = 20_000_000
    """Units, about one per instruction. A small event takes C 6 k, Rust 16 k, Go 0.64 M, Python 0.9 M, JavaScript 1.8
    M; Shopify Functions allow 11 M instructions. The limit that normally fires: it is exact and reproducible."""

    clock: int = 100
    """Milliseconds in the guest. Fuel is 0.07-25 ns a unit, so alone it is a bound within a factor of 100. Fastly
    allows 50 ms, Kubewarden 2 s."""

    memory: int = 16 * MIB
    """Bytes for each linear memory. It also bounds bulk instructions, which nothing interrupts (1.2 ms per MiB)."""

    stack: int = 256 * KIB
    """Bytes of wasm stack. CPython and QuickJS run in it; a thread with 512 KiB of stack and twice this dies of
    SIGSEGV."""

    table_elements: int = 10_000
    """Entries for each table. Go needs 6,243."""

    memories: int = 1
    tables: int = 4
    instances: int = 1
    """How many of each a store may hold. Every limit above counts per memory and per table, so these bound the sum."""

    module: int = 4 * MIB
    """Bytes of the module file. Rust 0.1 MB, Go sealed 3.7, JavaScript 1.9-12, Python 18.5."""

    event: int = 4 * MIB
    """Bytes of an event as it arrives. 300 kB are ordinary, 5 MB happen: raise it where they do."""

    answer: int = 64 * KIB
    """Bytes of an answer, on top of what its text grants allow. 4 MB of empty arrays cost 2 s and 293 MB in the
    decoder."""

    compile_cpu: int = 15
    """Seconds of processor time for the compiler, of all its threads. Rust 0.07, Go 6, JavaScript 1-5, Python 26;
    compile bombs take minutes."""

    compile_wall: int = 9
    """Seconds until the compiler is killed: a bomb is refused within 10. Go takes 1.8 on four cores, 6 on one."""

    compile_memory: int = 512 * MIB
    """Bytes of address space for the compiler. Go takes 400 MiB, bombs reach 1.5 GB."""


DEFAULT = Limits()

TIGHT = DEFAULT.replaced(fuel=2_000_000, clock=50, module=2 * MIB)

ROOMY = DEFAULT.replaced(
    fuel=100_000_000,
    clock=500,
    memory=32 * MIB,  # Python with big payloads
    stack=512 * KIB,
    memories=4,  # components: JavaScript needs 4 memories, Python 31 instances; 4 / 20 / 50 ran both
    tables=20,
    instances=50,
    module=32 * MIB,
    event=16 * MIB,
    compile_cpu=60,
    compile_wall=90,
    compile_memory=2 * GIB,  # componentize-py needs 768 MiB
)

HARD_MAX = Limits(
    fuel=1_000_000_000,
    clock=2_000,
    memory=256 * MIB,
    stack=1 * MIB,  # 2 MiB is wasmtime's async stack: more aborts the process
    table_elements=100_000,
    memories=8,
    tables=40,
    instances=100,
    module=64 * MIB,
    event=64 * MIB,
    answer=1 * MIB,
    compile_cpu=120,
    compile_wall=180,
    compile_memory=8 * GIB,
)

AUTHOR = {"compile_cpu": HARD_MAX.compile_cpu, "compile_wall": HARD_MAX.compile_wall}
"""What an author's machine may take to compile a policy that is tried there: it is busy, and the source is known."""

PROFILES = {"tight": TIGHT, "default": DEFAULT, "roomy": ROOMY}

REASON = 2_000  # characters of a reason: a few sentences for the owner and the model
CONTEXT = 8_000  # characters of context for the model
NOTES = 32  # notes of one answer; the rest is cut
NOTE = 500  # characters of one note
STATE = 64 * KIB  # bytes a policy may remember, at the most
ROUNDS = 4  # rounds of asking until no policy has seen another input; then the decision is DENY
EVENT_DEPTH = 64  # levels of nesting in an event: real ones stay below 10
ANSWER_DEPTH = 16  # levels of nesting in an answer
SAFE_INTEGER = 2**53  # the largest integer that every guest language and JSON reader agrees on
