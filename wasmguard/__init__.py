"""A guard for AI coding agents that runs untrusted policies in WebAssembly sandboxes.

    from wasmguard import Guard

    with Guard.load() as guard:
        decision = guard.decide({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {...}})

Names are loaded when they are used: a hook process imports this package for every tool call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasmguard.decision import Decision, Effect, Verdict
    from wasmguard.embedding import Guard, Guards
    from wasmguard.errors import WasmguardError
    from wasmguard.event import Event
    from wasmguard.version import __version__

__all__ = ["Decision", "Effect", "Event", "Guard", "Guards", "Verdict", "WasmguardError", "__version__"]

_HOME = {
    "Decision": "decision",
    "Effect": "decision",
    "Event": "event",
    "Guard": "embedding",
    "Guards": "embedding",
    "Verdict": "decision",
    "WasmguardError": "errors",
    "__version__": "version",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `wasmguard` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(f"wasmguard.{_HOME[name]}"), name)
