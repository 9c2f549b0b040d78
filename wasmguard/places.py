"""Where wasmguard's files are: configuration, cache, state, sockets.

1. On Linux and other Unixes the XDG base directories: `$XDG_CONFIG_HOME`, `$XDG_CACHE_HOME`, `$XDG_STATE_HOME` and
   `$XDG_RUNTIME_DIR`. One that is empty or not absolute counts as not set, as the XDG specification (0.8) demands.
2. On macOS `~/Library/Application Support` and `~/Library/Caches`, on Windows `%APPDATA%` and `%LOCALAPPDATA%`. What
   would be one folder there becomes two below it: the key that seals the cache does not lie in the cache.
3. Home is `$HOME`, else what the password database says.
4. `$WASMGUARD_CONFIG` is absolute: a hook runs in whatever folder its agent stands in, and nobody in there may choose
   the owner's configuration. (`--config` is relative to the current folder like any argument.)
5. A hook is told its folders on its command line (`tell`), because a project's settings may set every variable above
   for the hooks of its sessions. Then no variable counts.
6. Nothing is made here, and nothing is looked at: these are names.

`platformdirs` knows most of this too and `pathlib` would be prettier, but a hook is a new process for every tool call:
together they take 14 ms to import (CPython 3.11; `python -X importtime`), this module none.
"""

from __future__ import annotations

import os
import sys

from wasmguard.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = "wasmguard"
CONFIG_NAME = "wasmguard.toml"

_told: dict[str, str] = {}
"""What the command line said: `home`, `state`, `cache`, `runtime`."""


def tell(**folders: str | None) -> None:
    """From now on home is *home* and the folders for state, cache and sockets are *state*, *cache* and *runtime*, or
    the usual ones below *home*, whatever the environment says. Nothing, or None for all, takes it back.

    Raises:
        UsageError: if one of them is not absolute.
    """
    for name, folder in folders.items():
        if folder is not None and not os.path.isabs(folder):
            raise UsageError(f"`--{name}` is `{folder}`: not absolute: write the whole path")
    _told.clear()
    _told.update({name: folder for name, folder in folders.items() if folder is not None})


def stamp(seen: os.stat_result) -> tuple[int, int, int]:
    """Size, modification time in nanoseconds and inode of a file: they change when it is written or replaced."""
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def config_file(option: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The owner's `wasmguard.toml`: *option*, else `$WASMGUARD_CONFIG`, else the one in the configuration folder.

    Raises:
        UsageError: if *option* is empty (most likely a variable that was not set), or rule 4 is broken.
        HostError: if nothing says where home is.
    """
    if option == "":
        raise UsageError("`--config` is empty: name a file, or leave the option out")
    if option:
        return os.path.abspath(expanded(option, environ))
    named = "" if "home" in _told else expanded(environ.get("WASMGUARD_CONFIG", ""), environ)
    if named and not os.path.isabs(named):
        raise UsageError(f"`$WASMGUARD_CONFIG` is `{named}`: not absolute: write the whole path")
    return named or os.path.join(config_dir(environ), CONFIG_NAME)


def config_dir(environ: Mapping[str, str] = os.environ) -> str:
    """What the owner writes."""
    if sys.platform == "win32":
        return os.path.join(_base("APPDATA", "AppData/Roaming", environ), OURS)
    if sys.platform == "darwin":
        return os.path.join(_home(environ), "Library/Application Support", OURS)
    return os.path.join(_base("XDG_CONFIG_HOME", ".config", environ), OURS)


def cache_dir(environ: Mapping[str, str] = os.environ) -> str:
    """What can be made again: compiled modules and plans."""
    if "cache" in _told:
        return _told["cache"]
    if sys.platform == "win32":
        return os.path.join(_base("LOCALAPPDATA", "AppData/Local", environ), OURS, "cache")
    if sys.platform == "darwin":
        return os.path.join(_home(environ), "Library/Caches", OURS)
    return os.path.join(_base("XDG_CACHE_HOME", ".cache", environ), OURS)


def state_dir(environ: Mapping[str, str] = os.environ) -> str:
    """What stays: records, keys, the token."""
    if "state" in _told:
        return _told["state"]
    if sys.platform == "win32":
        return os.path.join(_base("LOCALAPPDATA", "AppData/Local", environ), OURS, "state")
    if sys.platform == "darwin":
        return os.path.join(_home(environ), "Library/Application Support", OURS, "state")
    return os.path.join(_base("XDG_STATE_HOME", ".local/state", environ), OURS)


def runtime_dir(environ: Mapping[str, str] = os.environ) -> str:
    """What ends with the session: sockets."""
    if "runtime" in _told:
        return _told["runtime"]
    given = _absolute("XDG_RUNTIME_DIR", environ)
    return os.path.join(given, OURS) if given else os.path.join(state_dir(environ), "run")


def expanded(path: str, environ: Mapping[str, str] = os.environ) -> str:
    """*path* with a leading `~/` replaced by the home folder. Other users' homes (`~name/`) stay what they are."""
    return os.path.join(_home(environ), path[2:]) if path.startswith("~/") else path


def _base(variable: str, below_home: str, environ: Mapping[str, str]) -> str:
    return _absolute(variable, environ) or os.path.join(_home(environ, variable), below_home)


def _absolute(variable: str, environ: Mapping[str, str]) -> str:
    """The folder that *variable* names; empty if it names none, or if the command line said where home is."""
    given = "" if "home" in _told else environ.get(variable, "")
    return given if os.path.isabs(given) else ""


def _home(environ: Mapping[str, str], variable: str = "") -> str:
    name = "USERPROFILE" if sys.platform == "win32" else "HOME"
    home = _told.get("home") or _absolute(name, environ) or home_in_database()
    if not home:
        instead = f" or `${variable}`" if variable else ""
        raise HostError(f"`${name}` is not set and the user has no home folder: set `${name}`{instead} to a folder")
    return home


def home_in_database() -> str:
    """What the password database says; empty where there is none, or where it does not know this user (containers)."""
    try:
        import pwd

        home = pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return ""
    return home if os.path.isabs(home) else ""
