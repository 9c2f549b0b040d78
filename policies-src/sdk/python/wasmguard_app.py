"""What `componentize-py` makes a component of: the policy in `policy.py`, behind the world's one function.

It runs once, at build time, and what is in memory then is the module. So that it is small, which is most of what an
event costs:

1. `wit_world` and `componentize_py_types` are made here. The generated ones import `dataclasses`, and with it
   `inspect`, `ast` and thirty more: 4 MB, of which nothing is used.
2. What is not needed any more is freed before the picture is taken, and the memory that it leaves is overwritten, for
   zeros are not kept.
3. Reading was done before, on a request of ours, so that the interpreter has adapted its code to it.
4. The garbage collector is off: no instance lives longer than one event.
"""

import gc
import sys

module = type(sys)


class Err(Exception):
    """The error arm of the world's function: its text is what the host reports."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


class Ok:
    """Its other arm, which a function may also return without it."""

    def __init__(self, value: object) -> None:
        self.value = value


class Some(Ok):
    """Not in our world, but expected there."""


types, world = module("componentize_py_types"), module("wit_world")
types.Err, types.Ok, types.Some = Err, Ok, Some
world.WitWorld = type("WitWorld", (), {})
sys.modules |= {types.__name__: types, world.__name__: world}

import policy as _policy  # noqa: E402, F401  # marks its function
from msgpack import packb  # noqa: E402
from wasmguard_guest import Request, deny  # noqa: E402
from wasmguard_guest.evaluate import evaluated, marked  # noqa: E402

WARM = {
    "abi": 1,
    "event": {
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "cwd": "/w",
        "time": 1764000000000,
        "tool_input": {"file_path": "/a/b", "content": 40 * "x", "list": [{"a": 1, "b": [True, None, 1.5]}, {}, []]},
    },
    "settings": {"folder": "/etc", "on": True, "names": ["a", "b"]},
    "state": None,
}

marked()


class WitWorld(world.WitWorld):
    """The world's export."""

    def evaluate(self, request: bytes) -> bytes:
        """What the policy answers, or the error arm."""
        try:
            return evaluated(request)
        except Exception as error:  # noqa: BLE001  # it becomes the error arm, whatever it is
            raise Err(f"{type(error).__name__}: {error}") from None


def _overwrite_what_is_free(largest: int = 1 << 18, smallest: int = 1 << 14, together: int = 1 << 20) -> None:
    held = []
    while largest >= smallest:
        held += [bytes(largest - 64) for _ in range(together // largest)]
        largest //= 4


def _warm(times: int = 20) -> None:
    for _ in range(times):
        request = Request(packb(WARM))
        request.event_name, request.tool_name, request.cwd  # noqa: B018  # reads them
        request.input_text("file_path"), request.setting_text("folder"), request.setting_texts("names")
        deny("why").rewrite("file_path", "/a").encoded()


_warm()
gc.collect()
_overwrite_what_is_free()
gc.freeze()
gc.disable()
