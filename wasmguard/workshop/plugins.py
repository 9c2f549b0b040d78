"""Our hooks in plugins of the agent (`install --as-plugin`), which stand in no settings file.

1. A plugin counts if the settings enable it; the closer ones outdo the user's, the administrator's outdo all.
2. Where a plugin is, the client has written down. Its hooks are read there: it runs that copy, not the folder that was
   installed from.
3. Whatever of this is missing or odd is no plugin. Nothing here raises: `uninstall` uses it too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wasmguard.agents import claude_settings
from wasmguard.workshop import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.workshop.hooks import Hook, Settings

INSTALLED = "plugins/installed_plugins.json"
"""In the client's folder: where it keeps its copy of each plugin (Claude Code 2.1.330)."""
HOOKS = "hooks/hooks.json"


def ours(files: Sequence[Settings]) -> dict[str, Settings]:
    """The plugins that the settings *files* enable and that ask wasmguard: name -> its hooks, like a settings file."""
    return {name: one for name, path in _enabled(files) if _asks(one := hooks.read(hooks.PLUGIN, path))}


def hooks_in(project: str) -> list[Hook]:
    """The hooks of those plugins, in a session in the folder *project*."""
    return hooks.hooks(project, list(ours(hooks.all_settings(project)).values()))


def removal(name: str) -> str:
    """How the owner gets rid of the plugin *name*, in words."""
    return f"the plugin `{name}` asks wasmguard: `claude plugin uninstall {name}` takes it out"


def _enabled(files: Sequence[Settings]) -> Iterator[tuple[str, str]]:
    """Name and hooks file of each plugin that counts (rules 1 and 2)."""
    said: dict[str, object] = {}
    for settings in files:
        given = settings.content.get("enabledPlugins") if settings.content else None
        said |= given if isinstance(given, dict) else {}
    folder = next((os.path.dirname(one.path) for one in files if one.scope == "user"), "")
    known = hooks.read(hooks.PLUGIN, os.path.join(folder, INSTALLED)).content or {}
    places = known.get("plugins")
    for name, places_of in places.items() if isinstance(places, dict) else ():
        for place in places_of if said.get(name) and isinstance(places_of, list) else ():
            path = place.get("installPath") if isinstance(place, dict) else None
            if isinstance(path, str) and os.path.isabs(path):
                yield name, os.path.join(path, HOOKS)


def _asks(settings: Settings) -> bool:
    return any(claude_settings.is_ours(handler) for _, _, handler in claude_settings.handlers(settings.content))
