"""Hostile cases about what is imported from WASI: unknown names, wrong types and kinds, other modules, commands.

A policy may import the few functions of `wasi_snapshot_preview1` that an inert module in wasm stands for, and nothing
else. What becomes of calling them is `wasi_calls`.
"""

from __future__ import annotations

from wasmguard.hostile import raw as b
from wasmguard.hostile.case import PASSES, Case, Refused, core_text, written

SNAPSHOT = "wasi_snapshot_preview1"
TYPES = {  # what an unsealed C, C++, Go or QuickJS imports, and no more: parameters, results
    "args_get": "(param i32 i32) (result i32)",
    "args_sizes_get": "(param i32 i32) (result i32)",
    "clock_res_get": "(param i32 i32) (result i32)",
    "clock_time_get": "(param i32 i64 i32) (result i32)",
    "environ_get": "(param i32 i32) (result i32)",
    "environ_sizes_get": "(param i32 i32) (result i32)",
    "fd_close": "(param i32) (result i32)",
    "fd_fdstat_get": "(param i32 i32) (result i32)",
    "fd_fdstat_set_flags": "(param i32 i32) (result i32)",
    "fd_prestat_dir_name": "(param i32 i32 i32) (result i32)",
    "fd_prestat_get": "(param i32 i32) (result i32)",
    "fd_read": "(param i32 i32 i32 i32) (result i32)",
    "fd_seek": "(param i32 i64 i32 i32) (result i32)",
    "fd_write": "(param i32 i32 i32 i32) (result i32)",
    "poll_oneoff": "(param i32 i32 i32 i32) (result i32)",
    "proc_exit": "(param i32)",
    "random_get": "(param i32 i32) (result i32)",
    "sched_yield": "(result i32)",
}
UNKNOWN = {
    "path_open": "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
    "path_unlink_file": "(param i32 i32 i32) (result i32)",
    "path_rename": "(param i32 i32 i32 i32 i32 i32) (result i32)",
    "path_symlink": "(param i32 i32 i32 i32 i32) (result i32)",
    "fd_renumber": "(param i32 i32) (result i32)",
    "fd_pwrite": "(param i32 i32 i32 i64 i32) (result i32)",
    "fd_readdir": "(param i32 i32 i32 i64 i32) (result i32)",
    "fd_allocate": "(param i32 i64 i64) (result i32)",
    "sock_accept": "(param i32 i32 i32) (result i32)",
    "sock_send": "(param i32 i32 i32 i32 i32) (result i32)",
    "proc_raise": "(param i32) (result i32)",
    "thread-spawn": "(param i32) (result i32)",
    "fd_write ": "(param i32 i32 i32 i32) (result i32)",
    "FD_WRITE": "(param i32 i32 i32 i32) (result i32)",
    "": "",
}
ELSEWHERE = (
    *("wasi_unstable", "wasi_snapshot_preview0", "wasi_snapshot_preview2", "wasi", "wasi:io/poll@0.2.0", "env"),
    *("WASI_SNAPSHOT_PREVIEW1", "wasi_snapshot_preview1 ", "wasi_snapshot_preview1.", "wasi_snapshot_previewl", ""),
)
IMPORTS = Refused(says=("imports",))


def imported(name: str, type_: str = "", module: str = SNAPSHOT) -> str:
    """The import of a function, as text; of its own type unless *type_* says otherwise."""
    return f'(import "{module}" "{name}" (func ${name.strip() or "none"} {type_ or TYPES.get(name, "")}))'


CASES = (
    *(
        Case(
            name=f"type-of-{name.replace('_', '-')}",
            what=f"imports `{name}` with one parameter more",
            must=IMPORTS,
            module=written(core_text("", first=imported(name, f"(param i32) {type_}"))),
        )
        for name, type_ in TYPES.items()
    ),
    *(
        Case(
            name=f"result-of-{name.replace('_', '-')}",
            what=f"imports `{name}` with another result",
            must=IMPORTS,
            module=written(core_text("", first=imported(name, type_))),
        )
        for name, type_ in {
            "proc_exit": "(param i32) (result i32)",
            "sched_yield": " ",
            "fd_write": "(param i32 i32 i32 i32) (result i64)",
            "random_get": "(param i64 i64) (result i32)",
            "clock_time_get": "(param i32 i32 i32) (result i32)",
            "fd_seek": "(param i32 i32 i32 i32) (result i32)",
        }.items()
    ),
    *(
        Case(
            name=f"unknown-{number}",
            what=f"imports `{name}`, which no policy needs",
            must=IMPORTS,
            module=written(core_text("", first=imported(name, type_))),
        )
        for number, (name, type_) in enumerate(UNKNOWN.items())
    ),
    *(
        Case(
            name=f"module-{number}",
            what=f"imports `fd_write` of {module!a}",
            must=IMPORTS,
            module=written(core_text("", first=imported("fd_write", module=module))),
        )
        for number, module in enumerate(ELSEWHERE)
    ),
    *(
        Case(
            name=f"kind-{kind}",
            what=f"imports a {kind} as `fd_write`",
            must=IMPORTS,
            module=written(core_text("", first=f'(import "{SNAPSHOT}" "fd_write" {text})')),
        )
        for kind, text in {"global": "(global i32)", "table": "(table 1 funcref)"}.items()
    ),
    Case(
        name="kind-memory",
        what="imports its memory from WASI",
        must=IMPORTS,
        module=written(
            core_text("").replace(
                '(memory (export "memory") 1)', f'(memory (export "memory") (import "{SNAPSHOT}" "memory") 1)'
            )
        ),
    ),
    Case(
        name="one-of-two",
        what="imports one function that is known and one that is not",
        must=IMPORTS,
        module=written(core_text("", first=imported("fd_write") + imported("path_open", UNKNOWN["path_open"]))),
    ),
    Case(
        name="twice-otherwise",
        what="imports `fd_write` twice, with two types",
        must=IMPORTS,
        module=written(core_text("", first=imported("fd_write") + f'(import "{SNAPSHOT}" "fd_write" (func))')),
    ),
    Case(
        name="command",
        what="is a command that imports what it may",
        must=Refused(says=("is a command",)),
        module=written(f'(module {imported("proc_exit")} (memory (export "memory") 1) (func (export "_start")))'),
    ),
    Case(
        name="flood",
        what="imports `fd_write` a thousand times",
        must=Refused(says=("imports (limit",)),
        module=lambda: b.policy(raw={b.IMPORT: b.vector([b.name(SNAPSHOT) + b.name("fd_write") + b"\0\0"] * 1_000)}),
    ),
    Case(
        name="control-twice",
        what="imports `fd_write` twice, as Go does",
        must=PASSES,
        module=written(core_text("", first=imported("fd_write") + imported("fd_write").replace("$fd_write", ""))),
    ),
)
