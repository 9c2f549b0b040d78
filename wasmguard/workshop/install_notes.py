"""What the owner should know about a hook that is being installed."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from wasmguard import bearer, installed
from wasmguard.agents import claude_flaws, claude_settings
from wasmguard.workshop import hook_command
from wasmguard.workshop.json_text import parsed
from wasmguard.workshop.outcome import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.installed import Entry
    from wasmguard.workshop.settings_file import SettingsFile

WORRYING = {claude_flaws.IGNORED, claude_flaws.OFF, claude_flaws.LOOSE}
"""Kinds of flaws by which the client does not ask, or not obey."""


def notes(entry: Entry, judged: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What follows from *entry*, when policies judge the events *judged*."""
    if unheard := sorted(set(judged) - set(entry.events)):
        yield said("note", f"Claude Code does not ask about {', '.join(unheard)}, which a policy judges")
    if entry.scope == "project":
        why = "usually shared, and now names paths of this machine: who uses it elsewhere is blocked"
        yield said("note", f"`{entry.path}` is {why}. `--scope local` is yours alone")
    if entry.scope == "managed":
        yield said("note", f"all users of this machine get this hook, which asks the policies of `{entry.config}`")
    if entry.transport == "http":
        yield from _about_the_token(entry)
    for other in installed.entries():
        if entry.http and other.config == entry.config and not other.http and other.path != entry.path:
            yield said("note", f"`{other.path}` starts a daemon without HTTP: install there again as well")


def _about_the_token(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.scope == "project":
        name = claude_settings.TOKEN_VARIABLE
        yield said("note", f"the settings are shared, so the agent takes the token from ${name}. Start it with that:")
        yield "plain", f'  export {name}="$(cat {shlex.quote(bearer.path())})"'
        return
    try:
        is_open = os.stat(entry.path).st_mode & 0o077
    except OSError:
        return
    if is_open:
        yield said("note", f"`{entry.path}` holds the token now, and others may read it: `chmod 600` it")


def worries(file: SettingsFile, text: str) -> Iterator[tuple[str, str]]:
    """What is known to keep the client from asking, when *file* says *text*; and what may be in the way."""
    document = parsed(text)
    if not document.plain:
        why = "Claude Code reads no comments and no commas behind the last item: it ignores this file, and asks nobody"
        yield said("wrong", f"`{file.path}`: {why}. Take them out")
    for flaw in claude_flaws.flaws(document.root.value, name=os.path.basename(file.path)):
        place = f"`{flaw.place}` " if flaw.place else ""
        yield said("wrong" if flaw.kind in WORRYING else "note", f"in `{file.path}`, {place}{flaw.why}")


def summary(entry: Entry, *, changed: bool, dry_run: bool, works: bool) -> tuple[str, str]:
    """What happened, in a sentence; not *works*: something was told that keeps the client from asking."""
    if changed and dry_run:
        return said("plain", "nothing was written")
    if not works:
        return said("wrong", "the agent does not ask yet: do what is said above, then run `wasmguard doctor`")
    if not changed:
        return said("ok", f"nothing to do: `{entry.path}` asks wasmguard already")
    native = entry.command[0].endswith(hook_command.NATIVE)
    how = f"at {entry.url}" if entry.url else "by the native client" if native else "by the Python client"
    told = f"Claude Code asks wasmguard {how} at {len(entry.events)} events: restart it, then run `wasmguard doctor`"
    return said("ok", told)
