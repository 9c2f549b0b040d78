"""Pins: the digests that `wasmguard lock` writes into the owner's file.

1. Nothing but pins changes: no comment, no blank, no order, no line end. An existing `sha256` gets another value; a new
   one stands right behind `module`, written the same way.
2. Read again, the new text means what the old one meant plus the pins, or it is not written.
3. The new file takes the old one's place whole, with its owner and mode. A symlink stays one: the file it points to is
   replaced.

The text is edited where `wasmguard.toml_layout` says, so no library that writes TOML is needed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Any

from wasmguard.errors import ConfigError, HostError
from wasmguard.sandbox.cache import digest as digest_of
from wasmguard.toml_layout import Layout, Path, Spot

Edit = tuple[int, int, str]  # from, to, and what stands there afterwards


def write_pins(path: str, pins: Mapping[str, str], digest: str | None = None) -> str:
    """Write the digests *pins*, by policy, into the configuration file *path*, and return the file's own digest then.

    *digest* is `Config.digest` of what was locked: what somebody wrote since then was not, and must not count.

    Raises:
        ConfigError: if the file has no such policy.
        HostError: if the file cannot be written, not without changing anything else, or is not the one that was locked.
    """
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as file:
            data, seen = file.read(), os.fstat(file.fileno())
        if digest not in (None, digest_of(data)):
            raise HostError(f"`{path}` changed while it was being locked: run `wasmguard lock` again")
        changed = pinned(data.decode(), pins).encode()
        if changed != data:
            _replace(real, changed, seen)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{path}`: cannot be written: {why}: make it and its folder writable") from None
    except (ValueError, LookupError, TypeError):  # since it was loaded, somebody has made it no configuration
        raise ConfigError(f"`{path}`: cannot be read as a configuration: run `wasmguard check`") from None
    return digest_of(changed)


def pinned(source: str, pins: Mapping[str, str]) -> str:
    """The configuration *source*, which can be loaded, with the digests *pins*, by policy. Raises like `write_pins`."""
    before = tomllib.loads(source)
    policies = {policy["name"]: number for number, policy in enumerate(before.get("policy", ()))}
    if unknown := sorted(pins.keys() - policies.keys()):
        raise ConfigError(f"no policy `{unknown[0]}` in the configuration: write it down before you lock it")
    layout, changed = Layout(source), source
    for start, end, text in sorted((_edit(layout, policies[name], pins[name]) for name in pins), reverse=True):
        changed = changed[:start] + text + changed[end:]
    if not _differ_by(before, changed, {policies[name]: digest for name, digest in pins.items()}):
        raise HostError("the digests do not fit into the configuration: write each `module` on a line of its own")
    return changed


def _differ_by(before: dict[str, Any], source: str, pins: Mapping[int, str]) -> bool:
    """Whether *source* means what *before* says and *pins*, by the policies' numbers."""
    try:
        after = tomllib.loads(source)
        found = {number: after["policy"][number].pop("sha256", None) for number in pins}
    except (tomllib.TOMLDecodeError, LookupError):
        return False
    for number in pins:
        before["policy"][number].pop("sha256", None)
    return found == pins and repr(after) == repr(before)  # `repr` tells order, 1 from `true`, and NaN from nothing


def _edit(layout: Layout, number: int, digest: str) -> Edit:
    policy: Path = ("policy", number)
    if written := layout.spots.get((*policy, "sha256")):
        return written.start, written.end, f'"{digest}"'
    module = layout.spots[*policy, "module"]
    line = f'{layout.source[module.key : module.start].replace("module", "sha256", 1)}"{digest}"'
    if layout.spots[policy].start >= 0:  # a table in braces
        return module.end, module.end, f", {line}"
    return _on_a_new_line(layout.source, module, line)


def _on_a_new_line(source: str, module: Spot, line: str) -> Edit:
    """The line *line* below that of *module*, with its indent and its line end."""
    indent = source[source.rfind("\n", 0, module.key) + 1 : module.key]
    end = source.find("\n", module.end)
    end = len(source) if end < 0 else end
    line_end = "\n"
    if source[end - 1] == "\r":
        end, line_end = end - 1, "\r\n"
    return end, end, f"{line_end}{indent}{line}"


def _replace(path: str, data: bytes, old: os.stat_result) -> None:
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with open(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file, old.st_uid, old.st_gid)  # root pins somebody's file: it stays theirs
            if hasattr(os, "fchmod"):
                os.fchmod(file, old.st_mode & 0o7777)
            os.fsync(file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
