"""What the document of a benchmark looks like: the JSON schema in `schema.json`, each key with its meaning and unit."""

from __future__ import annotations

import json
import os
from typing import Any


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `wasmguard bench --json` prints and `--save` keeps."""
    with open(os.path.join(os.path.dirname(__file__), "schema.json"), encoding="utf-8") as file:
        return dict(json.load(file))
