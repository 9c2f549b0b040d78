"""Hostile cases about paths: a rewrite that may go below a folder, and tries every way out of it.

Each case has a folder of its own, in which things lie that were planted before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.hostile.case import OUTSIDE, ROOT, TOOL, Answered, Case
from wasmguard.hostile.raw import NIL, answer, array, integer, pairs, text

if TYPE_CHECKING:
    from collections.abc import Callable

WITHIN = (f'grants.rewrite."{TOOL}.file_path" = {{ within = "{ROOT}" }}',)
Planted = tuple[tuple[str, str, str], ...]


def _to(path: str | bytes) -> Callable[[str], bytes]:
    """An answer that rewrites `file_path` to *path*; `$ROOT` in it is the case's folder."""

    def said(root: str) -> bytes:
        value = text(path.replace(ROOT, root)) if isinstance(path, str) else path
        return answer(rewrite=pairs((text("file_path"), value)))

    return said


def _out(name: str, what: str, path: str | bytes, plant: Planted = ()) -> Case:
    return Case(
        name=name, what=f"rewrites the path to {what}", must=OUTSIDE, answer=_to(path), lines=WITHIN, plant=plant
    )


def _below(name: str, what: str, tail: str, plant: Planted = ()) -> Case:
    return _out(name, what, f"{ROOT}/{tail}", plant)


def _in(name: str, what: str, tail: str, plant: Planted = ()) -> Case:
    path = f"{ROOT}/{tail}"
    must = Answered(rewrite={"file_path": path})
    return Case(
        name=f"control-{name}",
        what=f"rewrites the path to {what}",
        must=must,
        answer=_to(path),
        lines=WITHIN,
        plant=plant,
    )


ELSEWHERE = (
    _out("elsewhere", "another file", "/etc/passwd"),
    _out("root", "the folder itself", ROOT),
    _out("root-slash", "the folder and a slash", f"{ROOT}/"),
    _out("sibling", "a folder whose name begins alike", f"{ROOT}ed/x"),
    _out("parent", "a file beside the folder", f"{ROOT}/../x"),
    _out("parent-and-back", "out of the folder and in again", f"{ROOT}/../paths-parent-and-back/x"),
    _out("parents", "up many times", f"{ROOT}/{'../' * 40}etc/passwd"),
    _out("parent-inside", "up and down inside the folder", f"{ROOT}/a/../b"),
    _out("parent-last", "up at its end", f"{ROOT}/a/.."),
    _out("here", "a component that says `here`", f"{ROOT}/./x"),
    _out("doubled-slash", "two slashes in a row", f"{ROOT}//x"),
    _out("two-slashes-first", "two slashes at its start", f"/{ROOT}/x"),
    _out("three-slashes-first", "three slashes at its start", f"//{ROOT}/x"),
    _out("relative", "a name without a folder", "x"),
    _out("relative-here", "a name in the working folder", "./x"),
    _out("home", "a name in somebody's home", "~/x"),
    _out("home-named", "a name in root's home", "~root/x"),
    _out("variable", "a variable", "$HOME/x"),
    _out("scheme", "a URL", "file:///etc/passwd"),
    _out("windows", "a path of Windows", "C:\\Windows\\x"),
    _out("share", "a share of Windows", "\\\\host\\share\\x"),
    _out("device", "a device", "/dev/sda"),
    _out("proc", "itself by way of /proc", f"/proc/self/root{ROOT}/x"),
    _out("descriptor", "a file that is open", "/dev/fd/3"),
    _out("empty", "nothing", ""),
    _out("slash", "the root of everything", "/"),
    _out("nil", "nil", NIL),
    _out("number", "a number", integer(3)),
    _out("array", "a list with a path in it", array(text("/x"))),
)
STRANGE = (
    *(
        _below(f"character-{ord(character):04x}", f"a path with U+{ord(character):04X}", f"a{character}b")
        for character in (
            *("\0", "\n", "\t", "\r", "\x1b", "\b", "\x7f", "\x85", "\x9b"),
            *("\u00ad", "\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u2060", "\u2028", "\u2029", "\ufeff"),
            *("\ue000", "\uffff", "\U000e0041", "\U000e0001", "\u0378"),
            *("\uff0f", "\uff0e", "\u2024", "\u2025", "\u2026", "\ufe68", "\uff3c", "\uff5e", "\ufb02", "\u2100"),
        )
    ),
    _below("look-alike-parent", "up, by dots that only look like dots", "\u2024\u2024/x"),
    _below("look-alike-wide", "up, by wide dots and a wide slash", "\uff0e\uff0e\uff0fx"),
    _below("backslash", "a backslash", "a\\b"),
    _below("backslash-parent", "up, by backslashes", "..\\..\\x"),
    _below("dollar", "a variable inside the folder", "$HOME/x"),
    _below("dollar-braces", "a variable in braces", "${IFS}x"),
    _below("tilde", "a component that is a home", "~/x"),
    _below("tilde-name", "a component that begins like a home", "a/~root"),
    _below("dots", "a component of three dots", ".../x"),
    _below("trailing-dot", "a name that ends with a dot", "x."),
    _below("trailing-blank", "a name that ends with a blank", "x "),
    _below("no-break-blank", "a name that ends with a blank that does not break", "x\u00a0"),
    _below("blank-component", "a component that is a blank", "a/ /b"),
    _below("trailing-slash", "a slash at the end", "a/"),
    _below("long-name", "a name of 256 bytes", "x" * 256),
    _below("long-name-in-bytes", "a name of 128 characters that are 256 bytes", "é" * 128),
    _below("long-path", "a path of over 4,096 bytes", "x/" * 2_100 + "x"),
    _below("long-path-in-bytes", "a path of few characters and over 4,096 bytes", "ééé/" * 700 + "x"),
)
PROTECTED = tuple(
    _below(f"protected-{number}", f"`{tail}`, which is not for policies", tail)
    for number, tail in enumerate(
        (
            *(".claude/settings.json", ".claude", ".CLAUDE/settings.json", ".Claude/hooks/x.sh", "a/b/.claude/x"),
            *(".git/hooks/pre-commit", ".GIT/config", "a/.gIt/x", ".git", "vendor/lib/.git/config"),
            *(".mcp.json", ".MCP.JSON", "a/.mcp.json", ".envrc", ".ENVRC", "a/.envrc"),
            *("CLAUDE.md", "claude.md", "Claude.MD", "docs/CLAUDE.md", "AGENTS.md", "agents.md", "a/Agents.md"),
            *("wasmguard.toml", "WASMGUARD.TOML", "a/wasmguard.toml", ".wasmguard/x", ".WasmGuard/x"),
            *(".vscode/tasks.json", ".VSCode/settings.json", ".husky/pre-commit", ".hus\u212ay/x", ".HUSKY/x"),
            *(
                ".ssh/authorized_keys",
                ".SSH/config",
                ".\u017fsh/config",
                ".cursor/rules",
                ".CURSOR/x",
                ".idea/x",
                ".IDEA/x",
            ),
            *("CLAUDE.md/x", ".git/../x", "CLAUDE.md.", ".git ", "claude\u2024md"),
        )
    )
)
PLANTED = (
    _below("link-out", "a link that leads out", "link/x", (("link", "link", "/etc"),)),
    _below(
        "link-in",
        "a link that leads to another folder inside",
        "link/x",
        (("dir", "real", ""), ("link", "link", "real")),
    ),
    _below("link-itself", "a link to its own folder", "link/x", (("link", "link", "."),)),
    _below("link-up", "a link to the folder above", "link/x", (("link", "link", ".."),)),
    _below(
        "link-deep", "a link three folders down", "a/b/c/link/x", (("dir", "a/b/c", ""), ("link", "a/b/c/link", "/var"))
    ),
    _below("link-chain", "a link to a link that leads out", "one/x", (("link", "two", "/etc"), ("link", "one", "two"))),
    _below("link-loop", "a link to itself", "loop/x", (("link", "loop", "loop"),)),
    _below("link-dangling", "a link to a folder that is not there", "link/x", (("link", "link", "/nowhere/at/all"),)),
    _below(
        "link-relative", "a link that leads out by dots", "a/link/x", (("dir", "a", ""), ("link", "a/link", "../../.."))
    ),
    _below("target-link", "a link instead of a file", "x", (("link", "x", "/etc/passwd"),)),
    _below("target-link-dangling", "a link to a file that is not there", "x", (("link", "x", "/nowhere"),)),
    _below("target-link-inside", "a link to a file beside it", "x", (("file", "y", ""), ("link", "x", "y"))),
    _below("target-folder", "a folder", "x", (("dir", "x", ""),)),
    _below("target-pipe", "a pipe, on which a writer would wait", "x", (("fifo", "x", ""),)),
    _below("way-through-file", "a folder that is a file", "x/y", (("file", "x", ""),)),
    _below("way-through-pipe", "a folder that is a pipe", "x/y", (("fifo", "x", ""),)),
    _below(
        "link-protected",
        "a link that leads to a protected folder",
        "link/config",
        (("dir", ".git", ""), ("link", "link", ".git")),
    ),
)
INSIDE = (
    _in("new", "a file that is not there yet", "x.txt"),
    _in("deep", "folders that are not there yet", "a/b/c/d/x.txt"),
    _in("there", "a file that is there", "x.txt", (("file", "x.txt", ""),)),
    _in("folder", "a file in a folder that is there", "a/x.txt", (("dir", "a", ""),)),
    _in("letters", "a name in another script", "grüße/файл.txt"),
    _in("nearly-protected", "names that only look protected", ".gitignore/.claudes/claude.mdx"),
    _in("dots-inside", "names with dots in them", "a..b/..c/x.y.z"),
    _in("longest-name", "a name of 255 bytes", "x" * 255),
)

CASES = (*ELSEWHERE, *STRANGE, *PROTECTED, *PLANTED, *INSIDE)
