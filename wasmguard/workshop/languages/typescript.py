"""TypeScript: built as JavaScript is, see `wasmguard.workshop.languages.javascript`."""

from __future__ import annotations

from wasmguard.workshop.languages.javascript import TYPESCRIPT

LANGUAGE = TYPESCRIPT
