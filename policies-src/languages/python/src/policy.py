"""Moves the paths that tools write to into one folder. The rules are those of `../../path-redirect/src/redirect.rs`."""

from __future__ import annotations

from patterns import fits
from wasmguard_guest import Answer, Request, deny, normal, pass_, policy

FIELDS = ("file_path", "notebook_path", "path", "scriptPath")
TOOLS = ["Write", "Edit", "NotebookEdit"]
LONGEST = 4096  # bytes: PATH_MAX, and the most that the host accepts in a rewrite
ABSOLUTE = "give an absolute path, it is moved into "


class Refused(Exception):
    """A path that cannot be moved: what is wrong with it, and what to do. The root follows."""


@policy
def judge(request: Request) -> Answer:
    """What happens to a tool call that carries paths."""
    if request.event_name != "PreToolUse":
        return pass_()
    given = [(field, request.input_text(field)) for field in FIELDS]
    tools = request.setting_texts("tools")
    if request.tool_name not in (TOOLS if tools is None else tools):
        return pass_()
    root = _root(request)
    if root is None:
        return deny("the setting `root` is no absolute path: the owner must set one")
    answer = pass_()
    moves = False
    for field, path in given:
        try:
            moved = None if path is None else _destination(path, root, request)
        except Refused as refused:
            wrong, instead = refused.args
            return deny(f"{field} {wrong}: {instead}{root or '/'}")
        if moved is not None:
            answer.rewrite(field, moved)
            moves = True
    return answer.because(f"moved into {root or '/'}") if moves else answer


def _root(request: Request) -> str | None:
    """The setting as a normal path, if it is absolute; `/` is empty."""
    given = request.setting_text("root")
    given = "/sandbox" if given is None else given
    return normal(given).rstrip("/") if given.startswith("/") else None


def _destination(given: str, root: str, request: Request) -> str | None:
    """Where a path moves to, or None if it stays."""
    path = normal(_start(given, request.cwd) + given).rstrip("/")
    if any(fits(pattern, path) for pattern in request.setting_texts("exempt") or []):
        return None
    if path.startswith(root + "/"):
        return path if ".." in given.split("/") else None
    if path in ("", root):
        raise Refused("would be the folder itself", "name a file in ")
    return root + path


def _start(given: str, cwd: str | None) -> str:
    """What stands before a path: nothing before an absolute one."""
    if not given:
        raise Refused("is empty", ABSOLUTE)
    if given.startswith("~"):
        raise Refused("starts with ~", ABSOLUTE)
    if _size(given) > LONGEST:
        raise Refused("is longer than 4096 bytes", "give a shorter path, it is moved into ")
    if given.startswith("/"):
        return ""
    if cwd is None or not cwd.startswith("/") or _size(cwd) > LONGEST:
        raise Refused("starts at an unknown folder", ABSOLUTE)
    return cwd + "/"


def _size(path: str) -> int:
    return len(path.encode())
