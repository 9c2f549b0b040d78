"""The native client comes into the wheel, or the wheel is pure: a build never fails for it (`hatch_build.py`).

Here with a compiler that is a few lines of Python; `.ci/wheel` has the real one.
"""

import os
import shutil
import stat
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
CLIENT = Path("wasmguard/serve/wasmguard-client")
LINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"
COMPILER = """
import os, sys
words = sys.argv[1:]
said = dict(word[len("-DWASMGUARD_"):].split("=", 1) for word in words if word.startswith("-D"))
with open("client.c"), open("kernel.h"), open(words[words.index("-o") + 1], "w") as file:
    file.write("wasmguard-client {} ({})\\n".format(said["VERSION"].strip('"'), said["BUILD"].strip('"')))
    file.write(" ".join(words) + os.getcwd().replace(os.environ["ZIG_LOCAL_CACHE_DIR"], ""))
"""


class Interface:
    """As much of hatchling's as a hook needs."""

    def __init__(self, root, version="1.2.3"):
        self.root, self.metadata, self.warnings = str(root), SimpleNamespace(version=version), []
        self.app = SimpleNamespace(display_warning=self.warnings.append)


@pytest.fixture
def hook(monkeypatch):
    """`hatch_build.py` as a module, on a 64-bit Intel Linux."""
    name = "hatchling.builders.hooks.plugin.interface"
    for end in range(name.count(".") + 1):
        package = name.rsplit(".", end)[0]
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    sys.modules[name].BuildHookInterface = Interface
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.sysconfig, "get_platform", lambda: "linux-x86_64")
    for variable in ("WASMGUARD_PURE", "WASMGUARD_PLATFORM"):
        monkeypatch.delenv(variable, raising=False)
    return module


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Installs a compiler, a program in Python."""

    def install(program=COMPILER):
        folder = tmp_path / "packages" / "ziglang"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        (folder / "__main__.py").write_text(program, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(folder.parent))
        monkeypatch.syspath_prepend(folder.parent)

    return install


@pytest.fixture
def tree(tmp_path):
    """The client's sources."""
    for name in ("client.c", "kernel.h"):
        (tmp_path / CLIENT.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / CLIENT.parent / name, tmp_path / CLIENT.parent)
    return tmp_path


def made(hook, tree, kind="standard", **about):
    """What hatchling is told, and the warnings."""
    building, data = hook.CustomBuildHook(tree, **about), {"force_include": {}}
    asked = building.dependencies()
    building.initialize(kind, data)
    [source] = [path for path, name in data["force_include"].items() if name == str(CLIENT)] or [None]
    content = source and (Path(source).read_bytes(), stat.S_IMODE(os.stat(source).st_mode))
    building.finalize(kind, data, "")
    return SimpleNamespace(asked=asked, data=data, source=source, content=content, warnings=building.warnings)


PURE = {"force_include": {}}


def test_a_wheel_for_a_known_platform_holds_the_client_and_says_so(hook, tree, compiler):
    compiler()
    wheel = made(hook, tree)
    assert wheel.asked == [f"ziglang=={hook.ZIG}"]
    assert (wheel.data["tag"], wheel.data["pure_python"]) == (f"py3-none-{LINUX}", False)
    content, mode = wheel.content
    assert content.startswith(b"wasmguard-client 1.2.3 (")
    assert mode == 0o755
    assert not wheel.warnings
    assert not (tree / CLIENT).exists()  # the tree stays as it was
    assert not Path(wheel.source).exists()


def test_nothing_of_the_building_machine_is_on_the_command_line(hook, tree, compiler):
    compiler()
    [one, other] = [made(hook, tree).content for _ in range(2)]
    words = [word for word in one[0].decode().split() if not word.startswith("-isystem")]
    assert one == other
    assert str(tree) not in " ".join(words)


def test_an_editable_install_gets_it_beside_its_source_once(hook, tree, compiler):
    compiler()
    first = made(hook, tree, "editable")
    assert os.access(tree / CLIENT, os.X_OK)
    assert first.data == PURE
    seen = (tree / CLIENT).stat()
    again = made(hook, tree, "editable")
    assert again.asked == []  # the compiler is a large download
    assert (tree / CLIENT).stat().st_ino == seen.st_ino
    assert made(hook, tree).content[0] == (tree / CLIENT).read_bytes()


@pytest.mark.parametrize("change", ["client.c", "kernel.h", "version", "platform", "mode"])
def test_a_client_that_was_made_from_something_else_is_made_again(hook, tree, compiler, monkeypatch, change):
    compiler()
    made(hook, tree, "editable")
    about = {}
    if change == "version":
        about["version"] = "1.2.4"
    elif change == "platform":
        monkeypatch.setenv("WASMGUARD_PLATFORM", "linux-aarch64")
    elif change == "mode":
        (tree / CLIENT).chmod(0o644)
    else:
        with (tree / CLIENT.parent / change).open("a", encoding="utf-8") as file:
            file.write("// changed\n")
    was = (tree / CLIENT).stat().st_ino
    assert made(hook, tree, "editable", **about).asked
    assert (tree / CLIENT).stat().st_ino != was


FAILURES = {
    "says no": "import sys; sys.exit('error: it does not like this')",
    "makes nothing": "",
    "hangs": "import time; time.sleep(60)",
    "dies": "import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("program", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_a_compiler_that_fails_makes_a_pure_wheel_and_a_warning(hook, tree, compiler, program, kind):
    hook.PATIENCE = 2
    compiler(program)
    (tree / CLIENT).write_text("an old one")
    (tree / CLIENT).chmod(0o755)
    wheel = made(hook, tree, kind)
    assert wheel.data == PURE
    assert len(wheel.warnings) == 1
    assert "without the native client" in wheel.warnings[0]
    assert (tree / CLIENT).exists() == (kind == "standard")  # an old one would speak an old protocol


def test_without_a_compiler_the_wheel_is_pure(hook, tree):
    if hook.importlib.util.find_spec("ziglang"):
        pytest.skip("there is one")
    wheel = made(hook, tree)
    assert wheel.data == PURE
    assert "is not installed" in wheel.warnings[0]


@pytest.mark.parametrize("platform", ["linux-riscv64", "linux-i686", "win-amd64", "freebsd-14.0-release-amd64"])
def test_on_another_platform_nothing_is_asked_for(hook, tree, monkeypatch, platform):
    monkeypatch.setattr(hook.sysconfig, "get_platform", lambda: platform)
    wheel = made(hook, tree)
    assert (wheel.asked, wheel.data) == ([], PURE)


def test_whoever_wants_a_pure_wheel_gets_one(hook, tree, compiler, monkeypatch):
    compiler()
    made(hook, tree, "editable")
    monkeypatch.setenv("WASMGUARD_PURE", "1")
    wheel = made(hook, tree)
    assert (wheel.asked, wheel.data) == ([], PURE)
    made(hook, tree, "editable")
    assert not (tree / CLIENT).exists()


TAGS = {
    ("linux-aarch64", ""): "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    ("macosx-14.0-arm64", ""): "macosx_11_0_arm64",
    ("macosx-10.9-universal2", "x86_64"): "macosx_11_0_x86_64",
    ("macosx-10.9-universal2", "arm64"): "macosx_11_0_arm64",
}


@pytest.mark.parametrize("platform", TAGS, ids="-".join)
def test_each_platform_has_its_tags(hook, tree, compiler, monkeypatch, platform):
    compiler()
    monkeypatch.setattr(hook.sysconfig, "get_platform", lambda: platform[0])
    hook.machine = lambda: platform[1]
    assert made(hook, tree).data["tag"] == f"py3-none-{TAGS[platform]}"


def test_a_platform_that_nobody_knows_is_an_error_of_whoever_asked(hook, tree, monkeypatch):
    monkeypatch.setenv("WASMGUARD_PLATFORM", "linux-vax")
    with pytest.raises(ValueError, match="`linux-vax`: take one of linux-x86_64, "):
        made(hook, tree)


def test_what_is_compiled_is_what_git_does_not_keep():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    command = ["git", "-C", str(ROOT), "check-ignore", "--quiet", str(CLIENT)]
    assert subprocess.run(command, check=False).returncode == 0
