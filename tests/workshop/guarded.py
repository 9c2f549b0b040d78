"""An owner's machine in a temporary folder: home, project, configuration, and hooks in the agent's settings."""

import json
import os
import sys

from wasmguard.agents import claude_settings
from wasmguard.lock import lock
from wasmguard.workshop import hooks

GATE = """
[[policy]]
name = "gate"
module = "builtin:tool-gate"
events = ["PreToolUse"]
settings = { deny_commands = ["rm -rf"] }
"""
REDIRECT = """
[[policy]]
name = "sandbox-writes"
module = "builtin:path-redirect"
tools = ["Write"]
settings = { root = "$SANDBOX" }
grants.rewrite."Write.file_path" = { within = "$SANDBOX" }
"""


class Owner:
    """Whose home is `home`, and who stands in `project`."""

    def __init__(self, root, monkeypatch):
        for name in [name for name in os.environ if name.startswith(("XDG_", "CLAUDE", "WASMGUARD_"))]:
            monkeypatch.delenv(name)
        self.root, self.home, self.project = root, root / "home", root / "project"
        for folder in (self.home, self.project, root / "guard", root / "sandbox"):
            folder.mkdir()
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.chdir(self.project)
        self.config = root / "guard" / "wasmguard.toml"

    def locks(self, text=GATE + REDIRECT):
        """Write the configuration and lock it."""
        self.config.write_text(text.replace("$SANDBOX", f"{self.root}/sandbox"), encoding="utf-8")
        lock(str(self.config), repin=True)

    @property
    def serve(self):
        """The command that answers one event in its own process."""
        where = ["--config", str(self.config), "--home", str(self.home)]
        return [sys.executable, "-I", "-m", "wasmguard", "serve", *where]

    def script(self, text, *arguments):
        """A command that looks like one of ours and is another program: the shell's *text*."""
        path = self.root / "wasmguard-client"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return [str(path), str(self.root / "none.sock"), *self.serve, *arguments]

    def installs(self, words=None, scope="user", events=claude_settings.ALWAYS, **changed):
        """Put the hook that runs *words* into the settings of *scope*, some of its keys *changed*."""
        handler = {**claude_settings.command_handler(words or self.serve), **changed}
        kept = {key: value for key, value in handler.items() if value is not None}
        return self.sets(scope, hooked(events, kept))

    def plugs_in(self, words=None, name="wasmguard@wasmguard", *, enabled=True):
        """Have the client keep a plugin with the hook that runs *words*. Returns the file of its hooks."""
        copy = self.home / ".claude" / "plugins" / "cache" / "wasmguard" / "1"
        (copy / "hooks").mkdir(parents=True)
        handler = claude_settings.command_handler(words or self.serve)
        (copy / "hooks" / "hooks.json").write_text(json.dumps(hooked(claude_settings.ALWAYS, handler)))
        known = {"version": 2, "plugins": {name: [{"scope": "user", "installPath": str(copy)}]}}
        (self.home / ".claude" / "plugins" / "installed_plugins.json").write_text(json.dumps(known))
        self.sets("user", {"enabledPlugins": {name: enabled}})
        return copy / "hooks" / "hooks.json"

    def sets(self, scope, settings):
        """Write the settings of *scope*: a value, or text as it is."""
        path = self.settings(scope)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(settings if isinstance(settings, str) else json.dumps(settings))
        return path

    def settings(self, scope):
        return claude_settings.settings_file(scope, home=str(self.home), project=str(self.project))

    def hooks(self):
        """The hooks of ours as doctor finds them."""
        return hooks.hooks(str(self.project), hooks.all_settings(str(self.project)))


def hooked(events, handler):
    """Settings that hook *events* with *handler*."""
    return {"hooks": {event: [group] for event, group in claude_settings.groups(events, handler).items()}}


def told(findings, about="", mark=""):
    """The sentences of those *findings* that are about something, with a mark."""
    return [one.sentence for one in findings if about in one.about and mark in one.mark]
