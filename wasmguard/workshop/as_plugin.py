"""`wasmguard install claude-code --as-plugin DIR`: a plugin of Claude Code, in a marketplace of its own.

1. The hooks are those that `install` writes into settings, and name this installation by its whole path: a program that
   is looked for along `PATH` could be another one.
2. A folder that holds something else is not touched. One that we wrote is written again.
3. A plugin's hooks end with `disableAllHooks`, like a user's.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from wasmguard import places
from wasmguard.agents import claude, claude_settings
from wasmguard.agents.claude_settings import AGENT
from wasmguard.errors import HostError, UsageError
from wasmguard.version import __version__
from wasmguard.workshop import hook_command
from wasmguard.workshop.files import replace_files
from wasmguard.workshop.install import events_of, http_of
from wasmguard.workshop.outcome import Outcome, said

NAME = "wasmguard"
ABOUT = "Policies judge what the agent is about to do: WebAssembly modules that can touch nothing."
README = f"""\
# {NAME}

{ABOUT}

Before Claude Code uses a tool, the hooks of this plugin ask wasmguard. Its policies let the call pass, ask you, deny
it, or rewrite it, as the owner's configuration says. The hooks run the wasmguard that wrote this folder, by its whole
path, so the plugin works on that machine alone: elsewhere every call is blocked. `wasmguard doctor` tells whether it is
in force. `wasmguard install claude-code` without `--as-plugin` puts the same hooks into your settings.

```
/plugin install {NAME} --marketplace DIR
```

DIR is the folder that holds the marketplace; `claude plugin uninstall {NAME}@{NAME}` takes the plugin out again.
"""
LICENSE = "Apache-2.0"
MARKETPLACE = ".claude-plugin/marketplace.json"
PLUGIN = f"plugins/{NAME}"


def as_plugin(
    agent: str, folder: str, *, transport: str = "command", config: str | None = None, dry_run: bool = False
) -> Outcome:
    """Write a marketplace with one plugin into *folder*, by which *agent* asks wasmguard.

    Raises:
        UsageError: if that cannot be meant.
        ConfigError, BundleError: if the configuration cannot be used.
        HostError: if *folder* holds something else, or cannot be written.
    """
    if agent != AGENT:
        raise UsageError(f"`{agent}` is no agent that can be set up here: take `{AGENT}`")
    if transport != "command":
        why = "a plugin is a folder to hand on, and the token is yours alone"
        raise UsageError(f"`--as-plugin --transport {transport}`: {why}: take `--transport command`")
    folder = os.path.abspath(folder)
    _check(folder)
    config = places.config_file(config)
    files = _files(config, events_of(config, dry_run=dry_run))
    changed = any(_read(os.path.join(folder, name)) != text for name, text in files.items())
    lines = [("title", folder), *(("plain", f"  {name}") for name in files)]
    if not changed:
        return Outcome((*lines, said("ok", "nothing to do: they are as they should be")), changed=False)
    if dry_run:
        return Outcome((*lines, said("plain", "nothing was written")), changed=True)
    try:
        for name, text in files.items():
            _write(os.path.join(folder, name), text)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise HostError(f"`{error.filename or folder}` cannot be written: {why}") from None
    return Outcome((*lines, *_next(folder)), changed=True)


def _files(config: str, judged: tuple[str, ...]) -> dict[str, str]:
    """The text of each file, under its name in the folder."""
    handler = claude_settings.command_handler(hook_command.command(config, http=http_of(config, "command")))
    events = claude_settings.events_for(judged, claude.KNOWN)
    about = {"name": NAME, "version": __version__, "description": ABOUT, "author": {"name": NAME}, "license": LICENSE}
    offered = {"name": NAME, "source": f"./{PLUGIN}", "description": ABOUT}
    hooks = {event: [group] for event, group in claude_settings.groups(events, handler).items()}
    marketplace = {"name": NAME, "owner": {"name": NAME}, "metadata": {"description": ABOUT}, "plugins": [offered]}
    written = {
        MARKETPLACE: marketplace,
        f"{PLUGIN}/.claude-plugin/plugin.json": about,
        f"{PLUGIN}/hooks/hooks.json": {"description": ABOUT, "hooks": hooks},
    }
    texts = {name: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for name, value in written.items()}
    return {**texts, f"{PLUGIN}/README.md": README}


def _check(folder: str) -> None:
    """Rule 2."""
    if not os.path.lexists(folder):
        return
    if not os.path.isdir(folder):
        raise UsageError(f"`{folder}` is no folder: name one that is empty, or does not exist")
    if not os.listdir(folder):
        return
    try:
        ours = json.loads(_read(os.path.join(folder, MARKETPLACE)) or "{}").get("name") == NAME
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise HostError(f"`{folder}` holds something else: name a folder that is empty, or does not exist")


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    replace_files({Path(path): text.encode()})


def _next(folder: str) -> list[tuple[str, str]]:
    claude_code = shutil.which("claude") or "claude"
    commands = [
        [claude_code, "plugin", "validate", folder],
        [claude_code, "plugin", "marketplace", "add", folder],
        [claude_code, "plugin", "install", f"{NAME}@{NAME}"],
    ]
    return [
        said("ok", "the plugin is written; it runs this installation of wasmguard, on this machine. Next:"),
        *(("plain", f"  {shlex.join(command)}") for command in commands),
    ]
