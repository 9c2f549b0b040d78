"""What the programs here have in common: one event, and a guard of one shipped policy."""

import os

EVENT = {
    "session_id": "4bef8f8b-ce88-4ead-a908-16158175668b",
    "transcript_path": "/home/dev/.claude/projects/-home-dev-project/4bef8f8b-ce88-4ead-a908-16158175668b.jsonl",
    "cwd": "/home/dev/project",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/home/dev/data/new.txt", "content": "N\n"},
    "tool_use_id": "toolu_e99624c690ac40e599e81623",
}


def guard_of(folder: str, policy: str, more: str, isolation: str = "thread"):  # type: ignore[no-untyped-def]
    """A guard of the shipped *policy* with *more* of its configuration, which lies in *folder*."""
    from wasmguard import Guard

    path = os.path.join(folder, f"{policy}-{len(more)}.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'[[policy]]\nname = "it"\nmodule = "builtin:{policy}"\n{more}\n')
    return Guard.load(path, isolation=isolation)
