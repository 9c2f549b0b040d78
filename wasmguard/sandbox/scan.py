"""What a module is, from its bytes alone, and whether it speaks the guest ABI: asked before wasmtime sees a byte.

`scan` reads the structure. Pure Python, linear, without recursion; the first rule that is broken ends it:

1. The file is not empty and not over `limits.module`.
2. Its header is that of a core module or of a component. wasmtime takes bytes that do not start with NUL for text and
   assembles them (12 MB of text: 17.6 s, 869 MB), so nothing else may ever reach it.
3. A core module keeps the rules of `wasmguard.sandbox.core_module`, a component those of `wasmguard.sandbox.component`.
4. Two exports never look the same once their names are cleaned.

`check_abi` compares the shape with the ABI that the manifest declares, guest ABI 1 if there is none:

5. A command is refused, then every import but what `wasmguard.sandbox.wasi` meets by module, name and type, then every
   other ABI version, each with its own sentence. A component imports nothing at all.
6. A core module exports memory, marker, `alloc` and `evaluate` with exactly their types; `_initialize` may be absent.
   Further exports do no harm, but for functions of a v128: asked for such a type, the C API of wasmtime 50.0.1 aborts
   the process. A component exports the function `evaluate`.
7. A module of OPA imports exactly what `wasmguard.sandbox.opa` gives, and exports what it takes.
8. Memory is not shared and not 64-bit. Memory and tables fit their limits from the start.

The engine checks imports and exports again after compiling. Calls into a guest are unchecked and rest on these types,
so two readers that know nothing of each other have to agree. The type of a component's `evaluate` is checked by the
engine alone.

Caps bound what compiling may cost, they do not make it cheap: the limited child process does.
"""

from __future__ import annotations

from wasmguard.errors import ModuleRefused
from wasmguard.guest import abi
from wasmguard.limits import DEFAULT, KIB, Limits
from wasmguard.sandbox import opa, wasi
from wasmguard.sandbox.component import Component
from wasmguard.sandbox.core_module import CoreModule, Memory, Names, Part
from wasmguard.sandbox.reader import HEADER, Reader, shown
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE = 64 * KIB  # bytes of a page of linear memory
MAGIC = b"\0asm"
TEXT = (b"(", b";;")  # how WebAssembly text starts, after blanks
FOREIGN = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"\x7fELF": "is a native program (ELF): build it for a wasm32 target",
}
LISTED = 3  # imports that a message names; the others are counted
WASI_0 = "wasi_unstable"  # preview 0
MARKERS = "wasmguard_abi_"
COMMAND = "_start"


class Shape(Value):
    """What a module is made of, as its bytes say. Every name is cleaned: an ABI name cannot come of another one."""

    kind: str
    """`core` or `component`."""

    size: int
    """Bytes of the file."""

    imports: tuple[Names, ...] = ()
    """Module, name and description (see `exports`) of each; a component's imports have no module."""

    exports: Mapping[str, str]
    """What each name stands for: `func (i32) -> (i32)`, `memory`, …; in a component `func`, `instance`, …"""

    wasi: tuple[str, ...] = ()
    """The functions of `wasi_snapshot_preview1` that a core module imports, in its order; one may stand there twice."""

    opa: tuple[str, ...] = ()
    """What it imports of `env`, in its order: for a module of OPA that is everything."""

    memory: Memory | None = None
    """The largest memory at the start, wherever in the file."""

    functions: int = 0
    """How many are defined, in all core modules."""

    table_elements_min: int = 0
    """Elements of the largest table at the start."""

    custom: tuple[tuple[str, int], ...] = ()
    """Name and bytes of each custom section; of a component those outside its core modules."""

    producers: tuple[Names, ...] = ()
    """Field, tool and version, as the module says itself; of a component the first that says so."""


def scan(data: bytes, limits: Limits = DEFAULT) -> Shape:
    """The shape of a module.

    Raises:
        ModuleRefused: if it is something else, is damaged, or holds too much of something.
    """
    if not data:
        raise ModuleRefused("is empty: build it again")
    if len(data) > limits.module:
        raise ModuleRefused(f"has {len(data):,} bytes (limit {limits.module:,}): strip it, or raise `limits.module`")
    if data[:HEADER] == abi.CORE_HEADER:
        module = CoreModule(Reader(data))
        described = {name: module.description(name) for name in module.exports}
        return _shape(data, "core", module, described, [module])
    if data[:HEADER] == abi.COMPONENT_HEADER:
        component = Component(Reader(data))
        return _shape(data, "component", component, component.exports, component.modules)
    raise ModuleRefused(_header_refusal(data))


def check_abi(shape: Shape, limits: Limits = DEFAULT, declared: int | str = abi.VERSION) -> None:
    """Hold the shape against the ABI that was *declared*.

    Raises:
        ModuleRefused: if a policy with this shape could not be asked.
    """
    if refusal := next(_refusals(shape, limits, declared), ""):
        raise ModuleRefused(refusal)


def spoken(signature: abi.Signature) -> str:
    """A function's type as a shape describes it: `func (i32) -> (i32)`."""
    taken, given = map(", ".join, signature)
    return f"func ({taken}) -> ({given})"


def _shape(data: bytes, kind: str, part: Part, exports: Mapping[str, str], modules: list[CoreModule]) -> Shape:
    memories = [memory for module in modules for memory in module.memories]
    imports = _cleaned(part.imports)
    return Shape(
        kind=kind,
        size=len(data),
        imports=imports,
        wasi=tuple(name for module, name, _ in imports if module == wasi.MODULE),
        opa=tuple(name for module, name, _ in imports if module == opa.MODULE),
        exports=_distinct(exports),
        memory=max(memories, key=lambda memory: memory.minimum, default=None),
        functions=sum(module.defined for module in modules),
        table_elements_min=max((smallest for module in modules for smallest in module.tables), default=0),
        custom=tuple((shown(name), size) for name, size in part.custom),
        producers=next((_cleaned(p.producers) for p in (part, *modules) if p.producers), ()),
    )


def _cleaned(names: Iterable[Names]) -> tuple[Names, ...]:
    return tuple((shown(first), shown(second), shown(third)) for first, second, third in names)


def _distinct(exports: Mapping[str, str]) -> dict[str, str]:
    clean: dict[str, str] = {}
    for raw, description in exports.items():
        name = shown(raw)
        if name in clean:
            raise ModuleRefused(f"has two exports that look the same: `{name}`: rename one")
        clean[name] = description
    return clean


def _header_refusal(data: bytes) -> str:
    """What the file is instead of a module, as far as its first bytes tell."""
    head = data[:HEADER]
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            return what
    if data[: 4 * KIB].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(TEXT):
        return "is WebAssembly text: assemble it first, e.g. with wat2wasm"
    if len(data) < HEADER and data.startswith(MAGIC[: len(data)]):
        return f"is cut short: {len(data)} bytes, and the header alone takes {HEADER}: copy or build it again"
    if head.startswith(MAGIC):
        return _version_refusal(int.from_bytes(head[4:6], "little"), int.from_bytes(head[6:8], "little"))
    return f"is no WebAssembly: it starts with the bytes {head.hex(' ')}: name the `.wasm` file that the build made"


def _version_refusal(version: int, layer: int) -> str:
    known = {0: ("core module", 1), 1: ("component", 13)}
    if layer not in known:
        return f"is WebAssembly of an unknown kind (layer {layer}): build a core module or a component"
    kind, number = known[layer]
    return f"is a {kind} of version {version} (known: {number}): build it with tools for version {number}"


def _refusals(shape: Shape, limits: Limits, declared: int | str) -> Iterator[str]:
    """Why the shape cannot be asked, most helpful first."""
    if declared == abi.OPA:
        yield from _opa_refusals(shape)
    elif shape.kind == "component":
        yield from _component_import_refusals(shape.imports)
        yield from _export_refusals(shape.exports, {abi.COMPONENT_EXPORT: "func"}, {})
    else:
        yield from _core_refusals(shape)
    yield from _size_refusals(shape, limits)


def _core_refusals(shape: Shape) -> Iterator[str]:
    if opa.VERSION_GLOBAL in shape.exports and abi.EVALUATE not in shape.exports:
        yield f'is made by `opa build`: write `abi = "{abi.OPA}"` in its manifest'
    if COMMAND in shape.exports and abi.EVALUATE not in shape.exports:
        yield f"is a command, it exports `{COMMAND}`: build it as a reactor or library that exports `{abi.EVALUATE}`"
    yield from _import_refusals(shape.imports)
    markers = [name for name in shape.exports if name.startswith(MARKERS)]
    if markers and abi.MARKER not in markers:
        yield f"speaks {_listed(markers)}: known is guest ABI {abi.VERSION} (`{abi.MARKER}`): build it for that one"
    must = {abi.MEMORY: "memory"} | {name: spoken(signature) for name, signature in abi.CORE_EXPORTS.items()}
    may = {name: spoken(signature) for name, signature in abi.OPTIONAL_EXPORTS.items()}
    yield from _export_refusals(shape.exports, must, may)
    yield from _vector_refusals(shape)


def _opa_refusals(shape: Shape) -> Iterator[str]:
    if opa.VERSION_GLOBAL not in shape.exports:
        yield f"is not made by `opa build -t wasm`: build it so, or write `abi = {abi.VERSION}` in its manifest"
    given = {name: spoken(signature) for name, signature in opa.IMPORTS.items()} | {abi.MEMORY: "memory"}
    strange = [f"{module}.{name}" for module, name, _ in shape.imports if module != opa.MODULE or name not in given]
    if strange:
        yield f"imports {_listed(strange)}: a policy of OPA may import nothing but what OPA's ABI names"
    for _, name, description in shape.imports:
        if description != given[name]:
            yield f"imports `{name}` as {description}: it is {given[name]}: build it with `opa build -t wasm`"
    if abi.MEMORY not in (name for _, name, _ in shape.imports):
        yield f"does not import `{opa.MODULE}.{abi.MEMORY}`: build it with `opa build -t wasm`"
    must = {name: spoken(signature) for name, signature in opa.FUNCTIONS.items()}
    yield from _export_refusals(shape.exports, must | dict.fromkeys(opa.GLOBALS, "global"), {})
    yield from _vector_refusals(shape)


def _vector_refusals(shape: Shape) -> Iterator[str]:
    for name, description in shape.exports.items():
        if "v128" in description:
            yield f"exports `{name}` as {description}: wasmtime cannot name that type: do not export it"


def _component_import_refusals(imports: tuple[Names, ...]) -> Iterator[str]:
    names = [name for _, name, _ in imports]
    if any(name.startswith("wasi:") for name in names):
        yield f"imports {_listed(names)}: a policy may import nothing: build it with WASI stubbed out (`--stub-wasi`)"
    if names:
        yield f"imports {_listed(names)}: a policy may import nothing: build it without"


def _import_refusals(imports: tuple[Names, ...]) -> Iterator[str]:
    strange = [f"{module}.{name}" for module, name, _ in imports if module not in (wasi.MODULE, WASI_0)]
    if strange:
        yield f"imports {_listed(strange)}: a policy may import nothing but WASI: build it without"
    if old := [name for module, name, _ in imports if module == WASI_0]:
        yield f"imports {_listed(old)} of `{WASI_0}`: build it with current tools, for `{wasi.MODULE}`"
    if unmet := [name for _, name, _ in imports if name not in wasi.FUNCTIONS]:
        yield f"imports WASI {_listed(unmet)}, which a policy cannot have: build it without files and sockets"
    for _, name, description in imports:
        if description != (known := spoken(wasi.FUNCTIONS[name].signature)):
            yield f"imports WASI `{name}` as {description}: it is {known}: build it with current tools"


def _export_refusals(exports: Mapping[str, str], must: Mapping[str, str], may: Mapping[str, str]) -> Iterator[str]:
    missing = [f"`{name}`" for name in must if name not in exports]
    if missing:
        yield f"does not export {', '.join(missing)}: every policy has to"
    for name, wanted in {**must, **may}.items():
        if exports.get(name, wanted) != wanted:
            yield f"exports `{name}` as {exports[name]}: the guest ABI needs {wanted}"


def _size_refusals(shape: Shape, limits: Limits) -> Iterator[str]:
    memory = shape.memory or Memory(minimum=0)
    if memory.shared:
        yield "has a shared memory: build it without threads"
    if memory.is_64:
        yield "has a 64-bit memory: build it for wasm32"
    if memory.minimum * PAGE > limits.memory:
        size = f"{memory.minimum * PAGE:,} bytes of memory (limit {limits.memory:,})"
        yield f"starts with {size}: build it with less initial memory, or raise `limits.memory`"
    if shape.table_elements_min > limits.table_elements:
        size = f"a table of {shape.table_elements_min:,} elements (limit {limits.table_elements:,})"
        yield f"starts with {size}: build it smaller, or raise `limits.table_elements`"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"`{name}`" for name in names[:LISTED]) + more
