"""Whether an installed wheel is whole and works: `python -I installed.py WHEEL BUILD`, away from the source.

WHEEL is what was installed, BUILD the folder of the built policies that must be in it.
"""
# ruff: noqa: S101  # a check: what does not hold is shown and ends it

import json
import subprocess
import sys
import zipfile
from pathlib import Path

CONFIG = """
[[policy]]
name = "no-destruction"
module = "builtin:tool-gate"
settings = { deny_commands = ["rm"] }

[[policy]]
name = "sandbox-writes"
module = "builtin:path-redirect"
settings = { root = "/sandbox" }
grants.rewrite."Write.file_path" = { within = "/sandbox" }
"""


def main(wheel, build):
    """Look into the wheel, then use what it installed, and attack it."""
    import wasmguard

    assert Path(sys.prefix) in Path(wasmguard.__file__).parents, f"{wasmguard.__file__} is not the installed one"
    contents(Path(wheel), Path(build))
    print(said("--version"), said("demo"), sep="\n")
    config = Path("wasmguard.toml").resolve()
    config.write_text(CONFIG, encoding="utf-8")
    print(said("lock", "--config", str(config)))
    asked(config)
    print(said("doctor", "--config", str(config)), said("selftest"), sep="\n")  # both end with 1 if something is wrong


def contents(wheel, build):
    """Every policy, the recorded payloads and the typing marker are in it, and nothing that is not ours."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        policies = [path for path in sorted(build.glob("*/*")) if path.is_file()]
        assert policies, f"{build} holds no policies"
        for path in policies:
            name = f"wasmguard/builtin/{path.relative_to(build).as_posix()}"
            assert archive.read(name) == path.read_bytes(), f"{name} is not {path}"
    assert "wasmguard/py.typed" in names
    recorded = [name for name in names if name.startswith("wasmguard/workshop/recorded/") and name.endswith(".json")]
    assert len(recorded) >= 3, f"recorded payloads are missing: {recorded}"
    strangers = [name for name in names if not name.startswith(("wasmguard/", "wasmguard-"))]
    assert not strangers, f"not ours: {strangers}"
    print(f"{wheel.name}: {len(names)} files, {len(policies)} of policies, {len(recorded)} recorded payloads")


def said(*arguments, given=b""):
    """What the console script prints."""
    command = [str(Path(sys.prefix, "bin", "wasmguard")), *arguments]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def asked(config):
    """Three calls through the hook command: one refused, one rewritten, one passed."""
    refused = answer(config, "Bash", command="rm -rf /srv/data")["hookSpecificOutput"]
    assert refused["permissionDecision"] == "deny", refused
    assert "no-destruction" in refused["permissionDecisionReason"], refused
    moved = answer(config, "Write", file_path="/etc/x", content="x")["hookSpecificOutput"]
    assert moved["updatedInput"] == {"file_path": "/sandbox/etc/x", "content": "x"}, moved
    assert answer(config, "Read", file_path="/etc/x") == {}
    print("the hook refuses, rewrites and passes")


def answer(config, tool, **tool_input):
    """What the hook says about one call."""
    event = {
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": tool_input,
        "cwd": "/",
        "session_id": "s",
    }
    return json.loads(said("serve", "--config", str(config), given=json.dumps(event).encode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
