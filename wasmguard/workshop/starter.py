"""`wasmguard init`: a first configuration, for somebody who has never seen one, which does not get in their way.

1. Nothing is overwritten. The file appears whole or not at all, closed to others; so does its folder, if it is new.
2. What the agent writes below the home folder stays, and in the project that `init` was called in, and in the agent's
   own folder for drafts. Everything else that it writes moves into `SANDBOX`, in the home folder.
3. That folder is made now: one that is not there yet could be made as a link to anywhere.
4. Paths are written as they are named and as they really are: an agent may say either.
5. A folder whose name a pattern or a grant could not hold exactly is left out, which moves more, never less.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from typing import TYPE_CHECKING

from wasmguard import places
from wasmguard.errors import ConfigError, HostError
from wasmguard.guest.paths import check_root
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SANDBOX = "wasmguard-sandbox"
SYSTEM = (
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr", "var"),
    *("Applications", "Library", "System", "private"),  # of macOS
)
"""Folders at the top that are nobody's project, nor is anything in them."""
SHARED = ("home", "media", "mnt", "opt", "srv", "tmp", "Users", "Volumes")
"""Folders at the top that are no project, but may hold one."""

NEXT = {
    "wasmguard check": "read in words what it decides",
    "wasmguard install claude-code": "make Claude Code ask before it acts",
    "wasmguard doctor": "try whether it does",
}

TEMPLATE = """\
# What your coding agent may do. wasmguard decides it by this file, which is
# yours to change:
#   wasmguard check     says in words what it means
#   wasmguard lock      puts a change in force
#   wasmguard doctor    tries whether the agent really asks
#
# Before the agent uses a tool, the policies below are asked, from the top down.
# Each one says pass (no opinion), ask (you are asked) or deny; where you grant
# it, it may also change what the tool gets. The strictest word counts. "Pass"
# is not "allow": the agent's own questions (may I ...?) still come.
# A policy is a WebAssembly module. It sees one event and can touch nothing.


# How much one policy may use for one event. Whoever uses more has failed, and
# that denies (see `on_fault` below). These are the defaults:
#
# [limits]
# fuel   = 20_000_000     # steps, about one for each instruction
# clock  = "100 ms"
# memory = "16 MiB"
# event  = "4 MiB"        # a larger event is denied


# 1. Commands that destroy things. A command is found wherever it stands in a
#    line (`cd x && rm -rf y`, `sudo ...`, `$( ... )`) and however it is quoted;
#    one that is only mentioned (`git commit -m "rm -rf"`) does no harm.
#    This policy stands first: it judges what the agent wanted.
[[policy]]
name     = "no-destruction"
module   = "builtin:tool-gate"
events   = ["PreToolUse"]       # before a tool runs
on_fault = "deny"               # when it fails; "ask" would ask you instead
shadow   = false                # true: it is asked but not obeyed, to try it
settings.deny_commands = [
  # Files. `rm x` and `rm -r x` still work.
  "rm -rf", "rm --recursive --force", "rm --no-preserve-root", "shred",
  # Disks.
  "dd", "mkfs", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "mkswap",
  "wipefs", "fdisk", "sfdisk", "parted",
  # Work that is not committed yet, and what others have pushed.
  "git reset --hard", "git clean -f", "git push -f", "git push --force",
  # The machine, and those who may do everything on it.
  "sudo", "su", "doas", "shutdown", "reboot", "poweroff", "halt",
  "chmod -R 777", "crontab -r",
  # Remove the # in front of what you use and would miss.
  # "terraform destroy", "kubectl delete", "docker system prune", "dropdb",
]
# The list is a sign on the door, not a wall: nobody sees here what a script or
# `python -c` does. Where the agent needs few commands, name those instead:
# settings.allow_commands = ["git", "ls", "npm test", "python"]


# 2. Files that your shell, git and ssh obey, in whatever folder. The agent may
#    read them, but its file tools may not write them.
[[policy]]
name   = "my-own-files"
module = "builtin:tool-gate"
events = ["PreToolUse"]
tools  = ["Write", "Edit", "NotebookEdit"]
settings.deny_extensions = [    # how their names end
  ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".profile",
  ".zshrc", ".zshenv", ".zprofile", ".zlogin", "config.fish",
  ".gitconfig", ".netrc", "authorized_keys", "id_rsa", "id_ed25519",
]


# 3. What the agent writes elsewhere lands in a folder of its own, where you can
#    look at it: /etc/x becomes
#      @SANDBOX@/etc/x
#    The agent is told so and goes on. This policy stands last, so that those
#    above see which file was meant. Of what was moved they are asked again.
[[policy]]
name   = "sandbox-writes"
module = "builtin:path-redirect"
events = ["PreToolUse"]
tools  = ["Write", "Edit", "NotebookEdit"]

# The folder that files are moved into.
settings.root = @QUOTED@

# What stays where it is. Add the folders that you work in; ** is all in them.
settings.exempt = [
@EXEMPT@
]

# Every policy may ask and deny. What else it may, you grant it: this one may
# change the paths of these tools, and only to paths in that folder.
[policy.grants.rewrite]
"Write.file_path"            = { within = @QUOTED@ }
"Edit.file_path"             = { within = @QUOTED@ }
"NotebookEdit.notebook_path" = { within = @QUOTED@ }


# 4. A policy of your own: a .wasm file from any language, or a folder with one.
#
# [[policy]]
# name   = "mine"
# module = "policies/mine.wasm"              # starts at the folder of this file
# shadow = true                              # until you know what it does
# grants.effects = ["deny", "ask", "allow"]  # "allow" would spare you questions
#
# Two switches belong above the first [[policy]]. They are on the safe side:
# isolation = "process"      # each policy runs in a jailed process
# self_protection = true     # no tool writes this file or switches hooks off
"""


class Started(Value):
    """What `write` made."""

    config: str
    """The configuration file."""
    sandbox: str
    """The folder that writes are moved into."""
    exempt: tuple[str, ...]
    """The folders that are left alone."""


def write(path: str) -> Started:
    """Write the starter configuration to *path*, which does not exist.

    Raises:
        ConfigError: if it exists.
        HostError: if it cannot be written, or the home folder is none that can be guarded.
    """
    if os.path.lexists(path):
        raise _exists(path)
    home = places.expanded("~/").rstrip("/") or "/"
    sandbox = _checked(os.path.join(home, SANDBOX))
    exempt = tuple(_folders(home, _working_folder()))
    text = written(sandbox, exempt)
    try:
        os.makedirs(sandbox, mode=0o700, exist_ok=True)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _place(path, text.encode())
    except FileExistsError as error:
        if os.path.lexists(path):
            raise _exists(path) from None
        raise HostError(f"`{error.filename}` is in the way: no folder: move it") from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{path}` cannot be written: {why}: make its folder writable, or name another file") from None
    return Started(config=path, sandbox=sandbox, exempt=exempt)


def written(sandbox: str, exempt: Iterable[str]) -> str:
    """The text of a configuration that moves writes into *sandbox*, except those below the folders *exempt*."""
    patterns = "\n".join(f"  {_quoted(f'{folder}/**')}," for folder in exempt)
    parts = {"@EXEMPT@": patterns, "@QUOTED@": _quoted(sandbox), "@SANDBOX@": sandbox}
    return re.sub("@[A-Z]+@", lambda found: parts[found[0]], TEMPLATE)


def _exists(path: str) -> ConfigError:
    return ConfigError(
        f"configuration `{path}`: exists already: edit it, then run `wasmguard lock`; or move it away first"
    )


def _checked(sandbox: str) -> str:
    """*sandbox*, if writes can be moved there."""
    try:
        check_root(sandbox)
    except ValueError as error:
        raise HostError(f"nothing can be moved into `{sandbox}`: {error}") from None
    if os.path.islink(sandbox):
        raise HostError(f"`{sandbox}` is a link, and who made it decides where writes go: move it away")
    return sandbox


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody removed it
        return "/"


def _folders(home: str, project: str) -> Iterator[str]:
    """Rule 2: the folders that are left alone."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    drafts = os.path.join(tempfile.gettempdir(), f"claude-{user}")  # as Claude Code 2.1.329 names it
    found: list[str] = []
    for folder in (home, *([project] if _is_project(project) else []), drafts):
        for form in (folder, os.path.realpath(folder)):  # rule 4
            if _is_exact(form) and not any(f"{form}/".startswith(f"{known}/") for known in found):
                found.append(form)
    yield from found


def _is_project(folder: str) -> bool:
    """Whether somebody could work in *folder*: it is neither the top, nor the system's, nor everybody's."""
    top, _, below = folder[1:].partition("/")
    return bool(top) and top not in SYSTEM and bool(below or top not in SHARED)


def _is_exact(folder: str) -> bool:
    """Rule 5."""
    try:
        check_root(folder)
    except ValueError:
        return False
    return not {"*", "?"} & set(folder)


def _quoted(path: str) -> str:
    """*path*, which has no character that does not show itself, as TOML."""
    return json.dumps(path, ensure_ascii=False)


def _place(path: str, data: bytes) -> None:
    """Put a file with *data* at *path*, whole, where none is."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with open(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(file)
        _name(temporary, path)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def _name(temporary: str, path: str) -> None:
    """Name the file *temporary* *path* too. Unlike a rename, this replaces nothing."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # there are file systems without hard links
        if os.path.lexists(path):
            raise
        os.rename(temporary, path)


def lines(started: Started, *, option: str | None = None) -> Iterator[str]:
    """What to tell whoever asked for the configuration that was written; *option* is what `--config` said."""
    more = f" --config {shlex.quote(option)}" if option else ""
    yield f"wrote {started.config}"
    yield ""
    yield "What it decides:"
    yield "  commands that destroy things are denied"
    yield "  files in these folders are written as usual:"
    yield from (f"    {folder}" for folder in started.exempt)
    yield "  all others are written to:"
    yield f"    {started.sandbox}"
    yield ""
    yield "Nothing is in force yet. Next:"
    for command, what in NEXT.items():
        line = f"  {command}{more}"
        yield from [f"{line:34}{what}"] if len(line) < 33 else [line, f"      {what}"]
