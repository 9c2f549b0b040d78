"""What the sections of one core module say.

1. Each section comes at most once and in the order of the specification; only custom sections may stand anywhere.
2. Types, imports, functions, tables, memories, exports and code are read to their last byte. So the type of an exported
   function is certain: export -> index -> type, imports first in the index space. Of the other sections the count is
   read; the engine validates the rest. In a module inside a component, whose types and names reach nothing outside,
   types, imports, functions and exports are only counted too.
3. Every count is held against `Caps` before anything is counted.
4. Only what the engine has switched on is read: function types of numbers, vectors, `funcref` and `externref`. Anything
   else (GC types, tags, typed references, custom page sizes) is refused here, before the engine refuses it again.
"""

from __future__ import annotations

from wasmguard.errors import ModuleRefused
from wasmguard.guest.abi import CORE_HEADER
from wasmguard.sandbox.caps import CORE, NESTED, Caps
from wasmguard.sandbox.reader import SMALLER, Reader, shown
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Core specification 5.5: by id, but the count of data segments (12) comes before the code.
ORDER = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11)
VALUE_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref"}
KNOWN_VALUES, KNOWN_REFERENCES = bytes(VALUE_TYPES), bytes([0x70, 0x6F])
KINDS = ("func", "table", "memory", "global")
PRODUCERS = 16  # fields, and tools in each: three fields are specified, and a toolchain has a handful of tools
ONLY_WASI = "a policy may import nothing but WASI"
ONLY_THE_ABI = "export only what the guest ABI names"
NO_PROPOSALS = "build it without proposals (GC, exceptions, typed references, custom page sizes)"

Names = tuple[str, str, str]  # module, name, description of an import; or field, name, version of a producer: raw text


class Memory(Value):
    """The size of a linear memory as its module declares it, in pages of 64 KiB."""

    minimum: int
    maximum: int | None = None
    shared: bool = False
    is_64: bool = False


class Part:
    """What core modules and components have in common. Names in it are raw: clean them before they go anywhere."""

    def __init__(self) -> None:
        self.custom: list[tuple[str, int]] = []
        self.custom_bytes = 0
        self.producers: tuple[Names, ...] = ()
        self.imports: list[Names] = []

    def _weigh(self, reader: Reader, custom_bytes: int) -> None:
        self.custom_bytes += custom_bytes
        if self.custom_bytes > CORE.custom:
            reader.refuse(f"has {self.custom_bytes:,} bytes of custom sections (limit {CORE.custom:,}): strip it")

    def _custom(self, section: Reader) -> None:
        self._weigh(section, section.left)
        size, name = section.left, section.name()
        self.custom.append((name, size))
        if name == "producers" and not self.producers:
            self.producers = _producers(section)


class CoreModule(Part):
    """One core module, read."""

    sections: Mapping[int, Callable[[CoreModule, Reader], None]]

    def __init__(self, reader: Reader, caps: Caps = CORE) -> None:
        super().__init__()
        self.caps = caps
        self.counts: dict[str, int] = {}  # of types, imports, functions and exports, as announced
        self.types: list[tuple[bytes, bytes]] = []  # parameters and results, as they are encoded
        self.functions: list[int] = []  # the type of each
        self.tables: list[int] = []  # the smallest size of each
        self.memories: list[Memory] = []
        self.globals = 0
        self.exports: dict[str, tuple[int, int]] = {}  # kind and index
        self.bodies = 0
        self._read(reader)

    @property
    def defined(self) -> int:
        """Functions that the module has itself."""
        return self.counts.get("functions", 0)

    def description(self, name: str) -> str:
        """What is exported under that name: `func (i32) -> (i32)`, `memory`, …"""
        kind, index = self.exports[name]
        return self._type(self.functions[index]) if KINDS[kind] == "func" else KINDS[kind]

    def _type(self, index: int) -> str:
        taken, given = (", ".join(VALUE_TYPES[v] for v in side) for side in self.types[index])
        return f"func ({taken}) -> ({given})"

    def _read(self, reader: Reader) -> None:
        if reader.take(len(CORE_HEADER)) != CORE_HEADER:
            reader.refuse("is no core module of version 1: build it again with current tools")
        place = -1
        for number, (identity, section) in enumerate(reader.sections(), 1):
            if number > self.caps.sections:
                reader.refuse(f"has more than {self.caps.sections} sections: strip it")
            if identity == 0:
                self._custom(section)
                continue
            if identity not in ORDER:
                section.refuse(f"has a section with id {identity} (known: 0 to 12): {NO_PROPOSALS}")
            if ORDER.index(identity) <= place:
                section.refuse(f"has section {identity} twice or in the wrong place: build it again")
            place = ORDER.index(identity)
            self.sections[identity](self, section)
        if self.bodies != self.defined:
            reader.refuse(f"has {self.bodies:,} function bodies for {self.defined:,} functions: build it again")

    def _count(self, section: Reader, what: str, advice: str = SMALLER) -> int:
        self.counts[what] = section.count(what, getattr(self.caps, what), advice)
        return self.counts[what]

    def _named(self, section: Reader, what: str, advice: str) -> int:
        if section.left > self.caps.names:
            section.refuse(f"has {section.left:,} bytes of {what} (limit {self.caps.names:,}): {advice}")
        return self._count(section, what, advice)

    def _types(self, section: Reader) -> None:
        for _ in range(self._count(section, "types")):
            form = section.byte()
            if form != 0x60:
                section.refuse(f"has a type that is no function type (form {form:#04x}): {NO_PROPOSALS}")
            self.types.append((self._values(section, "parameters"), self._values(section, "results")))
        section.finish()

    def _values(self, section: Reader, what: str) -> bytes:
        values = section.take(section.count(f"{what} in one type", self.caps.parameters))
        if strange := values.translate(None, KNOWN_VALUES):
            section.refuse(f"uses values of type {strange[0]:#04x}: {NO_PROPOSALS}")
        return values

    def _imports(self, section: Reader) -> None:
        for _ in range(self._named(section, "imports", ONLY_WASI)):
            module, name, kind = section.name(), section.name(), section.byte()
            if kind >= len(KINDS):
                section.refuse(f"imports `{shown(module)}.{shown(name)}` of kind {kind}: {NO_PROPOSALS}")
            DECLARATIONS[kind](self, section)
            self.imports.append((module, name, KINDS[kind] if kind else self._type(self.functions[-1])))
        section.finish()

    def _function(self, section: Reader) -> None:
        index = section.u32()
        if index >= len(self.types):
            section.damaged(f"a function of type {index:,}, there are {len(self.types):,}")
        self.functions.append(index)

    def _table(self, section: Reader) -> None:
        if section.byte() not in KNOWN_REFERENCES:
            section.refuse(f"has a table of something else than `funcref` and `externref`: {NO_PROPOSALS}")
        self.tables.append(_extent(section).minimum)
        if len(self.tables) > self.caps.tables:
            section.refuse(f"has {len(self.tables)} tables (limit {self.caps.tables}): build it with one")

    def _memory(self, section: Reader) -> None:
        self.memories.append(_extent(section))
        if len(self.memories) > self.caps.memories:
            section.refuse(f"has {len(self.memories)} memories (limit {self.caps.memories}): build it with one")

    def _global(self, section: Reader) -> None:
        if (value := section.byte()) not in VALUE_TYPES:
            section.refuse(f"uses values of type {value:#04x}: {NO_PROPOSALS}")
        section.skip(1)  # whether it is mutable
        self.globals += 1

    def _functions(self, section: Reader) -> None:
        kinds = section.numbers(self._count(section, "functions"))
        if kinds and (largest := max(kinds)) >= len(self.types):
            section.damaged(f"a function of type {largest:,}, there are {len(self.types):,}")
        self.functions += kinds

    def _tables(self, section: Reader) -> None:
        for _ in range(section.count("tables", self.caps.tables, "build it with one")):
            self._table(section)
        section.finish()

    def _memories(self, section: Reader) -> None:
        for _ in range(section.count("memories", self.caps.memories, "build it with one")):
            self._memory(section)
        section.finish()

    def _globals(self, section: Reader) -> None:
        self.globals += section.count("globals", self.caps.globals)

    def _exports(self, section: Reader) -> None:
        spaces = (len(self.functions), len(self.tables), len(self.memories), self.globals)
        for _ in range(self._named(section, "exports", ONLY_THE_ABI)):
            name, kind, index = section.name(), section.byte(), section.u32()
            if kind >= len(KINDS):
                section.refuse(f"exports `{shown(name)}` of kind {kind}: {NO_PROPOSALS}")
            if index >= spaces[kind]:
                section.damaged(f"`{shown(name)}` is {KINDS[kind]} {index:,}, there are {spaces[kind]:,}")
            if name in self.exports:
                section.refuse(f"exports `{shown(name)}` twice: build it again")
            self.exports[name] = kind, index
        section.finish()

    def _start(self, section: Reader) -> None:
        section.u32()
        section.finish()

    def _elements(self, section: Reader) -> None:
        if section.left > self.caps.element_bytes:
            section.refuse(
                f"has {section.left:,} bytes of element segments (limit {self.caps.element_bytes:,}): {SMALLER}"
            )
        section.count("element segments", self.caps.element_segments)

    def _data(self, section: Reader) -> None:
        section.count("data segments", self.caps.data_segments)

    def _data_count(self, section: Reader) -> None:
        number = section.u32()  # stands before the segments themselves, so the bytes that are left say nothing
        if number > self.caps.data_segments:
            section.refuse(f"has {number:,} data segments (limit {self.caps.data_segments:,}): {SMALLER}")
        section.finish()

    def _code(self, section: Reader) -> None:
        if section.left > self.caps.code:
            section.refuse(f"has {section.left:,} bytes of code (limit {self.caps.code:,}): {SMALLER}")
        self.bodies = section.count("function bodies", self.caps.functions)
        sizes = section.sizes(self.bodies)
        if sizes and (largest := max(sizes)) > self.caps.body:
            number = sizes.index(largest)
            section.refuse(f"has {largest:,} bytes in function body {number:,} (limit {self.caps.body:,}): split it up")
        section.finish()


class InnerModule(CoreModule):
    """One core module of a component, read under the caps of those."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, NESTED)


DECLARATIONS = (CoreModule._function, CoreModule._table, CoreModule._memory, CoreModule._global)
CoreModule.sections = {
    1: CoreModule._types,
    2: CoreModule._imports,
    3: CoreModule._functions,
    4: CoreModule._tables,
    5: CoreModule._memories,
    6: CoreModule._globals,
    7: CoreModule._exports,
    8: CoreModule._start,
    9: CoreModule._elements,
    10: CoreModule._code,
    11: CoreModule._data,
    12: CoreModule._data_count,
}
InnerModule.sections = CoreModule.sections | {
    identity: lambda module, section, what=what: module._count(section, what)
    for identity, what in ((1, "types"), (2, "imports"), (3, "functions"), (7, "exports"))
}


def _extent(section: Reader) -> Memory:
    """The smallest and the largest size of a memory (in pages) or of a table (in elements)."""
    flags = section.byte()
    if flags > 7:
        section.refuse(f"has a memory or a table with flags {flags:#04x}: {NO_PROPOSALS}")
    bits = 64 if flags & 4 else 32
    smallest = section.unsigned(bits)
    largest = section.unsigned(bits) if flags & 1 else None
    return Memory(minimum=smallest, maximum=largest, shared=bool(flags & 2), is_64=bool(flags & 4))


def _producers(section: Reader) -> tuple[Names, ...]:
    """The tools that made the module, as it says itself. No engine reads this section: a broken one says nothing."""
    try:
        return tuple(_tools(section))
    except ModuleRefused:
        return ()


def _tools(section: Reader) -> Iterator[Names]:
    for _ in range(section.count("fields", PRODUCERS)):
        field = section.name()
        for _ in range(section.count("tools", PRODUCERS)):
            yield field, section.name(), section.name()
