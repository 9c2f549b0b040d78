"""WebAssembly text, assembled by wasmtime itself: no toolchain, and no kit, the policy is all there is."""

from __future__ import annotations

from pathlib import Path

from wasmguard.errors import BuildError, BundleError
from wasmguard.workshop.languages.language import Language, text_of

MARK = "src/policy.wat"


def compile(project: Path, work: Path) -> Path:
    """The module that the project's one source file spells.

    Raises:
        BuildError: if it is no WebAssembly text; `said` shows where.
    """
    from wasmguard.sandbox.assemble import assembled

    text = text_of(project, MARK)
    try:
        module = assembled(text)
    except BundleError as error:
        said = str(error.__context__).replace("<anon>", MARK)  # the assembler's own words, with line and caret
        raise BuildError(f"`{MARK}` cannot be assembled: where is said above", said=said) from None
    made = work / "policy.wasm"
    made.write_bytes(module)
    return made


LANGUAGE = Language(name="wat", title="WebAssembly text", mark=MARK, compile=compile)
