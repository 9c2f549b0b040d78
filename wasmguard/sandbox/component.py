"""What a component holds: its core modules, and what the outermost one imports and exports.

1. Components in components are walked with a list of what is still to do, never by recursion, down to `DEPTH`.
2. Every core module in them is read by `wasmguard.sandbox.core_module`, under the caps of `NESTED`; what all of them
   hold together has caps too.
3. Of a component's other sections the counts are read; imports and exports by name and kind, of the outermost only.
   Inner ones wire the parts to each other and reach nothing outside.

The binary format is that of the component model, `design/mvp/Binary.md`.
"""

from __future__ import annotations

from wasmguard.guest.abi import COMPONENT_HEADER
from wasmguard.sandbox.caps import COMPONENTS, CORE, CUSTOM_SECTIONS, DEPTH, ENTRIES, MODULES, OUTER, SECTIONS, TOGETHER
from wasmguard.sandbox.core_module import ONLY_THE_ABI, CoreModule, InnerModule, Part
from wasmguard.sandbox.reader import Reader, shown

CUSTOM, CORE_MODULE, COMPONENT, START, IMPORT, EXPORT, LAST = 0, 1, 4, 9, 10, 11, 12  # section ids
CORE_SORT, MODULE_SORT = 0x00, 0x11
VALUE, TYPE = 2, 3
SORTS = {1: "func", VALUE: "value", TYPE: "type", 4: "component", 5: "instance"}


class Component(Part):
    """One component and everything inside it, read."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.exports: dict[str, str] = {}  # name -> kind
        self.modules: list[CoreModule] = []
        self._together = dict.fromkeys(TOGETHER, 0)
        self._components = self._sections = 0
        todo = [(reader, 0)]
        while todo:
            inside, depth = todo.pop(0)
            todo += [(part, depth + 1) for part in self._read(inside, depth)]

    def _read(self, reader: Reader, depth: int) -> list[Reader]:
        """Read one component but for the components in it, which are returned."""
        if reader.take(len(COMPONENT_HEADER)) != COMPONENT_HEADER:
            reader.refuse("has a component of another version inside: build it again with current tools")
        parts = []
        for identity, section in reader.sections():
            self._sections += 1
            if self._sections > SECTIONS:
                reader.refuse(f"has more than {SECTIONS:,} component sections: build it from fewer parts")
            if identity == COMPONENT:
                self._count_component(section, depth + 1)
                parts.append(section)
            else:
                self._section(identity, section, outermost=depth == 0)
        return parts

    def _section(self, identity: int, section: Reader, *, outermost: bool) -> None:
        if identity > LAST:
            section.refuse(f"has a section with id {identity} (known in a component: 0 to {LAST}): build it again")
        elif identity == CUSTOM:
            self._custom(section)
            if len(self.custom) > CUSTOM_SECTIONS:
                section.refuse(f"has more than {CUSTOM_SECTIONS} custom sections: strip it")
        elif identity == CORE_MODULE:
            self._module(section)
        elif identity == IMPORT and outermost:
            self._imports(section)
        elif identity == EXPORT and outermost:
            self._exports(section)
        elif identity != START:  # which holds no list
            section.count(f"entries in one section with id {identity}", ENTRIES)

    def _count_component(self, section: Reader, depth: int) -> None:
        self._components += 1
        if depth > DEPTH:
            section.refuse(f"has components {depth} deep in each other (limit {DEPTH}): compose it flatter")
        if self._components > COMPONENTS:
            section.refuse(f"has more than {COMPONENTS} components inside: compose it from fewer parts")

    def _module(self, section: Reader) -> None:
        number = len(self.modules) + 1
        if number > MODULES:
            section.refuse(f"has more than {MODULES} core modules inside: compose it from fewer parts")
        section.where = f"has a core module inside (number {number}) that "
        module = InnerModule(section)
        self.modules.append(module)
        section.where = ""
        self._weigh(section, module.custom_bytes)
        for what, most in TOGETHER.items():
            self._together[what] += module.counts.get(what, 0)
            if self._together[what] > most:
                section.refuse(f"has {self._together[what]:,} {what} in its core modules (limit {most:,}): drop some")

    def _imports(self, section: Reader) -> None:
        _short(section, "imports", "a policy may import nothing")
        for _ in range(section.count("imports", ENTRIES, "a policy may import nothing")):
            self.imports.append(("", _name(section), _kind(section)))
            if len(self.imports) > OUTER:  # over all sections of this kind
                section.refuse(f"has more than {OUTER} imports: a policy may import nothing")
        section.finish()

    def _exports(self, section: Reader) -> None:
        _short(section, "exports", ONLY_THE_ABI)
        for _ in range(section.count("exports", ENTRIES, ONLY_THE_ABI)):
            name, kind = _name(section), _sort(section)
            section.u32()  # its index; the engine checks the type of what stands there
            if section.byte():  # an ascribed type follows
                _kind(section)
            if name in self.exports:
                section.refuse(f"exports `{shown(name)}` twice: build it again")
            self.exports[name] = kind
            if len(self.exports) > OUTER:
                section.refuse(f"has more than {OUTER} exports: {ONLY_THE_ABI}")
        section.finish()


def _short(section: Reader, what: str, advice: str) -> None:
    if section.left > CORE.names:
        section.refuse(f"has {section.left:,} bytes of {what} (limit {CORE.names:,}): {advice}")


def _name(section: Reader) -> str:
    if (form := section.byte()) > 1:
        section.damaged(f"a name of unknown form {form:#04x}")
    return section.name()


def _sort(section: Reader) -> str:
    """What a `sort` names. Core items other than modules cannot cross a component's border."""
    sort = section.byte()
    if sort == CORE_SORT and section.byte() == MODULE_SORT:
        return "core module"
    return SORTS.get(sort) or section.damaged(f"something of unknown sort {sort:#04x}")


def _kind(section: Reader) -> str:
    """What an `externdesc` describes; steps over the type that follows."""
    kind = _sort(section)
    bounded = section.byte() if kind in ("value", "type") else 0
    if kind == "type" and bounded:
        return kind  # any resource: no type follows
    section.unsigned(33)  # the index of a type, or a primitive type in one byte
    return kind
