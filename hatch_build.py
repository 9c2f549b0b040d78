"""Puts the native client, `wasmguard/serve/client.c`, into the wheel; hatchling runs this.

1. A wheel for a platform of `PLATFORMS` holds `wasmguard/serve/wasmguard-client` and says so in its tags. An editable
   install gets it beside its source.
2. Without a compiler, for another platform, or with `WASMGUARD_PURE=1`, the wheel is pure and hooks take the Python
   client. A native client that cannot be built is a warning, never a failed install; an old one is removed.
3. The compiler is Zig, from its own wheel, of one version: the same bytes everywhere, and for every platform from any
   other (`WASMGUARD_PLATFORM=linux-aarch64`). It is a large download (100 MB), so it is asked for only if the client
   that is there was not made from these sources, which its `--version` says.
4. On Linux the client has no C library (`kernel.h`): Zig would compile one first, 30 s instead of half a second.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from platform import machine

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ZIG = "0.17.1"
SOURCES = ("wasmguard/serve/client.c", "wasmguard/serve/kernel.h")
CLIENT = "wasmguard/serve/wasmguard-client"
PATIENCE = 300  # seconds; it takes one, and five where Zig first makes what every macOS program needs
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Os", "-s")
FREESTANDING = ("-ffreestanding", "-nostdlib", "-static")
PLATFORMS = {  # Zig's target, flags, the wheel's tags: a static program runs with any C library
    "linux-x86_64": (
        "x86_64-linux-musl",
        FREESTANDING,
        "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    ),
    "linux-aarch64": (
        "aarch64-linux-musl",
        FREESTANDING,
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    ),
    "macosx-x86_64": ("x86_64-macos.11.0", (), "macosx_11_0_x86_64"),
    "macosx-arm64": ("aarch64-macos.11.0", (), "macosx_11_0_arm64"),
}


class CustomBuildHook(BuildHookInterface):
    """What hatchling calls."""

    def dependencies(self):
        """The compiler, if there is something to compile."""
        platform = _platform()
        return [f"ziglang=={ZIG}"] if platform and not self._is_there(platform) else []

    def initialize(self, version, build_data):
        """Build the client, before the wheel is put together."""
        editable, platform = version == "editable", _platform()
        path = beside = os.path.join(self.root, CLIENT)
        try:
            if not self._is_there(platform):
                if not editable:  # what is in the tree stays there
                    self.folder = tempfile.TemporaryDirectory()
                    path = os.path.join(self.folder.name, "client")
                self._build(platform, path)
        except (_NotBuilt, OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"wasmguard: without the native client, hooks take the Python one: {error}")
            if editable and os.path.lexists(beside):
                os.remove(beside)
            return
        if not editable:
            build_data |= {"pure_python": False, "tag": f"py3-none-{PLATFORMS[platform][2]}"}
            build_data["force_include"][path] = CLIENT

    def finalize(self, version, build_data, artifact_path):
        """The wheel is there."""
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def _is_there(self, platform):
        """Whether the client in this tree is the one that would be built."""
        path = os.path.join(self.root, CLIENT)
        if platform is None or not os.access(path, os.X_OK):
            return False
        says = f"wasmguard-client {self.metadata.version} ({self._made_from(platform)})\n".encode()
        return says in _content(path)

    def _made_from(self, platform):
        """What decides about the client's bytes, in 16 digits."""
        made = hashlib.sha256(repr((ZIG, FLAGS, PLATFORMS[platform], self.metadata.version)).encode())
        for name in SOURCES:
            made.update(_content(os.path.join(self.root, name)))
        return made.hexdigest()[:16]

    def _build(self, platform, path):
        """Compile the client to *path*, which is replaced in one step."""
        if platform is None:
            raise _NotBuilt("none for this platform")
        found = importlib.util.find_spec("ziglang")
        if found is None:
            raise _NotBuilt(f"`ziglang` {ZIG} is not installed")
        target, more, _ = PLATFORMS[platform]
        headers = os.path.join(found.submodule_search_locations[0], "lib", "libc", "include")
        includes = [f"-isystem{os.path.join(headers, name)}" for name in (target, "generic-musl")] if more else []
        defined = {"VERSION": self.metadata.version, "BUILD": self._made_from(platform)}
        words = [f'-DWASMGUARD_{name}="{value}"' for name, value in defined.items()]
        with tempfile.TemporaryDirectory() as folder:
            for name in SOURCES:  # compiled where they have no path that the client could keep
                with open(os.path.join(folder, os.path.basename(name)), "wb") as file:
                    file.write(_content(os.path.join(self.root, name)))
            zig = [sys.executable, "-m", "ziglang", "cc", "-target", target]
            done = subprocess.run(
                [*zig, *FLAGS, *more, *includes, *words, "-o", "client", os.path.basename(SOURCES[0])],
                cwd=folder,
                env=os.environ | dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
            if done.returncode:
                raise _NotBuilt(f"the compiler says: {done.stderr.decode(errors='replace').strip()}")
            new = f"{path}.new"
            with open(new, "wb") as file:
                file.write(_content(os.path.join(folder, "client")))
            os.chmod(new, 0o755)  # noqa: S103  # a program
            os.replace(new, path)


class _NotBuilt(Exception):
    """There is no native client, and why."""


def _platform():
    """The platform to build for, as a key of `PLATFORMS`, or None."""
    if os.environ.get("WASMGUARD_PURE", "0") not in ("", "0"):
        return None
    asked = os.environ.get("WASMGUARD_PLATFORM", "")
    if asked and asked not in PLATFORMS:
        raise ValueError(f"`WASMGUARD_PLATFORM` is `{asked}`: take one of {', '.join(PLATFORMS)}")
    system, *_, cpu = sysconfig.get_platform().split("-")  # linux-x86_64, macosx-11.0-arm64, macosx-10.9-universal2
    name = asked or f"{system}-{machine() if cpu.startswith('universal') else cpu}"
    return name if name in PLATFORMS else None


def _content(path):
    with open(path, "rb") as file:
        return file.read()
