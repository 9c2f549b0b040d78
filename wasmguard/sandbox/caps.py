"""How much of each thing a module may hold, so that neither the scan nor the compiler chokes on it.

Nothing interrupts a compiler, and it aborts its process when memory runs out. These caps leave what takes it a second
or two; the limited child process is what holds.

"Largest" is the largest measured: for core modules in C, C++, Rust, Zig, Go and QuickJS, for components in those of
componentize-py 0.25.1 and componentize-qjs 0.4.5, November 2026. The times are those of wasmtime 50.0.1.
"""

from __future__ import annotations

from wasmguard.limits import KIB, MIB
from wasmguard.value import Value


class Caps(Value):
    """How much of each thing one core module may hold."""

    sections: int = 128
    """12 kinds are known; the others are custom, such as those of debug information. Largest: 12."""

    types: int = 2_000
    """Function types. Largest: 94; in a component 509."""

    parameters: int = 1_000
    """Parameters, or results, of one type: what the engine allows."""

    imports: int = 64
    """All of them from WASI, as long as anything is imported at all. Largest: 17, Go unsealed."""

    names: int = 64 * KIB
    """Bytes of the import section, and of the export section. Largest: 644. The engine takes names of 100 kB."""

    functions: int = 20_000
    """Largest: 2,307; in a component 10,625. 50,000 of them took the compiler 22-41 s."""

    tables: int = 4
    """Imported ones included. Largest: 1."""

    memories: int = 1
    """Imported ones included. Every compiler makes one."""

    globals: int = 1_000
    """Largest: 14; in a component 508."""

    exports: int = 64
    """Largest: 20. 100,000 of them cost the engine 25 s in one look."""

    element_segments: int = 1_000
    """Largest: 1; in a component 3."""

    element_bytes: int = 64 * KIB
    """Bytes of the element section: 200,000 entries took the compiler 14 s. Largest: 4.5 kB, in a component 9.9 kB."""

    data_segments: int = 65_536
    """Go makes 39,559-45,897; 99,000 cost 0.3-0.5 s."""

    body: int = 128 * KIB
    """Bytes of one function's code. Largest: 34 kB. Calls in a line: 76 kB take 0.34 s, 152 kB 3.0 s."""

    code: int = 8 * MIB
    """Bytes of the code section. Largest: 2.2 MB."""

    custom: int = 1 * MIB
    """Bytes of all custom sections. Largest: 185; in a component 239 kB."""


CORE = Caps()
NESTED = CORE.replaced(  # for each core module; the largest: componentize-py
    imports=2_000,  # 918
    exports=4_000,  # 1,857
    body=512 * KIB,  # 427 kB
    code=16 * MIB,  # 5.9 MB
)
TOGETHER = {  # for all core modules of one component, so that a scan stays short; componentize-py:
    "types": 8_000,  # 1,323
    "imports": 8_000,  # 2,387
    "functions": 32_000,  # 13,478
    "exports": 16_000,  # 4,441
}
DEPTH = 8  # levels of components in components; componentize-qjs: 3
MODULES = 64  # core modules; componentize-py: 38
COMPONENTS = 64  # components inside; componentize-qjs: 23
CUSTOM_SECTIONS = 256  # outside of core modules; componentize-py: 2
SECTIONS = 4_000  # of all components; componentize-qjs: 627
OUTER = 64  # imports, and exports, of the outermost component; componentize-py without stubs: 25 and 2
ENTRIES = 2_000  # of one section; componentize-py: 249
