"""The first configuration: it stops what destroys, moves what strays, and leaves ordinary work alone."""

import os
import re
import stat
from pathlib import Path

import pytest

from wasmguard import Guard, config, lock
from wasmguard.errors import ConfigError, HostError
from wasmguard.workshop import starter

DESTRUCTIVE = [
    *("rm -rf build", "cd x && rm -fr y", "rm -r -f x", "rm --recursive --force x", "sudo rm x", "shred -u key.pem"),
    *("dd if=/dev/zero of=/dev/sda", "mkfs.ext4 /dev/sdb1", "wipefs -a /dev/sdb", "sudo reboot", "crontab -r"),
    *("git reset --hard HEAD~3", "git -C sub push --force", "git push -f origin main", "git clean -fdx"),
    *("chmod -R 777 .", "ls | xargs rm -rf", "echo $(rm -rf x)", "/bin/rm -rf x", "bash -lc 'ls'; shutdown -h now"),
]
ORDINARY = [
    *("ls -la", "cat README.md | head -5", "git status && git add -A && git commit -m 'no rm -rf, no sudo'"),
    *("git push -u origin feature", "git push --force-with-lease", "git push --follow-tags", "git reset HEAD x"),
    *("git reset --soft HEAD~1", "git clean -n", "git checkout -b fix", "git stash && git pull --rebase"),
    *("rm build.log", "rm -r build", "rm -f *.pyc", "mkdir -p a/b && touch a/b/c", "chmod +x run.sh", "chmod 644 a"),
    *(
        "npm test",
        "npm run build -- --force",
        "python -m pytest -q",
        "python3 -c 'print(1)'",
        ".venv/bin/pip install x",
    ),
    *("make -j4", "cargo test --all", "go test ./...", "docker compose up -d", "curl -s https://example.org"),
    *(
        "grep -rf patterns.txt src",
        "find . -name '*.py' -maxdepth 1 -ls",
        "sed -i 's/dd/rm -rf/' x",
        "echo sudo make me",
    ),
    *('for f in *.txt; do wc -l "$f"; done', "cat <<'EOF' > notes.md\nsudo rm -rf /\nEOF", "crontab -l", "sudoku"),
]


@pytest.fixture
def started(own_home, tmp_path, monkeypatch):
    """What `write` made in a home of its own, called from a project outside of it."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return starter.write(str(own_home / "config" / "wasmguard.toml"))


@pytest.fixture
def guard(started):
    lock.lock(started.config, repin=True)
    with Guard.load(started.config, isolation="thread") as made:
        yield made


def asked(guard, tool, **given):
    event = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given, "cwd": "/elsewhere"}
    decision = guard.decide(event)
    assert not decision.faulted
    return decision


def test_it_can_be_locked_and_gives_nobody_a_fright(started):
    outcome = lock.lock(started.config, repin=True)
    assert [policy.name for policy in outcome.policies] == ["no-destruction", "my-own-files", "sandbox-writes"]
    assert [policy.notices for policy in outcome.policies] == [(), (), ()]


def test_what_destroys_is_denied(guard):
    answers = {command: asked(guard, "Bash", command=command).effect.name for command in DESTRUCTIVE}
    assert set(answers.values()) == {"DENY"}, answers


def test_ordinary_commands_pass_without_a_word(guard):
    answers = {command: asked(guard, "Bash", command=command).effect.name for command in ORDINARY}
    assert set(answers.values()) == {"PASS"}, answers


@pytest.mark.parametrize(
    ("tool", "field"), [("Write", "file_path"), ("Edit", "file_path"), ("NotebookEdit", "notebook_path")]
)
def test_a_write_elsewhere_lands_in_the_sandbox(guard, started, tool, field):
    for name in ("/etc/x", "/elsewhere/x", "relative", "/tmp/x", "/home2/x", "/usr/local/lib/a/b"):
        decision = asked(guard, tool, **{field: name, "content": "x"})
        assert decision.effect.name == "PASS"
        assert decision.rewrite == {field: started.sandbox + os.path.join("/elsewhere", name), "content": "x"}


def test_what_is_written_at_home_in_the_project_and_as_a_draft_stays(guard, started, own_home, tmp_path):
    *_, drafts = started.exempt
    for folder in (own_home, own_home / ".claude/plans", tmp_path / "project/src", started.sandbox, drafts):
        decision = asked(guard, "Write", file_path=f"{folder}/notes.txt", content="x")
        assert (decision.effect.name, decision.rewrite) == ("PASS", None)


def test_what_shells_and_git_obey_is_read_but_not_written_even_at_home(guard, own_home):
    for name in (".bashrc", ".gitconfig", ".ssh/authorized_keys", ".config/fish/config.fish"):
        effects = [asked(guard, tool, file_path=str(own_home / name)).effect.name for tool in ("Write", "Edit", "Read")]
        assert effects == ["DENY", "DENY", "PASS"]


def test_the_file_and_the_folders_are_closed_to_others(started):
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (started.config, Path(started.config).parent)]
    assert modes == [0o600, 0o700]
    assert stat.S_IMODE(os.stat(started.sandbox).st_mode) == 0o700


def test_nothing_is_left_beside_the_file(started):
    assert os.listdir(Path(started.config).parent) == ["wasmguard.toml"]


@pytest.mark.parametrize("make", [lambda path: path.write_text("mine"), lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_not_overwritten(own_home, tmp_path, make):
    path = tmp_path / "wasmguard.toml"
    make(path)
    with pytest.raises(ConfigError, match="exists already: edit it, then run `wasmguard lock`"):
        starter.write(str(path))
    assert os.path.islink(path) or path.read_text() == "mine"
    assert not own_home.exists()


def test_a_file_that_appears_meanwhile_is_not_overwritten(own_home, tmp_path, monkeypatch):
    path = tmp_path / "wasmguard.toml"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("mine"))
    with pytest.raises(ConfigError, match="exists already"):
        starter.write(str(path))
    assert path.read_text() == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} == {"home", "wasmguard.toml"}


def test_a_disk_that_is_full_leaves_no_half_of_a_file(own_home, tmp_path, monkeypatch):
    def fails(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(HostError, match="cannot be written: no space left on device"):
        starter.write(str(tmp_path / "wasmguard.toml"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"home"}


def test_a_file_system_without_hard_links_will_do(own_home, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fails)
    starter.write(str(tmp_path / "wasmguard.toml"))
    assert config.load(str(tmp_path / "wasmguard.toml")).policy
    assert {entry.name for entry in tmp_path.iterdir()} == {"home", "wasmguard.toml"}


def test_writes_do_not_go_where_a_link_leads(own_home, tmp_path):
    own_home.mkdir()
    (own_home / starter.SANDBOX).symlink_to("/etc")
    with pytest.raises(HostError, match="is a link"):
        starter.write(str(tmp_path / "wasmguard.toml"))


def test_a_file_where_the_sandbox_belongs_is_told(own_home, tmp_path):
    own_home.mkdir()
    (own_home / starter.SANDBOX).write_text("")
    with pytest.raises(HostError, match=f"{starter.SANDBOX}` is in the way"):
        starter.write(str(tmp_path / "wasmguard.toml"))


@pytest.mark.parametrize("folder", ["/home2/x", "/srv/site", "/tmp/try", "/app", "/root/x"])
def test_a_project_is_left_alone(folder):
    assert folder in starter._folders("/home/you", folder)


@pytest.mark.parametrize("folder", ["/", "/etc", "/usr/local/src", "/tmp", "/home", "/opt"])
def test_neither_the_system_nor_what_is_everybodys_is_a_project(folder):
    assert folder not in starter._folders("/home/you", folder)


def test_a_home_at_the_top_is_not_left_alone_for_it_would_be_everything():
    assert not {"/", ""} & set(starter._folders("/", "/"))


def test_a_folder_that_a_pattern_cannot_hold_is_not_left_alone():
    assert not {"/home/*", "/a/b?"} & set(starter._folders("/home/*", "/a/b?"))


def test_a_home_that_no_grant_can_hold_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "a\\b"))
    with pytest.raises(HostError, match="backslash"):
        starter.write(str(tmp_path / "wasmguard.toml"))


def test_a_linked_home_is_left_alone_under_both_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to("real")
    home, real, *_ = starter._folders(str(tmp_path / "home"), "/")
    assert (home, real) == (str(tmp_path / "home"), str(tmp_path / "real"))


def test_a_folder_that_is_gone_is_no_project(own_home, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert starter.write(str(tmp_path / "wasmguard.toml")).exempt[0] == str(own_home)


def test_paths_are_written_as_they_are_read(tmp_path):
    path = tmp_path / "wasmguard.toml"
    path.write_text(starter.written('/a "b" @EXEMPT@/ü', ['/c "d"', "/@QUOTED@"]))
    *_, policy = config.load(str(path)).policy
    assert policy.settings == {"root": '/a "b" @EXEMPT@/ü', "exempt": ['/c "d"/**', "/@QUOTED@/**"]}


def test_it_can_be_read_in_eighty_columns():
    text = starter.written("/home/you/wasmguard-sandbox", ["/home/you", "/tmp/claude-1000"])
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_what_it_suggests_in_comments_is_right(tmp_path):
    text = starter.written("/home/you/wasmguard-sandbox", ["/home/you"])
    switches = re.compile(r"^# ((?:isolation|self_protection) +=.*)$", re.MULTILINE)
    text = "\n".join(f"{switch}" for switch in switches.findall(text)) + "\n" + switches.sub("", text)
    text = re.sub(r"^( *)# (\[\[?\w+\]\]?|[\w.]+ += .*|\"[\w ]+\", .*)$", r"\1\2", text, flags=re.MULTILINE)
    assert not re.search(r"^ *# [\w.]+ *=", text, re.MULTILINE)
    path = tmp_path / "wasmguard.toml"
    path.write_text(text)
    loaded = config.load(str(path))
    first, _, _, mine = loaded.policy
    assert (mine.shadow, mine.grants.effects) == (True, ("deny", "ask", "allow"))
    assert "terraform destroy" in first.settings["deny_commands"]
    assert "npm test" in first.settings["allow_commands"]
    usual = lock.Limits()
    for limit in ("fuel", "clock", "memory", "event"):
        assert getattr(loaded.limits, limit) == getattr(usual, limit)
