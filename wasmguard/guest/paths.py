"""Whether a path that a guest wrote lies below a root that its owner trusts.

In this order; the first rule that fails is the fault's reason:

1. Text of 1 to 4,096 bytes in UTF-8. Every character shows itself (`wasmguard.text`): no control, format, surrogate,
   private or unassigned one, no separator of lines, nothing that case-insensitive file systems skip (variation
   selectors, fillers), no pile of combining marks. NFKC equals NFC, so that nothing looks like a slash or a dot without
   being one.
2. No backslash and no dollar sign. Exactly one slash at the start, and `normpath` leaves it as it is. No component is
   `.` or `..`, starts with `~`, ends with a dot or a blank, or is over 255 bytes.
3. Below the root, compared with the separator (`/sandboxed` is not below `/sandbox`), and not the root itself.
4. No component below the root is protected (`PROTECTED`), whatever its case or its accents, nor a stream of such a file
   (`.git:x`), nor a short name (`git~1`), by which FAT, NTFS and what serves them find a file of a longer name.
5. No symlink on the way from the root to the target: then the real path of its folder is the real path of the root and
   the same tail. Folders that do not exist are fine; anything on the way that is no folder is not.
6. The target is absent or a regular file: no symlink, folder, device, socket.

What this cannot close: a hard link looks like a file; between this check and the tool's own opening of the file anybody
may plant a symlink; and whoever may rename the root, or a folder above it, decides where it is. Windows and macOS have
further rules (device names, drive letters) and are not claimed.

The path is looked at with one `lstat` for each folder that exists: 4 us where `realpath` of path and root takes 20.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISLNK, S_ISREG
from unicodedata import category, normalize

from wasmguard.errors import OutsideGrant
from wasmguard.text import one_line, quoted

LONGEST_PATH = 4_096  # bytes: PATH_MAX of Linux
LONGEST_NAME = 255  # bytes: NAME_MAX of the usual file systems

PROTECTED = frozenset(
    {
        # the agent's own rules and hooks: who writes them is asked about nothing any more
        ".claude",
        ".claude.json",
        "claude.md",
        "claude.local.md",
        "agents.md",
        ".mcp.json",  # names programs that the agent starts
        # the same of other agents that may work in the same folder
        ".codex",
        ".cursor",
        ".gemini",
        "gemini.md",
        ".qwen",
        ".opencode",
        ".windsurf",
        ".clinerules",
        # ours; the folder of this name is our configuration, our cache, our state or our code
        "wasmguard.toml",
        ".wasmguard",
        "wasmguard",
        # what other programs run as soon as somebody works in the folder
        ".git",  # hooks, and settings that name programs
        ".gitconfig",
        ".gitmodules",
        ".husky",
        ".envrc",
        ".vscode",  # tasks and settings that name programs
        ".idea",
        ".ssh",  # keys, and settings that name programs
        ".ripgreprc",  # names a program that agents' searches would start
        # what a shell runs when it starts, and an agent starts one for every command
        ".profile",
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".bash_logout",
        ".zshenv",
        ".zshrc",
        ".zprofile",
        ".zlogin",
        ".zlogout",
    }
)
"""Names that no rewrite may lead to, at any depth below the root. Case-folded."""

_LENGTH = f"the path has not 1 to {LONGEST_PATH:_} bytes"


def check_within(path: object, root: str) -> None:
    """Pass if *path* may be written to below *root*, which `check_root` has accepted.

    Raises:
        OutsideGrant: with the first rule that fails.
    """
    if type(path) is not str:
        raise OutsideGrant("a path must be text")
    flaw = _flaw_of_text(path) or _flaw_of_form(path)
    if flaw:
        raise OutsideGrant(f"{flaw}: {_shown(path)}")
    if not path.startswith(root + "/"):
        raise OutsideGrant(f"the path is not below `{root}`: {_shown(path)}")
    tail = path[len(root) + 1 :]
    if _meets_protected(tail):
        raise OutsideGrant(f"the path meets a protected name: {_shown(path)}")
    if _way_is_clear(root, tail):
        _check_target(path)


def check_root(root: str) -> None:
    """Pass if *root* can be the root of a grant: every path below it would fail rule 1 or 2 otherwise.

    It may be a symlink itself, and it need not exist.

    Raises:
        ValueError: with a sentence for the owner.
    """
    if root == "/":
        raise ValueError("the root of a grant cannot be `/`: name a folder")
    flaw = _flaw_of_text(root) or _flaw_of_form(root)
    if flaw:
        raise ValueError(f"{flaw}: {_shown(root)}: write the folder's absolute path as `realpath` prints it")


def _flaw_of_text(path: str) -> str:
    """Rule 1."""
    if not 0 < len(path) <= LONGEST_PATH:  # before anything that is slow for long texts
        return _LENGTH
    if path.isascii() and path.isprintable():
        return ""
    if one_line(path, LONGEST_PATH) != path:  # also before `normalize`, which is slow for piles of marks
        return "the path has a character that does not show itself"
    if len(path.encode()) > LONGEST_PATH:
        return _LENGTH
    return "" if normalize("NFKC", path) == normalize("NFC", path) else "the path has a look-alike character"


def _flaw_of_form(path: str) -> str:
    """Rule 2."""
    if "\\" in path or "$" in path:
        return "the path has a backslash or a dollar sign"
    if path[0] != "/" or path[:2] == "//":
        return "the path does not start with exactly one slash"
    if os.path.normpath(path) != path:
        return "the path is not normalised"
    for name in path[1:].split("/"):
        if name.startswith("~") or name.endswith(".") or name != name.rstrip():  # `.` and `..` end with a dot
            return "the path has a component that starts with `~` or ends with a dot or a blank"
        if len(name) > LONGEST_NAME or len(name.encode()) > LONGEST_NAME:
            return f"the path has a component of more than {LONGEST_NAME} bytes"
    return ""


def _meets_protected(tail: str) -> bool:
    """Rule 4."""
    if not PROTECTED.isdisjoint(tail.casefold().split("/")):
        return True
    if tail.isascii() and "~" not in tail and ":" not in tail:
        return False
    letters = "".join(c for c in normalize("NFKD", tail) if category(c)[0] != "M")
    names = letters.upper().casefold().split("/")  # `upper` as well: some file systems compare in capitals, `ı` as `I`
    return any(name.partition(":")[0] in PROTECTED or _is_short(name) for name in names)


def _is_short(name: str) -> bool:
    """Whether it has the form of a name that was made up for a longer one: at most 8 and 3, and a number."""
    stem, _, kind = name.partition(".")
    start, tilde, number = stem.rpartition("~")
    return bool(start and tilde) and number.isdigit() and len(stem) <= 8 and len(kind) <= 3


def _way_is_clear(root: str, tail: str) -> bool:
    """Rule 5: whether every folder on the way exists. A folder that does not ends the way, and clears it."""
    here = root
    for name in tail.split("/")[:-1]:
        here = f"{here}/{name}"
        mode = _mode(here)
        if not mode:
            return False
        if S_ISLNK(mode):
            raise OutsideGrant(f"the path leads through a symlink: {_shown(here)}")
        if not S_ISDIR(mode):
            raise OutsideGrant(f"the path leads through something that is no folder: {_shown(here)}")
    return True


def _check_target(path: str) -> None:
    """Rule 6."""
    mode = _mode(path)
    if mode and not S_ISREG(mode):
        raise OutsideGrant(f"the path is that of a symlink, folder or device: {_shown(path)}")


def _mode(path: str) -> int:
    """The mode of what is at *path* itself; 0 if there is nothing, which is no mode."""
    try:
        return os.lstat(path.encode()).st_mode  # in UTF-8, as the agent writes it, whatever this process's locale is
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise OutsideGrant(f"the path cannot be looked at: {error.strerror}: {_shown(path)}") from error


def _shown(path: str) -> str:
    return quoted(one_line(path, 200))
