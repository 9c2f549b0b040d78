"""What an agent could craft: bulk around a plain input that some policy may stop, and the plain one beside it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from wasmguard.limits import EVENT_DEPTH
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CWD = "/home/dev/project"
TOKEN = "ghp_" + "1aB9zQ7kLw3Xe5Rt8Yu2Io4Pa6Sd0Fg7Hj9K"[:36]  # the form of an access token, and nobody's
END = f"cat /home/dev/.ssh/id_ed25519 && echo {TOKEN} && rm -rf / --no-preserve-root"
"""Three things in one that a policy may be there to stop."""
LINE = "a line of a program\n"
MEGA = 1_000_000


class Crafted(Value):
    """One input, and the plain one that it hides."""

    name: str
    event: str
    tool: str | None
    plain: bytes
    """A hook's input, as JSON."""
    raw: Callable[[], bytes]
    """The same with the bulk; made when it is needed, for some are large."""


def crafted() -> Iterator[Crafted]:
    """The inputs, in the order in which they are tried."""
    yield from (_bash(name, bulk) for name, bulk in BEFORE.items())
    yield from (_bash(name, bulk, plain) for name, (bulk, plain) in AROUND.items())
    yield from _inputs()
    yield from _files()
    text = {"hook_event_name": "UserPromptSubmit", "prompt": END}
    yield _made("a prompt of 1 MB", text, lambda: {**text, "prompt": "a word, " * (MEGA // 8) + END})
    yield _output("an output of 2 MB", lambda: "a line of output\n" * (2 * MEGA // 17))


BEFORE: Mapping[str, Callable[[], str]] = {
    "50,000 segments of `true;`": lambda: "true; " * 50_000,
    "1 MB in quotes": lambda: f'echo "{"x" * MEGA}"; ',
    "1,000,000 arguments": lambda: f"echo{' a' * MEGA}; ",
    "3,000 here-documents": lambda: "cat <<E\nx\nE\n" * 3_000,
    "200 backticks": lambda: f"echo {'`true` ' * 100}; ",
    "5,000 nested `$(`": lambda: f"echo {'$(echo ' * 5_000}x{')' * 5_000}; ",
    "a word of 1 MB": lambda: f"echo {'x' * MEGA}; ",
    "300,000 quotes in turns": lambda: "echo " + "'a'\"b\"" * 75_000 + "; ",
    "500,000 backslashes": lambda: "echo " + "\\" * 500_000 + "; ",
    "braces for 2^1,000 words": lambda: f"echo {'{a,b}' * 1_000}; ",
    "100,000 NULs": lambda: "true " + "\0" * 100_000 + "\n",
    "1,000,000 line feeds": lambda: "\n" * MEGA,
    "100,000 short lines": lambda: "true\n" * 100_000,
    "look-alike letters": lambda: "ｒｍ －ｒｆ ／; " * 40_000,
    "1 MB of combining marks": lambda: f"echo e{chr(0x301) * (MEGA // 2)}; ",
}
"""What stands before the end of a command line."""

AROUND: Mapping[str, tuple[Callable[[], str], str]] = {
    "5,000 nested parentheses": (lambda: "( " * 5_000 + END + " )" * 5_000, f"( {END} )"),
    "an end within 5,000 `$(`": (lambda: f"echo {'$(' * 5_000}{END}{')' * 5_000}", f"echo $({END})"),
}
"""What an end stands in, and the same once."""


def _inputs() -> Iterator[Crafted]:
    """Tool inputs with more in them than a command."""
    plain = {"command": END}
    levels = EVENT_DEPTH - 4  # the event, its input and the innermost object leave that many
    deep = f"{'[' * levels}{']' * levels}"
    yield _tool(f"{levels} levels of JSON", "Bash", plain, lambda: {"deep": json.loads(deep), **plain})
    many = {f"key {number}": "x" for number in range(100_000)}
    yield _tool("100,000 keys", "Bash", plain, lambda: {**many, **plain})
    one = _tool("100,000 levels of JSON", "Bash", plain, lambda: {"deep": 0, **plain})
    yield one.replaced(raw=lambda: one.raw().replace(b'"deep":0', b'"deep":' + b"[" * 100_000 + b"]" * 100_000))


def _files() -> Iterator[Crafted]:
    """Writes with a path or a content that is long."""
    for size in (3, 5):
        for path in ("/etc/passwd", f"{CWD}/.env"):
            name = f"a Write of {size} MB to {os.path.basename(path)}"
            yield _write(name, path, times=size * MEGA // len(LINE))
    yield _write("a path of 1 MB of `../`", "../../../../etc/passwd", "../" * (MEGA // 3) + "etc/passwd")
    yield _write("a path of 1 MB of `./`", "/etc/passwd", "/" + "./" * (MEGA // 2) + "etc/passwd")


def _write(name: str, path: str, long_path: str = "", times: int = 1) -> Crafted:
    """A Write to *path*, which is the same file as *long_path*, of so many *times* a line."""
    plain = {"file_path": path, "content": LINE}
    return _tool(name, "Write", plain, lambda: {"file_path": long_path or path, "content": LINE * times})


def _bash(name: str, bulk: Callable[[], str], plain: str = "") -> Crafted:
    """A command line: *bulk* before `END`, or around it, where *plain* is the same without."""
    return _tool(name, "Bash", {"command": plain or END}, lambda: {"command": bulk() + ("" if plain else END)})


def _tool(name: str, tool: str, plain: Mapping[str, Any], given: Callable[[], Mapping[str, Any]]) -> Crafted:
    base = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_use_id": "toolu_01crafted"}
    return _made(name, {**base, "tool_input": plain}, lambda: {**base, "tool_input": given()})


def _output(name: str, bulk: Callable[[], str]) -> Crafted:
    """What a command has printed, with a secret at its end."""
    base = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_use_id": "toolu_01crafted"}

    def printed(text: str) -> dict[str, Any]:
        given = {"command": "cat log"}
        return {**base, "tool_input": given, "tool_response": {"stdout": text, "stderr": "", "interrupted": False}}

    return _made(name, printed(TOKEN), lambda: printed(bulk() + TOKEN))


def _made(name: str, plain: Mapping[str, Any], given: Callable[[], Mapping[str, Any]]) -> Crafted:
    """Both inputs as a hook gets them, each of a session of its own: what policies remember is another's."""

    def raw(fields: Mapping[str, Any], session: str) -> bytes:
        whole = {"session_id": session, "cwd": CWD, "permission_mode": "default", **fields}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()

    return Crafted(
        name=name,
        event=plain["hook_event_name"],
        tool=plain.get("tool_name"),
        plain=raw(plain, f"plain {name}"),
        raw=lambda: raw(given(), name),
    )
