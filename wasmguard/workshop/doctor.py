"""`wasmguard doctor`: whether the guard is asked and obeyed on this machine, found out by trying it.

1. What there is: versions and advisories, the isolation of a cell that was really started, the configuration and its
   plan, private files, whether records can be written, the daemon, variables that steer.
2. What the agent's settings say, in all scopes.
3. Enforcement: every installed hook is called as the agent calls it, and has to say what the policies decide.
4. With *real*, the real client is driven under the same settings.

Whatever is broken is told, not raised: a part that fails is a finding of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wasmguard import link, places, plan
from wasmguard.errors import WasmguardError
from wasmguard.sandbox.isolation import THREAD
from wasmguard.workshop import hooks as installed_hooks
from wasmguard.workshop import machine, plugins, real, settings_check
from wasmguard.workshop.enforcement import enforced
from wasmguard.workshop.finding import Finding, as_json, lines, note, ok, split, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmguard.workshop.hooks import Hook, Settings

    Part = tuple[str, Callable[[], Iterator[Finding]]]

__all__ = ["Finding", "as_json", "findings", "lines"]


def findings(option: str | None, *, real: bool = False) -> Iterator[Finding]:
    """What is found, in the order of importance; *option* is the configuration file as `--config` names it. Never
    raises."""
    about: tuple[list[Settings], list[Hook]] = [], []
    parts: list[Part] = [
        ("wasmguard", machine.versions),
        ("isolation", machine.isolation),
        ("configuration", lambda: _configuration(option)),
        ("private files", machine.private_files),
        ("records", machine.records),
        ("environment", machine.environment),
        ("settings", lambda: _settings(*about)),
        ("daemon", lambda: _daemons(option, about[1])),
        ("enforcement", lambda: (found for hook in sorted(about[1], key=_late) for found in enforced(hook))),
    ]
    if real:
        parts.append(("real client", lambda: _real(about[1])))
    for name, part in parts:
        yield from _safely(name, part)


def _safely(about: str, part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What *part* finds; if it fails, that."""
    try:
        yield from part()
    except WasmguardError as error:
        yield split(about, error)
    except Exception as error:  # noqa: BLE001  # what is broken here is what people call doctor for
        yield wrong(about, f"could not be looked at: {type(error).__name__}: {error}", "please report it")


def _configuration(option: str | None) -> Iterator[Finding]:
    path = places.config_file(option)
    if not os.path.lexists(path):
        said = f"`{path}` does not exist"
        if option is None:
            yield note("configuration", f"{said} yet: a hook would deny everything", "run `wasmguard init`", path=path)
        else:
            yield wrong("configuration", said, "name another with --config PATH", path=path)
        return
    locked = plan.read(path)
    data = {"path": path, "digest": locked.digest, "policies": [policy.name for policy in locked.policies]}
    yield ok("configuration", f"`{path}` is locked, {len(locked.policies)} policies", **data)
    if locked.isolation == THREAD:
        said = '`isolation = "thread"`: policies run in the process that decides'
        yield note("isolation", said, "take that line out, unless you need it")
    if not locked.self_protection:
        said = "is switched off: tools may write the guard's own files"
        yield note("self-protection", said, "take `self_protection = false` out, unless you need it")
    if not locked.record["on"]:
        said = "are switched off: nobody can look up a decision, or see whether the calls that ran were granted"
        yield note("records", said, "take `on = false` out of `[record]`, unless you need it")


def _settings(files: list[Settings], hooks: list[Hook]) -> Iterator[Finding]:
    project = _project()
    files += installed_hooks.all_settings(project)
    files += plugins.ours(files).values()
    hooks += installed_hooks.hooks(project, files)
    yield from settings_check.checked(files, hooks)
    if hooks and (program := real.client()):
        yield from settings_check.client(program)


def _daemons(option: str | None, hooks: list[Hook]) -> Iterator[Finding]:
    """Each daemon that hooks would ask; without hooks, the usual one."""
    seen: set[str] = set()
    for hook in hooks:
        if hook.socket not in seen:
            seen.add(hook.socket)
            with hook.at_home():
                yield from machine.daemon(hook.socket, hook.config)
    path = places.config_file(option)
    if not hooks and os.path.lexists(path):
        yield from machine.daemon(link.socket_of(path), path)


def _late(hook: Hook) -> bool:
    """Whether it needs a daemon, which another hook starts: as a session's first one does."""
    return bool(hook.url)


def _real(hooks: list[Hook]) -> Iterator[Finding]:
    guarding = [hook for hook in hooks if "PreToolUse" in hook.events]
    if not guarding:
        said = "not driven: no hook of ours is asked about tool calls"
        yield note("real client", said, "run `wasmguard install claude-code` first")
        return
    yield from real.driven(guarding[0], installed_hooks.settings_files(_project()))


def _project() -> str:
    """The folder that a session here would have; the root if the current one was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return os.path.abspath(os.sep)
