"""A policy of a component's kit, built and asked: what the tests of JavaScript and Python share."""

from pathlib import Path

from msgpack import packb

from wasmguard.guest.codec import decode_answer
from wasmguard.limits import PROFILES
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.portable import ComponentGuest, PortableEngine
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.sandbox.strip import stripped

SOURCES = Path(__file__).parents[3] / "policies-src"
LIMITS = PROFILES["roomy"].replaced(compile_cpu=240, compile_wall=240, clock=5_000)  # a machine that tests is busy
EVENT = {"hook_event_name": "PreToolUse", "tool_name": "Write", "cwd": "/w", "tool_input": {"it": "text"}}
LONG = "a€😀é" * 75_000  # 300,000 characters, 750 kB

NO_UTF8 = [
    *(b"\x80", b"\xbf", b"\xff", b"\xfe"),  # bytes that begin nothing
    *(b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf"),  # overlong
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf"),  # surrogates
    *(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf"),  # beyond U+10FFFF
    *(b"xxx\xc3", b"xx\xe2\x82", b"x\xf0\x9f\x98", b"\xe2\x82x", b"\xf0\x9fx", b"\xc3("),  # cut off
]
"""What is no UTF-8, of at most four bytes; those that are cut off at the end of a text are that long."""


class Kit:
    """A built policy."""

    def __init__(self, module):
        self.module = data = module.read_bytes()
        scanned = scan(data, LIMITS)
        check_abi(scanned)
        engine = PortableEngine(Setup(kind="component", stack=LIMITS.stack, reservation=LIMITS.memory))
        self._guest = ComponentGuest(engine, compiled(stripped(data), engine.setup, LIMITS), LIMITS, LIMITS.answer)

    def evaluate(self, request):
        return self._guest.evaluate(request)

    def asked(self, tool, given=None, **parts):
        return decode_answer(self.evaluate(request(tool, given, **parts))[0])


def request(tool, given=None, *, settings=None, state=None, **fields):
    event = {**EVENT, "tool_name": tool, **({} if given is None else {"tool_input": given}), **fields}
    return packb({"abi": 1, "event": event, "settings": settings or {}, "state": state})


def as_map(*pairs):
    """A map in which a key may come twice; keys and values are encoded unless they are bytes."""
    parts = [part if isinstance(part, bytes) else packb(part) for pair in pairs for part in pair]
    return bytes([0x80 + len(pairs)]) + b"".join(parts)


def whole(event):
    """A request about an encoded event."""
    return as_map(("abi", 1), ("event", event), ("settings", {}), ("state", None))


def deep(levels):
    value = "end"
    for _ in range(levels):
        value = {"inner": value}
    return value


def _wrong():
    parts = {"abi": 1, "event": EVENT, "settings": {}, "state": None}
    right = packb(parts)
    yield from (b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5000, b"\x91" * 5000, b"\x80", b"\xc0")
    yield from (right[:size] for size in range(1, len(right)))
    yield right + b"\xc0"
    for key, value in parts.items():
        yield as_map(*parts.items(), (key, value))
        yield as_map(*((other, parts[other]) for other in parts if other != key))
    for key, values in {
        "abi": (2, "1", True, 1.0),
        "event": (None, [], "x"),
        "settings": (None, []),
        "state": ("", 1),
    }.items():
        for value in values:
            yield packb({**parts, key: value})
    for event in _wrong_events():
        yield whole(event)


def _wrong_events():
    """Events of which no policy that reads the name of the tool and its input gets past what is wrong."""
    yield as_map(*EVENT.items(), ("tool_name", "Write"))
    yield as_map(*EVENT.items(), ("x", b"\xd4\x01\x00"))  # ext types
    yield as_map(*EVENT.items(), ("x", b"\x91\xc7\x01\x05a"))
    yield as_map(*EVENT.items(), (1, 2))  # keys that are no text
    yield as_map(*EVENT.items(), ("x", b"\x81\xc4\x01a\xc0"))
    for text in (b"\xa2\xff\xfe", b"\xa3\xed\xa0\x80", b"\xa2\xc0\xaf", b"\xda\x01\x00" + 256 * b"\x80"):
        yield as_map(("hook_event_name", "PreToolUse"), ("tool_name", text), ("tool_input", {}))
        yield as_map(("hook_event_name", "PreToolUse"), ("tool_name", "Write"), ("tool_input", as_map(("it", text))))
    for given in ("x", [], 1, as_map(("it", "a"), ("it", "b"))):
        yield as_map(("hook_event_name", "PreToolUse"), ("tool_name", "Write"), ("tool_input", given))


MALFORMED = list(_wrong())
