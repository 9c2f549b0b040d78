"""Whether an installed wheel is whole and works: `python -I installed.py WHEEL BUILD`, away from the source.

WHEEL is what was installed, BUILD the folder of the built policies that must be in it. A wheel for one platform holds
the native client, a pure one does not.
"""
# ruff: noqa: S101  # a check: what does not hold is shown and ends it

import json
import re
import stat
import struct
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
    clients = commands(native=not wheel.endswith("-none-any.whl"))
    print(said("--version"), said("demo"), sep="\n")
    config = Path("wasmguard.toml").resolve()
    config.write_text(CONFIG, encoding="utf-8")
    print(said("lock", "--config", str(config)))
    for name, command in clients.items():
        asked([*command, "--config", str(config)])
        print(f"{name} refuses, rewrites and passes")
    recorded(config)
    print(said("bench", str(config), "--seconds", "2", "--path", "all", "--html", "report.html"))
    assert "<svg" in Path("report.html").read_text(encoding="utf-8")
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
    for part in ("sdk", "templates"):
        kits = [name for name in names if name.startswith(f"wasmguard/kits/{part}/")]
        assert len(kits) >= 20, f"kits for authors are missing: {kits}"
    assert "wasmguard/py.typed" in names
    recorded = [name for name in names if name.startswith("wasmguard/workshop/recorded/") and name.endswith(".json")]
    assert len(recorded) >= 3, f"recorded payloads are missing: {recorded}"
    strangers = [name for name in names if not name.startswith(("wasmguard/", "wasmguard-"))]
    assert not strangers, f"not ours: {strangers}"
    print(f"{wheel.name}: {len(names)} files, {len(policies)} of policies, {len(recorded)} recorded payloads")


def commands(*, native):
    """The commands that a hook may be, none of which finds a daemon."""
    import wasmguard

    serve = Path(wasmguard.__file__).parent / "serve"
    python = [sys.executable, "-I", "-S", str(serve / "client.py"), "no-daemon"]
    found = {"wasmguard serve": [console(), "serve"], "the Python client": python}
    client = serve / "wasmguard-client"
    assert client.exists() == native, f"{client}: {'missing' if native else 'in a pure wheel'}"
    if native:
        static(client)
        found["the native client"] = [str(client), "no-daemon", *python]
    return found


def static(client):
    """It runs on any system of this kind, and for everybody; it is of this version, and of nobody's folder."""
    import wasmguard

    program = client.read_bytes()
    assert stat.S_IMODE(client.stat().st_mode) & 0o755 == 0o755
    if program.startswith(b"\x7fELF\x02\x01"):  # 64 bits, little-endian
        [start], [size, count] = struct.unpack_from("<Q", program, 32), struct.unpack_from("<HH", program, 54)
        kinds = {struct.unpack_from("<I", program, start + size * number)[0] for number in range(count)}
        assert not {2, 3} & kinds, f"{client} is not static"  # PT_DYNAMIC, PT_INTERP
    assert not re.search(rb"/(?!usr/lib/)[a-z]+/[\w.-]+/", program), (
        f"{client} knows a path of the machine that built it"
    )
    version = subprocess.run([str(client), "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert version.startswith(f"wasmguard-client {wasmguard.__version__} ("), version
    print(f"{version.strip()}, {len(program)} bytes")


def console():
    """The console script."""
    return str(Path(sys.prefix, "bin", "wasmguard"))


def said(*arguments):
    """What the console script prints."""
    return subprocess.run([console(), *arguments], stdout=subprocess.PIPE, check=True).stdout.decode()


def asked(hook):
    """Three calls through the command *hook*: one refused, one rewritten, one passed."""
    refused = answer(hook, "Bash", command="rm -rf /srv/data")["hookSpecificOutput"]
    assert refused["permissionDecision"] == "deny", refused
    assert "no-destruction" in refused["permissionDecisionReason"], refused
    moved = answer(hook, "Write", file_path="/etc/x", content="x")["hookSpecificOutput"]
    assert moved["updatedInput"] == {"file_path": "/sandbox/etc/x", "content": "x"}, moved
    assert answer(hook, "Read", file_path="/etc/x") == {}


def recorded(config):
    """A decision is recorded, explained, made again to the byte, and replayed."""
    from wasmguard import Guard

    with Guard.load(config) as guard:
        fields = {"hook_event_name": "PreToolUse", "tool_name": "Write", "cwd": "/", "session_id": "s"}
        guard.decide({**fields, "tool_input": {"file_path": "/etc/x", "content": "x"}})
    explained = said("explain", "last")
    assert "+ /sandbox/etc/x" in explained, explained
    print(said("log"), explained, said("stats"), said("verify"), sep="\n")
    print(said("replay", "--config", str(config), "--fail-on-change"))


def answer(hook, tool, **tool_input):
    """What the hook says about one call."""
    event = {
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": tool_input,
        "cwd": "/",
        "session_id": "s",
    }
    done = subprocess.run(hook, input=json.dumps(event).encode(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
