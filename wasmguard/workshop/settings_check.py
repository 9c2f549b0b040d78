"""Whether the agent's settings let our hooks be asked, in all scopes at once.

1. What the client ignores, drops or switches off (`agents.claude_flaws`) is wrong where it concerns a hook of ours,
   else worth a note.
2. Hooks are asked about every event that a policy judges, about every tool call and what came of it, and about every
   change of settings.
3. What a hook runs is there, belongs to nobody who could change it, and gets the time that it may need.
4. Nobody but the owner steers hooks by variables: not a project.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from typing import TYPE_CHECKING

from wasmguard import installed, plan
from wasmguard.agents import claude, claude_flaws, claude_settings
from wasmguard.event import AFTER
from wasmguard.protection.settings import STEERING, STEERING_NAMES
from wasmguard.workshop import calling
from wasmguard.workshop.finding import Finding, note, ok, wrong
from wasmguard.workshop.hooks import PLUGIN
from wasmguard.workshop.port import owners_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from wasmguard.agents.claude_flaws import Flaw
    from wasmguard.workshop.hooks import Hook, Settings

SHORTEST, USUAL = claude_settings.TIMEOUT, 600  # seconds: our own deadline and some; what the client takes by default
INSTALL = "run `wasmguard install claude-code"
SHOWS = "it shows whether the call that ran is the one that was granted (installed by an older version?)"
VERSION_WITHIN = 20.0  # seconds for `claude --version`


def checked(files: Sequence[Settings], hooks: Sequence[Hook]) -> Iterator[Finding]:
    """What there is to say about the settings *files* with *hooks* of ours in them."""
    if not hooks:
        said = "no hook of ours in any settings: the agent asks nobody"
        yield note("hooks", said, f"{INSTALL}`", scopes={one.path: one.there for one in files})
    for settings in files:
        yield from _file(settings, hooks)
    yield from _gone(files)
    for hook in hooks:
        yield ok("hooks", f"{hook.name} (`{hook.path}`): {', '.join(hook.events)}", **hook.data)
        yield from _runs(hook)
        yield from _timeout(hook)
    yield from _unasked(hooks)


def client(program: str) -> Iterator[Finding]:
    """Whether the client *program* is new enough to fail closed."""
    project = os.path.abspath(os.sep)
    said = calling.run([program, "--version"], b"", environ=os.environ, folder=project, seconds=VERSION_WITHIN)
    version = claude_settings.version_of(said.out.decode("utf-8", "replace"))
    if version is None:
        yield note("client", f"`{program}` does not say its version{f': {said.trouble}' if said.trouble else ''}")
        return
    told, least = (".".join(map(str, numbers)) for numbers in (version, claude_settings.MINIMUM))
    if version < claude_settings.MINIMUM:
        why = f"{told} lets calls go on when a hook fails: it does not know `onFailure`"
        yield wrong("client", why, f"update Claude Code to {least} or newer: `claude update`", version=told)
    else:
        yield ok("client", f"Claude Code {told} (`{program}`)", version=told, path=program)


def _file(settings: Settings, hooks: Sequence[Hook]) -> Iterator[Finding]:
    here = f"`{settings.path}`"
    if settings.flaw:
        recorded = any(entry.path == settings.path for entry in installed.entries())
        said = f"{here} {settings.flaw}: the client ignores the whole file"
        mend = f"mend {here}, then {INSTALL}` again" if recorded else f"mend {here}"
        yield (wrong if recorded else note)("settings", said, mend, scope=settings.scope, path=settings.path)
    if settings.content is None:
        return
    for flaw in claude_flaws.flaws(settings.content, name=os.path.basename(settings.path)):
        yield _flaw(flaw, settings, hooks)
    yield from _variables(settings)
    if why := _writable(settings.path):
        yield wrong("settings", f"{here} {why}: others can take our hooks out", f"`chmod go-w {settings.path}`")


def _flaw(flaw: Flaw, settings: Settings, hooks: Sequence[Hook]) -> Finding:
    """Rule 1."""
    concerned = flaw.ours or _is_wrong(flaw, settings, hooks)
    place = f", `{flaw.place}`," if flaw.place else ""
    again = _again(settings.scope)
    if flaw.kind == claude_flaws.SHADOWED:
        todo = "make sure that it rewrites nothing, or do its work with a policy"
    else:
        todo = again if flaw.ours else f"take it out of `{settings.path}`, or mend it"
    sentence = f"`{settings.path}`{place} {flaw.why}"
    mark = wrong if concerned and flaw.kind != claude_flaws.NOTED else note
    return mark("settings", sentence, todo, scope=settings.scope, path=settings.path, kind=flaw.kind, place=flaw.place)


def _is_wrong(flaw: Flaw, settings: Settings, hooks: Sequence[Hook]) -> bool:
    if flaw.kind == claude_flaws.OFF:
        return any(hook.scope != "managed" for hook in hooks)
    ours = [handler for _, _, handler in claude_settings.handlers(settings.content) if claude_settings.is_ours(handler)]
    if flaw.kind == claude_flaws.IGNORED:
        return bool(ours)
    return flaw.kind == claude_flaws.DROPPED and (
        not flaw.place.count("[") or _holds_ours(settings.content, flaw.place)
    )


def _holds_ours(content: Any, place: str) -> bool:
    """Whether what stands at *place*, such as `hooks.Stop[0].hooks[1]`, is or holds a handler of ours."""
    for key, number in re.findall(r"(\w+)|\[(\d+)\]", place):
        try:
            content = content[int(number)] if number else content[key]
        except (KeyError, IndexError, TypeError):
            return False
    inside = content.get("hooks") if isinstance(content, dict) and "type" not in content else [content]
    return isinstance(inside, list) and any(map(claude_settings.is_ours, inside))


def _variables(settings: Settings) -> Iterator[Finding]:
    """Rule 4."""
    given = settings.content.get("env")
    for name in given if isinstance(given, dict) else ():
        upper = str(name).upper()
        if upper.startswith(STEERING) or upper in STEERING_NAMES:
            said = f"`{settings.path}` sets `{name}`, which steers what hooks load and where they look"
            mark = wrong if settings.scope in ("project", "local") else note
            yield mark("settings", said, f"take `{name}` out of its `env`", path=settings.path, variable=name)


def _writable(path: str) -> str:
    try:
        seen = os.stat(path)
    except OSError:
        return ""
    if seen.st_uid not in (os.geteuid(), 0):
        return f"belongs to user {seen.st_uid}"
    return f"is open to everybody for writing (mode {stat.S_IMODE(seen.st_mode):o})" if seen.st_mode & 0o002 else ""


def _gone(files: Sequence[Settings]) -> Iterator[Finding]:
    """What `install` wrote and does not stand there any more."""
    content = {one.path: one.content for one in files if not one.flaw}
    for entry in installed.entries():
        missing = installed.missing_in(content[entry.path], entry) if entry.path in content else ()
        if missing:
            said = f"`{entry.path}`: what was installed for {', '.join(missing)} is gone, or was changed"
            todo = f"{INSTALL} --scope {entry.scope}` again, or `wasmguard uninstall claude-code` if it was meant"
            there = os.path.isdir(os.path.dirname(os.path.dirname(entry.path)))
            yield (wrong if there else note)("settings", said, todo, path=entry.path, missing=list(missing))


def _runs(hook: Hook) -> Iterator[Finding]:
    """Rule 3: what it needs is there."""
    again = _again(hook.scope)
    if hook.url:
        for owner in sorted(owners_of(hook.url) - {os.geteuid()}):
            said = f"a program of user {owner} listens where `{hook.url}` leads: it reads every call, and decides"
            yield wrong("- port", said, f"end that program, or {again} with another port", url=hook.url, owner=owner)
        return
    for word in needed(hook):
        if not os.path.lexists(word):
            yield wrong("- command", f"`{word}` is not there: the hook cannot start", again, missing=word)
        elif word == hook.words[0] and not os.access(word, os.X_OK):
            yield wrong("- command", f"`{word}` cannot be executed", again, missing=word)


def needed(hook: Hook) -> Iterator[str]:
    """The files that the command of *hook* names and cannot do without."""
    first, *rest = hook.words
    yield first if os.path.isabs(first) else shutil.which(first) or first
    for word in rest:
        is_python = os.path.isabs(word) and os.path.basename(word).startswith("python")
        if is_python or (os.path.isabs(word) and f"/{word}".endswith(claude_settings.CLIENTS)):
            yield word


def _timeout(hook: Hook) -> Iterator[Finding]:
    given = hook.handler.get("timeout")
    if not isinstance(given, (int, float)):
        return
    again, said = _again(hook.scope), f"its `timeout` is {given:g} seconds"
    if given < SHORTEST:
        why = f"{said}; a hook of ours may need {SHORTEST}, and one that is cut off has not answered"
        yield wrong("- timeout", why, again, timeout=given)
    elif given > USUAL:
        yield note("- timeout", f"{said}: were milliseconds meant? A hook that hangs keeps the agent so long", again)


def _again(scope: str) -> str:
    """What makes a hook anew."""
    return (
        f"{INSTALL} --as-plugin DIR`, install the plugin again"
        if scope == PLUGIN
        else f"{INSTALL} --scope {scope}` again"
    )


def _unasked(hooks: Sequence[Hook]) -> Iterator[Finding]:
    """Rule 2."""
    for config in dict.fromkeys(hook.config for hook in hooks):
        ours = [hook for hook in hooks if hook.config == config]
        sent = {event for hook in ours for event in hook.events}
        with ours[0].at_home():
            locked = plan.last(config)
        judged = {event for policy in locked.policies for event in policy.events} if locked else set()
        for event in (*claude_settings.ALWAYS, *sorted(judged - set(claude_settings.ALWAYS))):
            if event in sent or event in claude_settings.NEVER or event not in claude.KNOWN:
                continue
            who = "a policy judges it" if event in judged else SHOWS if event in AFTER else "it guards the guard"
            mark = wrong if event in judged or event == "PreToolUse" else note
            yield mark("events", f"no hook is asked about {event}, though {who}", f"{INSTALL}` again", event=event)
