"""Hostile cases about what lies before the first event: bytes that are no module, sections that lie, compile bombs.

What the scan refuses never reaches wasmtime. What is left may take the compiler to its limits, and not beyond them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.hostile import raw as b
from wasmguard.hostile.case import PASSES, Case, Refused, core_text
from wasmguard.limits import KIB, MIB

if TYPE_CHECKING:
    from wasmguard.hostile.case import Module

DAMAGED = Refused(says=("is damaged",))
ORDER = Refused(says=("twice or in the wrong place",))
UNKNOWN = Refused(says=("has a section with id",))
COMPILER = Refused(says=("the compiler refuses it",), by="compiler")
WHOLE = b.policy()


def _refused(name: str, what: str, module: Module, *says: str) -> Case:
    return Case(name=name, what=what, must=Refused(says=says), module=module)


def _damaged(name: str, what: str, module: Module) -> Case:
    return Case(name=name, what=what, must=DAMAGED, module=module)


def _cut(percent: int) -> Module:
    return lambda: WHOLE[: len(WHOLE) * percent // 100]


def _many(count: int, identity: int, item: bytes) -> bytes:
    return b.policy(more={identity: [item] * count})


def _functions(count: int) -> bytes:
    return b.policy(more={b.FUNCTION: [b"\0"] * count, b.CODE: [b.body(b"")] * count})


def _function(code: bytes) -> bytes:
    """A policy with one function more."""
    return b.policy(more={b.FUNCTION: [b"\0"], b.CODE: [b.body(code)]})


HEADERS = (
    _refused("empty", "is empty", lambda: b"", "is empty"),
    _refused("one-byte", "is one zero byte", lambda: b"\0", "is cut short"),
    _refused("half-header", "is half a header", lambda: b.HEADER[:6], "is cut short"),
    _refused("only-header", "is a header and nothing else", lambda: b.HEADER, "does not export"),
    _refused("text", "is WebAssembly text", lambda: b"(module)", "is WebAssembly text"),
    _refused(
        "text-hidden",
        "is WebAssembly text behind blanks and a comment",
        lambda: b"\n\t ;; no module\n" + core_text("").encode(),
        "is WebAssembly text",
    ),
    _refused(
        "text-marked",
        "is WebAssembly text behind a byte order mark",
        lambda: b"\xef\xbb\xbf(module)",
        "is WebAssembly text",
    ),
    _refused(
        "text-large",
        "is 3 MB of WebAssembly text",
        lambda: b"(module " + b"(func)" * 500_000 + b")",
        "is WebAssembly text",
    ),
    _refused("gzip", "is compressed", lambda: b"\x1f\x8b\x08" + bytes(100), "is compressed with gzip"),
    _refused("zip", "is an archive", lambda: b"PK\x03\x04" + bytes(100), "is a zip archive"),
    _refused("elf", "is a native program", lambda: b"\x7fELF\x02\x01\x01" + bytes(100), "is a native program"),
    _refused(
        "elf-wasmtime",
        "is what wasmtime compiles to",
        lambda: b"\x7fELF\x02\x01\x01\xc8" + bytes(100),
        "is a native program",
    ),
    _refused("windows", "is a program for Windows", lambda: b"MZ" + bytes(100), "is no WebAssembly"),
    _refused("script", "is a script", lambda: b"#!/bin/sh\nid\n", "is no WebAssembly"),
    _refused(
        "page",
        "is a web page that tells of an error",
        lambda: b"<!DOCTYPE html><title>404</title>",
        "is no WebAssembly",
    ),
    _refused(
        "version-2", "says that it is of version 2", lambda: b"\0asm\x02\0\0\0" + WHOLE[8:], "core module of version 2"
    ),
    _refused(
        "layer-2",
        "says that it is of a layer that does not exist",
        lambda: b"\0asm\x01\0\x02\0" + WHOLE[8:],
        "unknown kind",
    ),
    _refused(
        "component-12", "says that it is an older component", lambda: b"\0asm\x0c\0\x01\0", "component of version 12"
    ),
    _refused(
        "core-as-component", "is a core module that calls itself a component", lambda: b.COMPONENT + WHOLE[8:], ""
    ),
    _refused(
        "component-as-core",
        "is a component that calls itself a core module",
        lambda: b.HEADER + b.section(4, b.COMPONENT),
        "",
    ),
    _refused("too-large", "is larger than a module may be", lambda: WHOLE + b.custom("c", bytes(4 * MIB)), "limit"),
    _refused("magic-in-capitals", "misspells its first bytes", lambda: b"\0ASM" + WHOLE[4:], "is no WebAssembly"),
)

LIES = (
    *(_damaged(f"cut-{part}", f"ends after {part}% of its bytes", _cut(part)) for part in (20, 55, 80, 99)),
    _damaged(
        "section-beyond", "announces a section larger than the file", lambda: b.HEADER + b"\x01\xff\xff\xff\xff\x0f"
    ),
    _damaged("number-too-long", "writes a size in six bytes", lambda: b.HEADER + b"\x01\x80\x80\x80\x80\x80\x00"),
    _damaged("number-too-large", "writes a size of more than 32 bits", lambda: b.HEADER + b"\x01\xff\xff\xff\xff\x1f"),
    _damaged(
        "count-too-large", "announces more types than fit", lambda: b.HEADER + b.section(b.TYPE, b"\x40\x60\x00\x00")
    ),
    _damaged(
        "bytes-left", "has bytes behind the last type", lambda: b.HEADER + b.section(b.TYPE, b"\x01\x60\x00\x00\x00")
    ),
    _damaged(
        "name-not-utf-8",
        "exports a name that is not UTF-8",
        lambda: b.policy(more={b.EXPORT: [b.name(b"\xff") + b"\0\0"]}),
    ),
    _damaged(
        "name-overlong",
        "exports a name in overlong UTF-8",
        lambda: b.policy(more={b.EXPORT: [b.name(b"\xc0\xae") + b"\0\0"]}),
    ),
    _damaged(
        "name-beyond",
        "exports a name longer than the file",
        lambda: b.policy(more={b.EXPORT: [b"\xff\xff\xff\xff\x0f"]}),
    ),
    _damaged(
        "export-nothing",
        "exports a function that is not there",
        lambda: b.policy(more={b.EXPORT: [b.name("x") + b"\0\x63"]}),
    ),
    _damaged(
        "type-nothing",
        "has a function of a type that is not there",
        lambda: b.policy(more={b.FUNCTION: [b"\x63"], b.CODE: [b.body(b"")]}),
    ),
    _damaged(
        "body-beyond",
        "has a function body larger than its section",
        lambda: b.policy(more={b.FUNCTION: [b"\0"], b.CODE: [b"\x7f\0\x0b"]}),
    ),
    _refused(
        "body-missing", "has a function without a body", lambda: b.policy(more={b.FUNCTION: [b"\0"]}), "function bodies"
    ),
    _refused(
        "body-too-many",
        "has a body without a function",
        lambda: b.policy(more={b.CODE: [b.body(b"")]}),
        "function bodies",
    ),
    Case(
        name="section-twice",
        what="has two type sections",
        must=ORDER,
        module=lambda: b.policy(after=b.listed(b.TYPE, [b.function_type()])),
    ),
    Case(
        name="section-late",
        what="has a start section at its end",
        must=ORDER,
        module=lambda: b.policy(after=b.section(b.START, b"\0")),
    ),
    Case(
        name="section-tag",
        what="has a section of tags",
        must=UNKNOWN,
        module=lambda: b.policy(after=b.section(13, b"\x00")),
    ),
    Case(
        name="section-unknown",
        what="has a section that does not exist",
        must=UNKNOWN,
        module=lambda: b.policy(after=b.section(99, b"")),
    ),
    _refused(
        "export-twice",
        "exports `evaluate` twice, with two types",
        lambda: b.policy(more={b.EXPORT: [b.name("wasmguard_evaluate") + b"\0\0"]}),
        "twice",
    ),
    Case(
        name="start-nothing",
        what="starts a function that is not there",
        must=COMPILER,
        module=lambda: b.policy(raw={b.START: b"\x63"}),
    ),
    Case(
        name="start-with-parameters",
        what="starts a function that takes parameters",
        must=COMPILER,
        module=lambda: b.policy(raw={b.START: b"\1"}),
    ),
    Case(
        name="code-invalid", what="has code of an unknown instruction", must=COMPILER, module=lambda: _function(b"\xff")
    ),
    Case(
        name="code-mistyped", what="has code that does not validate", must=COMPILER, module=lambda: _function(b"\x6a")
    ),
    Case(
        name="code-unfinished", what="has a block without an end", must=COMPILER, module=lambda: _function(b"\x02\x40")
    ),
    Case(
        name="data-count-lies",
        what="counts more data segments than it has",
        must=COMPILER,
        module=lambda: b.policy(raw={b.DATA_COUNT: b"\7"}),
    ),
    Case(
        name="dwarf",
        what="has debug information that is junk",
        must=PASSES,
        module=lambda: b.policy(
            after=b"".join(
                b.custom(f".debug_{part}", b"\xff" * 4 * KIB)
                for part in ("info", "line", "abbrev", "str", "loc", "ranges", "frame")
            )
        ),
    ),
    Case(
        name="names-lie",
        what="has a name section that counts to 2^32",
        must=PASSES,
        module=lambda: b.policy(after=b.custom("name", b"\x01\x06\xff\xff\xff\xff\x0f\0")),
    ),
    Case(
        name="producers-lie",
        what="has a producers section that counts to 2^32",
        must=PASSES,
        module=lambda: b.policy(after=b.custom("producers", b"\xff\xff\xff\xff\x0f")),
    ),
    Case(
        name="linking-lies",
        what="has sections for linkers and profilers that are junk",
        must=PASSES,
        module=lambda: b.policy(
            before=b.custom("dylink.0", b"\xff" * 99),
            after=b"".join(
                b.custom(n, b"\xff" * 99)
                for n in (
                    "linking",
                    "reloc.CODE",
                    "sourceMappingURL",
                    "metadata.code.branch_hint",
                    "target_features",
                    "component-type:x",
                )
            ),
        ),
    ),
)


def _over(name: str, what: str, module: Module, word: str) -> Case:
    return _refused(f"many-{name}", f"has too many {what}", module, f"{word} (limit")


CAPS = (
    _over("types", "types", lambda: _many(2_000, b.TYPE, b.function_type()), "types"),
    _over("functions", "functions", lambda: _functions(20_000), "functions"),
    _over("exports", "exports", lambda: _many(64, b.EXPORT, b.name("x") + b"\0\0"), "exports"),
    _over("segments", "data segments", lambda: _many(65_536, b.DATA, b"\x01\0"), "data segments"),
    _over("elements", "element segments", lambda: _many(1_001, b.ELEMENT, b"\x01\0\0"), "element segments"),
    _over(
        "parameters", "parameters", lambda: _many(1, b.TYPE, b.function_type(b.I32 * 1_001)), "parameters in one type"
    ),
    _refused(
        "element-bytes",
        "has 200,000 entries in an element segment",
        lambda: b.policy(more={b.TABLE: [b"\x70\0\x01"], b.ELEMENT: [b"\0\x41\0\x0b" + b.vector([b"\0"] * 200_000)]}),
        "bytes of element segments",
    ),
    _refused("giant-body", "has a function of 200 kB", lambda: _function(b"\x01" * 200_000), "in function body"),
    _refused(
        "calls-in-a-line",
        "calls 100,000 times in a line: a minute and a half of compiling",
        lambda: _function(b"\x10\0" * 100_000),
        "in function body",
    ),
    _refused(
        "names", "has 1.5 MB of names", lambda: b.policy(after=b.custom("name", bytes(1_500_000))), "custom sections"
    ),
    _refused("sections", "has 200 custom sections", lambda: b.policy(after=b.custom("c", b"") * 200), "sections"),
    _refused(
        "long-name",
        "exports a name of 100 kB that is no name of the ABI, without the ABI",
        lambda: b.HEADER + b.listed(b.MEMORY, [b"\0\1"]) + b.listed(b.EXPORT, [b.name("\x1b[2J" * 25_000) + b"\x02\0"]),
        "bytes of exports",
        "does not export",
    ),
)

CASES = (*HEADERS, *LIES, *CAPS)
