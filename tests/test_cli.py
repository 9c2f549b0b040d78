"""The front desk: what each command hands on, exit codes, errors of one line, manual pages, completion."""

import inspect
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from wasmguard import __main__, __version__, places
from wasmguard.cli import SECTIONS, main
from wasmguard.cli_manual import parted
from wasmguard.errors import HostError

ROOT = Path(__file__).parents[1]
NAMES = sorted(main.commands)
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from wasmguard.__main__ import main; main()"


@pytest.fixture
def run():
    def invoke(*arguments, **given):
        return CliRunner().invoke(main, [str(word) for word in arguments], **given)

    return invoke


@pytest.fixture
def hands_on(monkeypatch):
    """Puts a function in the place of another (`"module.function"`), with its signature, and returns its calls."""

    def put(name, answer=None):
        module, _, function = name.rpartition(".")
        signature, calls = inspect.signature(getattr(import_module(module), function)), []

        def stand_in(*args, **given):
            signature.bind(*args, **given)
            calls.append((args, given))
            if isinstance(answer, Exception):
                raise answer
            return answer

        stand_in.__signature__ = signature
        monkeypatch.setattr(name, stand_in)
        return calls

    return put


def started(*arguments, **given):
    """wasmguard as a process of its own, in a group of its own."""
    command = [sys.executable, "-I", "-c", CODE, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a job in the background ignores it
    return subprocess.Popen(command, start_new_session=True, **{**pipes, **heard, **given})


def one_line(done, code):
    """The one line of an error on standard error, and nothing on standard output."""
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    (line,) = done.stderr.splitlines()
    head, _, rest = line.partition(": ")
    assert head == "wasmguard"
    assert not rest[0].isupper()
    assert not rest.endswith(".")
    return rest


# exit codes and errors


def test_the_version_is_printed(run):
    assert run("--version").output == f"wasmguard, version {__version__}\n"


@pytest.mark.parametrize("command", ["lock", "check"])
def test_an_error_is_one_line_on_standard_error_and_exit_code_1(run, tmp_path, own_home, command):
    assert one_line(run(command, "--config", tmp_path / "none.toml"), 1).startswith("configuration `")


def test_every_problem_of_a_configuration_is_told_at_once(run, configured):
    path = configured("pass", "deny", **{"pass": {"tols": "1"}, "deny": {"on_fault": '"allow"'}})
    said = run("check", "--config", path).stderr.splitlines()
    assert len(said) == 2
    assert ":4:" in said[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("isntall", "no command `isntall`: did you mean `install`?"),
        ("bogus", "no command `bogus`: see `wasmguard --help`"),
        ("--bogus", "`wasmguard` has no option `--bogus`: see `wasmguard --help`"),
        ("--config x lock", "`wasmguard` has no option `--config`: write it behind the command"),
        ("lock --confg x", "`wasmguard lock` has no option `--confg`: did you mean `--config`?"),
        ("lock -x", "`wasmguard lock` has no option `-x`: see `wasmguard lock --help`"),
        ("lock extra", "`wasmguard lock` has no use for `extra`: see `wasmguard lock --help`"),
        ("lock --config", "`wasmguard lock`: `--config` needs a value: write `--config PATH`"),
        ("lock --config=", "`--config` is empty: name a file, or leave the option out"),
        ("install", "`wasmguard install` needs `AGENT`: write `claude-code`"),
        ("install codex", "agent `codex` is not known: write `claude-code`"),
        ("install claude-code --scope usr", "`--scope usr` is not known: did you mean `user`?"),
        ("uninstall claude-code --scope all",
         "`--scope all` is not known: write one of `user`, `project`, `local`, `managed`"),
        ("install claude-code --transport x", "`--transport x` is not known: write one of `command`, `http`"),
        ("install claude-code --dry-run=1", "`wasmguard install`: `--dry-run` takes no value: write it alone"),
        ("completion tcsh", "shell `tcsh` is not known: write one of `bash`, `zsh`, `fish`"),
        ("off", "`wasmguard off` needs `--for TIME`: see `wasmguard off --help`"),
        ("serve --daemon --workers 0", "`--workers 0`: write a number from 1 to 64"),
        ("serve --daemon --workers -1", "`--workers -1`: write a number from 1 to 64"),
        ("serve --daemon --idle soon",
         "`--idle soon` is no time: write a number with s, m, h or d, like `30m`"),
        ("serve --daemon --idle 0", "`--idle 0` is no time: write a number with s, m, h or d, like `30m`"),
        ("serve --daemon --http x", "`--http x` is no address: write HOST:PORT, like `127.0.0.1:8787`"),
        ("serve --daemon --home x", "`--home` is `x`: not absolute: write the whole path"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_that_says_what_to_write_and_exit_code_2(run, own_home, line, said):
    try:
        assert one_line(run(*shlex.split(line)), 2) == said
    finally:
        places.tell()


def test_what_the_user_wrote_does_not_steer_the_terminal(run):
    assert "\x1b" not in one_line(run("\x1b[2Jx"), 2) + one_line(run("lock", "\x1b[2Jx"), 2)
    assert len(one_line(run("x" * 5000), 2)) < 200


def test_no_command_at_all_shows_them_and_is_wrong_usage(run):
    done = run()
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", run("--help").stdout)


def test_what_the_machine_does_not_let_us_do_is_one_line(run, monkeypatch):
    def full():
        raise OSError(28, "No space left on device", "/x/y")

    monkeypatch.setattr("wasmguard.config.schema", full)
    assert one_line(run("schema"), 1).startswith("`/x/y`: no space left on device: ")


def test_a_broken_installation_is_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "wasmguard.config", None)
    assert one_line(run("schema"), 1).startswith("its installation is broken: cannot import `wasmguard.config`: ")


def test_the_front_desk_needs_nothing_that_could_be_broken():
    """`wasmguard uninstall` must work when nothing else does."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import wasmguard.cli; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-Ic", code], text=True).split())
    assert "wasmguard.cli_setup" in loaded
    assert not {"wasmtime", "pydantic", "msgpack", "wasmguard.config", "wasmguard.plan", "asyncio"} & loaded


# what each command hands on


def test_lock_says_what_was_pinned_and_what_stayed(run, configured):
    path = configured("pass")
    assert "pinned, compiled in" in run("lock", "--config", path).output
    again = run("lock", "--config", path)
    assert (again.exit_code, "unchanged" in again.output) == (0, True)


def test_check_explains(run, configured):
    done = run("check", "--config", configured("pass"))
    assert (done.exit_code, "asked in this order" in done.output) == (0, True)


def test_schema_is_json(run):
    assert json.loads(run("schema").output)["title"] == "wasmguard.toml"


def test_init_writes_what_lock_and_check_accept_and_tells_what_is_next(run, own_home):
    done = run("init")
    assert done.exit_code == 0
    assert f"wrote {own_home}/wasmguard/wasmguard.toml\n" in done.output
    assert "\n  wasmguard check " in done.output
    assert "note:" not in run("lock").output + run("check").output
    assert "exists already" in one_line(run("init"), 1)


def test_init_names_the_file_in_what_is_next(run, own_home, tmp_path):
    said = run("init", "--config", tmp_path / "my file").output
    assert f"\n  wasmguard install claude-code --config '{tmp_path}/my file'\n" in said


def test_install_and_uninstall_hand_everything_on(run, hands_on, tmp_path):
    told = SimpleNamespace(lines=[("plain", "done")], works=True)
    calls = hands_on("wasmguard.workshop.install.install", told)
    assert run("install", "claude-code").output == "done\n"
    line = "install claude-code --scope local --transport http --dry-run --config x"
    run(*line.split())
    usual = {"scope": "user", "transport": "command", "dry_run": False, "config": None}
    other = {"scope": "local", "transport": "http", "dry_run": True, "config": "x"}
    assert calls == [(("claude-code",), usual), (("claude-code",), other)]
    calls = hands_on("wasmguard.workshop.uninstall.uninstall", told)
    assert run("uninstall", "claude-code").output == "done\n"
    run("uninstall", "claude-code", "--scope", "managed", "--dry-run")
    usual, other = {"scope": None, "dry_run": False}, {"scope": "managed", "dry_run": True}
    assert calls == [(("claude-code",), usual), (("claude-code",), other)]


def test_a_plugin_is_written_instead_of_settings(run, hands_on):
    told = SimpleNamespace(lines=[("plain", "done")], works=True)
    calls = hands_on("wasmguard.workshop.as_plugin.as_plugin", told)
    assert run("install", "claude-code", "--as-plugin", "x").output == "done\n"
    assert calls == [(("claude-code", "x"), {"transport": "command", "dry_run": False, "config": None})]
    assert "says nothing about a plugin" in one_line(
        run("install", "claude-code", "--as-plugin", "x", "--scope", "local"), 2
    )


def test_what_keeps_the_agent_from_asking_is_the_answer_no(run, hands_on):
    hands_on("wasmguard.workshop.install.install", SimpleNamespace(lines=[("wrong", "hooks are off")], works=False))
    done = run("install", "claude-code")
    assert (done.exit_code, done.output) == (1, "hooks are off\n")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("uninstall claude-code", 0, "nothing to do"),
        ("uninstall claude-code --dry-run", 0, "nothing to do"),
        ("lock", 1, "cannot import `click`: reinstall it; until then, `wasmguard uninstall claude-code`"),
    ],
)
def test_uninstall_works_when_nothing_else_does(own_home, tmp_path, line, code, said):
    """Not even what others wrote is there."""
    missing = ("click", "pydantic", "wasmtime", "msgpack")
    broken = f"import sys; sys.modules.update(dict.fromkeys({missing})); {CODE}"
    command = [sys.executable, "-I", "-c", broken, *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
    assert "Traceback" not in done.stderr


def test_status_is_for_people_or_for_programs(run, hands_on, tmp_path):
    calls = hands_on("wasmguard.workshop.status.status", {"version": "1"})
    hands_on("wasmguard.workshop.status.lines", [("title", "one"), ("note", "two")])
    path = tmp_path / "x.toml"
    assert run("status", "--config", path).output == "one\ntwo\n"
    assert json.loads(run("status", "--config", path, "--json").output) == {"version": "1"}
    assert calls == [((str(path),), {})] * 2


@pytest.mark.parametrize("command", ["status", "stop"])
def test_no_daemon_is_the_answer_no(run, hands_on, own_home, command):
    hands_on(f"wasmguard.workshop.status.{command}", HostError("there is no daemon: start it"))
    assert one_line(run(command), 1) == "there is no daemon: start it"


def test_stop_tells_what_ended(run, hands_on, own_home):
    hands_on("wasmguard.workshop.status.stop", "the daemon has ended")
    assert run("stop").output == "the daemon has ended\n"


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_doctor_says_no_if_anything_is_wrong(run, hands_on, more):
    from wasmguard.workshop import finding

    calls = hands_on("wasmguard.workshop.doctor.findings", [finding.ok("a", "b"), finding.note("c", "d")])
    assert run("doctor", *more).exit_code == 0
    wrong = [finding.ok("a", "b"), finding.wrong("c", "d", "mend it")]
    more_calls = hands_on("wasmguard.workshop.doctor.findings", wrong)
    done = run("doctor", "--real", "--config", "x", *more)
    assert (done.exit_code, "mend it" in done.output) == (1, True)
    assert (not more) or json.loads(done.output)["ok"] is False
    assert more or done.output.endswith("\n\n1 wrong\n")
    assert calls + more_calls == [((None,), {"real": False}), (("x",), {"real": True})]


def test_selftest_says_no_if_anything_did_not_hold(run, hands_on):
    hands_on("wasmguard.workshop.selftest.selftest", [("pass", "held")])
    assert run("selftest").exit_code == 0
    hands_on("wasmguard.workshop.selftest.selftest", [("pass", "held"), ("deny", "broke")])
    assert run("selftest").exit_code == 1


# the hook and the daemon


@pytest.fixture
def ways(monkeypatch):
    """Which way `__main__` sends some arguments: `hook` or `desk`."""

    def way(*arguments):
        taken = []
        monkeypatch.setattr(sys, "argv", ["wasmguard", *arguments])
        monkeypatch.setattr(__main__, "_hook", lambda rest: taken.append(("hook", rest)))
        monkeypatch.setattr("wasmguard.cli.main", lambda: taken.append(("desk", sys.argv[1:])))
        __main__.main()
        return taken[0]

    return way


@pytest.mark.parametrize("line", ["serve", "serve --config x", "serve --config=x --home /h", "serve --bogus"])
def test_a_hook_never_meets_the_command_line(ways, line):
    words = line.split()
    assert ways(*words) == ("hook", words[1:])


@pytest.mark.parametrize(
    "line", ["serve --daemon", "serve --config x --daemon --idle 5m", "serve -h", "serve --config x --help", "lock", ""]
)
def test_everything_else_goes_to_the_front_desk(ways, line):
    assert ways(*line.split()) == ("desk", line.split())


def test_the_daemon_is_told_everything_and_its_folders_are_settled_first(run, hands_on, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/not/this")
    calls = hands_on("wasmguard.serve.daemon.run")
    line = "--daemon --socket /s --http localhost:8787 --idle 30m --workers 2 --lock 3"
    try:
        done = run("serve", *line.split(), "--home", tmp_path, "--state", tmp_path / "s", "--cache", tmp_path / "c")
        assert (done.exit_code, done.output) == (0, "")
        assert (places.state_dir(), places.cache_dir()) == (f"{tmp_path}/s", f"{tmp_path}/c")
        run("serve", "--daemon", "--config", tmp_path / "x.toml")
    finally:
        places.tell()
    told = {"socket": "/s", "http": ("127.0.0.1", 8787), "idle": 1800.0, "workers": 2, "lock": 3}
    assert calls == [
        ((f"{tmp_path}/.config/wasmguard/wasmguard.toml",), told),
        ((f"{tmp_path}/x.toml",), dict.fromkeys(told)),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28_800), ("1d", 86_400)])
def test_times_have_units(run, hands_on, own_home, text, seconds):
    calls = hands_on("wasmguard.serve.daemon.run")
    run("serve", "--daemon", "--idle", text)
    ((_, told),) = calls
    assert told["idle"] == seconds


def test_serve_without_daemon_is_a_hook_even_if_it_comes_this_way(run, monkeypatch):
    taken = []
    monkeypatch.setattr("wasmguard.serve.hook.main", lambda arguments: (taken.append(arguments), sys.exit(0)))
    run("serve", "--config", "--daemon", "--home", "/h")
    assert taken == [["--config=--daemon", "--home=/h"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no daemon without `fork`")
def test_a_daemon_that_is_told_to_end_ends_with_0(configured, tmp_path, own_home):
    socket = tmp_path / "run" / "s.sock"
    folders = {"HOME": str(own_home), "PATH": os.environ["PATH"]}
    daemon = started("serve", "--daemon", "--config", configured("pass"), "--socket", socket, env=folders)
    try:
        until = time.monotonic() + 60
        while not socket.exists() and daemon.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        daemon.send_signal(signal.SIGTERM)
        _, said = daemon.communicate(timeout=60)
        assert (daemon.returncode, b"Traceback" in said) == (0, False), said
    finally:
        daemon.kill()
        daemon.wait(30)


# how a command ends when somebody stops it


def test_ctrl_c_ends_a_command_without_a_word(own_home):
    attacked = started("selftest", env={**os.environ, "HOME": str(own_home)})
    try:
        first = os.read(attacked.stdout.fileno(), 1)
        os.killpg(attacked.pid, signal.SIGINT)
        _, said = attacked.communicate(timeout=60)
        assert (bool(first), attacked.returncode, said.strip()) == (True, 130, b"")
    finally:
        attacked.kill()
        attacked.wait(30)


@pytest.mark.parametrize("line", ["schema", "--help", "serve --help", "demo"])
def test_a_pipe_that_closes_ends_a_command_without_a_word(own_home, line):
    reading, writing = os.pipe()
    os.close(reading)
    printing = started(*line.split(), stdout=writing, env={**os.environ, "HOME": str(own_home)})
    os.close(writing)
    _, said = printing.communicate(timeout=60)
    assert (printing.returncode, said) == (141, b"")


def test_colour_needs_a_terminal_that_wants_it(run, monkeypatch, hands_on):
    hands_on("wasmguard.workshop.demo.demonstration", [("deny", "no"), ("plain", "x")])
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert run("demo").output == "no\nx\n"
    assert "\x1b[31m" in run("demo", color=True).output
    assert run("demo", color=True, env={"NO_COLOR": "1"}).output == "no\nx\n"
    assert run("demo", color=True, env={"TERM": "dumb"}).output == "no\nx\n"


# manual pages


def page(run, *command):
    done = run(*command, "--help")
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("name", ["", *NAMES])
def test_a_page_fits_eighty_columns_and_cuts_no_sentence(run, name):
    said = page(run, *name.split())
    assert [line for line in said.splitlines() if len(line) > 80 or line != line.rstrip()] == []
    assert "..." not in said.replace("[ARGS]...", "")
    assert said.startswith(f"Usage: wasmguard {name}".rstrip())
    assert page(run, *name.split()) == CliRunner().invoke(main, [*name.split(), "-h"]).stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_it_does_how_it_is_called_and_what_the_exit_code_means(name):
    command = main.commands[name]
    body, sections = parted(command.help)
    headings = [heading for heading, _ in sections]
    assert body.partition("\n")[0].endswith(".")
    assert {"Examples:", "Exit codes:"} <= set(headings)
    assert len(headings) == len(set(headings))
    codes = re.findall(r"^ +(\d+)  \w", dict(sections)["Exit codes:"], re.MULTILINE)
    assert codes[0] == "0"
    assert "2" in codes
    assert all(option.help for option in command.params if isinstance(option, click.Option) and not option.hidden)


def examples():
    for name, command in [("", main), *main.commands.items()]:
        lines = dict(parted(command.help)[1])["Examples:"].splitlines()
        found = [shlex.split(line, comments=True) for line in lines if line.strip().startswith("wasmguard ")]
        assert found, name
        yield from (pytest.param(name, words[1:], id=" ".join(words)) for words in found)


@pytest.mark.parametrize(("name", "words"), list(examples()))
def test_every_example_is_a_command_line_that_is_understood(name, words):
    words = words[: next((at for at, word in enumerate(words) if word in ("<", ">", "|")), len(words))]
    command = main.commands[words[0]]
    assert not name or words[0] == name
    with command.make_context(words[0], words[1:]) as ctx:
        assert ctx.params.keys() >= {param.name for param in command.params if param.expose_value}


def test_every_command_that_a_page_mentions_is_there():
    said = " ".join(command.help for command in [main, *main.commands.values()])
    assert set(re.findall(r"`wasmguard ([a-z]+)", " ".join(said.split()))) <= set(NAMES)


def test_the_list_has_every_command_once_with_a_whole_sentence(run):
    listed = [command.name for commands in SECTIONS.values() for command in commands]
    assert sorted(listed) == NAMES
    said = page(run)
    for name in NAMES:
        first = inspect.cleandoc(main.commands[name].help).partition("\n")[0]
        assert re.search(rf"^  {name} +{re.escape(first.rstrip('.'))}$", said, re.MULTILINE)


# completion

COMPLETED = [
    ("ins", {"inspect", "install"}),
    ("install ", {"claude-code"}),
    ("install claude-code --sc", {"--scope"}),
    ("install claude-code --scope ", {"user", "project", "local", "managed"}),
    ("install claude-code --transport h", {"http"}),
    ("completion ", {"bash", "zsh", "fish"}),
    ("serve --wo", {"--workers"}),
]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a script in a shell that has `wasmguard` on its path and, in `$SCRIPTS`, what completes it."""
    folder = tmp_path_factory.mktemp("shell")
    command = folder / "wasmguard"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(CODE)} "$@"\n')
    command.chmod(0o755)
    for name in ("bash", "zsh", "fish"):
        (folder / name).write_bytes(subprocess.check_output([command, "completion", name]))
    (folder / "a-file.toml").touch()
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "SCRIPTS": str(folder)}

    def run(name, script):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
        plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
        done = subprocess.run(
            [name, *plain, "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


BASH = """
source $SCRIPTS/bash
words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _wasmguard_completion wasmguard; }
compopt() { echo "$@"; }
"""


@pytest.mark.parametrize(("line", "words"), COMPLETED)
def test_bash_completes(shell, line, words):
    last = " ''" if line.endswith(" ") else ""
    assert (
        set(shell("bash", f"{BASH} words wasmguard {line}{last}; printf '%s\\n' \"${{COMPREPLY[@]}}\"").split())
        == words
    )


def test_bash_completes_paths(shell):
    assert shell("bash", f"{BASH} words wasmguard lock --config ''") == "-o default\n"
    assert shell("bash", f"{BASH} words wasmguard install --as-plugin ''") == "-o dirnames\n"


def test_bash_knows_whom_to_ask(shell):
    assert "-F _wasmguard_completion wasmguard" in shell("bash", f"{BASH} complete -p wasmguard")


@pytest.mark.parametrize(("line", "words"), [*COMPLETED, ("lock --config a-f", {"a-file.toml"})])
def test_fish_completes(shell, line, words):
    said = shell("fish", f"source $SCRIPTS/fish; complete -C 'wasmguard {line}'")
    assert {found.partition("\t")[0] for found in said.splitlines()} == words


def test_zsh_reads_its_script(shell):
    shell("zsh", "zsh -n $SCRIPTS/zsh")
    shell("zsh", "autoload -U compinit && compinit -u -D && source $SCRIPTS/zsh && [[ $_comps[wasmguard] = _wasm* ]]")
