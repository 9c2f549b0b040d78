"""Immutable records, compared by their fields: frozen dataclasses that cost nothing to import.

A hook is a new process for every tool call. `dataclasses` imports `inspect`, and that alone takes 12 ms where the bare
interpreter takes 7 (CPython 3.11; `python benchmarks/startup.py` prints both), so the words on the hook's path are
built on these lines instead. Fields are declared and checked by type checkers like those of a dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """What `typing.dataclass_transform` is at run time, without importing `typing` (4 ms)."""
        return lambda cls: cls


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Value:
    """A record whose annotations are its fields; class attributes are their defaults."""

    _fields: tuple[str, ...] = ()
    _names: frozenset[str] = frozenset()
    _required: frozenset[str] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)
        cls._names = frozenset(cls._fields)
        cls._required = frozenset(name for name in cls._fields if not hasattr(cls, name))

    def __init__(self, **fields: Any) -> None:
        given = fields.keys()
        if not (given <= self._names and given >= self._required):
            unknown, missing = sorted(given - self._names), sorted(self._required - given)
            raise TypeError(f"{type(self).__name__}: unknown {unknown}, missing {missing}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: use `replaced`")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({inside})"

    def as_dict(self) -> dict[str, Any]:
        """Every field and its value, in the order of declaration."""
        return {name: getattr(self, name) for name in self._fields}

    def replaced(self, **changes: Any) -> Self:
        """The same record with some fields changed."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.__dict__.update(changes)
        if not changes.keys() <= self._names:
            raise TypeError(f"{type(self).__name__}: unknown {sorted(changes.keys() - self._names)}")
        return made


def same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON data, types included: `1 == True` and `1 == 1.0` are Python's view, not JSON's."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if type(one) is list:
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
