"""A home with a guard, an agent and a project in it, for the tests of self-protection."""

import os
from types import SimpleNamespace

from wasmguard.agents import claude
from wasmguard.protection.events import Protection
from wasmguard.protection.paths import Protected
from wasmguard.protection.shell import refusal

FILES = [
    ".config/wasmguard/wasmguard.toml",
    ".config/wasmguard/notes.md",
    ".cache/wasmguard/vault/ab12",
    ".local/state/wasmguard/key",
    ".local/state/wasmguard/records.jsonl",
    ".local/state/wasmguard/plans/cd34.plan",
    ".local/state/wasmguard/run/guard.sock",
    "policies/one/policy.wasm",
    "secrets/redis",
    "policies/one/manifest.toml",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".claude.json",
    "proj/.claude/settings.json",
    "proj/.claude/settings.local.json",
    "proj/sub/.claude/settings.json",
    "moved/settings.json",
]
ORDINARY = ["proj/a", "proj/b", "proj/.claude/commands/x.md", "proj/build/out", ".claude/todos/1.json", ".config/x/y"]
MANAGED = "/etc/claude-code/managed-settings.json"


class House:
    """Files below *root*, and the protection that they get."""

    def __init__(self, root):
        self.home = os.path.realpath(root) + "/home/ada"
        self.project = f"{self.home}/proj"
        for name in FILES + ORDINARY:
            self.put(name)
        self.environ = {
            "HOME": self.home,
            "CLAUDE_CONFIG_DIR": f"{self.home}/moved",
            "CLAUDE_PROJECT_DIR": self.project,
            "XDG_RUNTIME_DIR": f"{self.home}/.local/state/wasmguard/run",
        }
        policy = SimpleNamespace(path=f"{self.home}/policies/one/policy.wasm")
        state = {"password_file": f"{self.home}/secrets/redis"}
        config = f"{self.home}/.config/wasmguard/wasmguard.toml"
        self.plan = SimpleNamespace(config=config, policies=(policy,), state=state)
        self.protection = Protection(self.plan, self.environ)
        self.protected = Protected.of(self.plan, self.environ)
        self.things = [f"{self.home}/{name}" for name in FILES]

    def put(self, name, text="{}"):
        """Make the file *name* below home."""
        path = f"{self.home}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def event(self, tool, given, *, name="PreToolUse", cwd=None):
        """The event of a call of *tool* with the input *given*."""
        fields = {"hook_event_name": name, "tool_name": tool, "tool_input": given, "cwd": cwd or self.project}
        return claude.from_mapping(fields)

    def tool(self, tool, given, **options):
        """Why *tool* is refused the input *given*; empty if it is not."""
        return self.protection.refusal(self.event(tool, given, **options))

    def bash(self, command, cwd=None):
        """Why the command is refused; empty if it is not."""
        return refusal(command, self.protected, cwd or self.project)

    def changed(self, **fields):
        """Why a change of the settings is refused; empty if it is not."""
        fields = {"hook_event_name": "ConfigChange", "cwd": self.project, **fields}
        return self.protection.refusal(claude.from_mapping(fields))
