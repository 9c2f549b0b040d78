"""The languages that `wasmguard new` and `wasmguard build` know: a module each, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from wasmguard.workshop.languages.language import Language

NAMES = (
    *("rust", "c", "cpp", "go", "zig", "assemblyscript"),
    *("typescript", "javascript", "python", "rego", "wat"),
)
"""What `--lang` takes, in the order in which people are told: those that become core modules, components, the rest."""


class _Languages(Mapping[str, Language]):
    """Each language under its name."""

    def __getitem__(self, name: str) -> Language:
        if name not in NAMES:
            raise KeyError(name)
        language: Language = import_module(f"{__name__}.{name}").LANGUAGE
        return language

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


LANGUAGES: Mapping[str, Language] = _Languages()
