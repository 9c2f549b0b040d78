"""Shell commands that plainly change the guard, and as many that do not: they must pass."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protection.house import MANAGED, House
from wasmguard.protection import shell
from wasmguard.protection.shell import power_shell_refusal

WAYS = {
    "redirects": "echo x > {}",
    "appends": "echo x >> {}",
    "overwrites": "echo x >| {}",
    "redirects errors": "make 2> {}",
    "redirects all": "make &> {}",
    "opens for both": "cat <> {}",
    "tee": "echo x | tee -a {}",
    "cp": "cp a {}",
    "mv to": "mv a {}",
    "mv from": "mv {} /tmp/x",
    "rm": "rm -f {}",
    "ln": "ln -sf a {}",
    "sed": "sed -i s/a/b/ {}",
    "sort": "sort -o {} a",
    "truncate": "truncate -s 0 {}",
    "dd": "dd if=a of={}",
    "chmod": "chmod 000 {}",
    "curl": "curl -o {} https://example.org",
    "an editor": "ed {}",
    "a script": "./change.sh {}",
    "python": "python3 -c \"open('{}', 'w')\"",
    "perl": "perl -e \"unlink '{}'\"",
    "node": "node -e \"require('fs').unlinkSync('{}')\"",
    "a here-document for python": "python3 - <<'E'\nopen('{}', 'w')\nE\n",
    "a here-document for a shell": "bash <<E\nrm {}\nE\n",
    "a here-document for a file": "cat > {} <<'E'\n{{}}\nE\n",
    "a shell": "bash -lc 'rm {}'",
    "a shell in a shell": "sh -c 'sh -c \"rm {}\"'",
    "eval": "eval rm {}",
    "a pipe into a shell": "echo rm {} | sh",
    "xargs": "echo {} | xargs rm",
    "sudo": "sudo -u root rm {}",
    "env": "env -i A=b rm {}",
    "timeout": "timeout -k 1 5 rm {}",
    "a substitution": 'echo "$(rm {})"',
    "backticks": "echo `rm {}`",
    "a process substitution": "diff <(rm {}) a",
    "a variable": 'F={}; rm "$F"',
    "a loop": "for f in a {}; do rm $f; done",
    "a condition": "if true; then rm {}; fi",
    "a function": "f() {{ rm {}; }}; f",
    "a group": "(cd / && rm {})",
    "behind and": "true && rm {}",
    "on the next line": "true\nrm {}",
    "git": "git checkout -- {}",
    "find": "find {} -delete",
}
SPELLINGS = {
    "as it is": lambda path, house: path,
    "from ~ on": lambda path, house: path.replace(house.home, "~"),
    "from $HOME on": lambda path, house: path.replace(house.home, "$HOME"),
    "from ${HOME} on": lambda path, house: path.replace(house.home, "${HOME}"),
}

DENIED = [
    "echo x > ~/.claude/settings.json",
    "echo x >>~/.claude/settings.json",
    'echo x >| "$HOME/.claude/settings.json"',
    "echo x 2> ${HOME}/.claude/settings.json",
    "echo x &> $HOME/.claude/settings.json",
    "cat <> ~/.claude/settings.json",
    "tee ~/.claude/settings.json",
    "tee -a .claude/settings.local.json < /dev/null",
    "cat a | sudo tee ~/.config/wasmguard/wasmguard.toml",
    "cp a ~/.claude/settings.json",
    "cp settings.json ~/.claude/",
    "cp a b -t ~/.config/wasmguard",
    "mv a ~/.config/wasmguard/wasmguard.toml",
    "mv ~/.config/wasmguard/wasmguard.toml /tmp/x",
    "mv ~/.config ~/x",
    "rm ~/.claude.json",
    "rm -rf ~/.claude",
    "rm -rf ~/.config",
    "rm -rf ~/.config/*",
    "rm -rf ~",
    "rm -rf /",
    "rm -rf .claude",
    "rm -rf .",
    "rm -rf ../proj",
    "sed -i s/a/b/ ~/.claude/settings.json",
    "sed -i.bak -e s/a/b/ .claude/settings.json",
    "sed -ni p .claude/settings.json",
    "perl -pi -e s/a/b/ .claude/settings.json",
    "python3 -c \"open('{home}/.claude/settings.json','w')\"",
    "python -c 'import os; os.remove(os.path.expanduser(\"~/.config/wasmguard/wasmguard.toml\"))'",
    "node -e \"require('fs').writeFileSync(process.env.HOME + '/.claude/settings.json', '{}')\"",
    "python3 - <<'E'\nopen('.claude/settings.json','w')\nE",
    "python3 <<E\nopen('$HOME/.config/wasmguard/wasmguard.toml','w')\nE",
    "bash -c 'rm ~/.claude/settings.json'",
    'sh -c "cd ~/.claude && rm settings.json"',
    "eval rm ~/.claude/settings.json",
    "bash <<E\nrm ~/.claude/settings.json\nE",
    "echo 'rm ~/.claude/settings.json' | sh",
    "cd ~/.claude && rm settings.json",
    "cd ~/.claude; rm -f settings*",
    "cd .claude && echo > settings.json",
    "(cd ~/.config && rm -r wasmguard)",
    "pushd ~/.config/wasmguard; vim wasmguard.toml",
    "echo $(rm ~/.claude/settings.json)",
    "echo `rm ~/.claude/settings.json`",
    'echo "x $(echo > .claude/settings.json) y"',
    "ln -sf /dev/null ~/.claude/settings.json",
    "ln ~/.claude/settings.json x",
    "truncate -s 0 ~/.local/state/wasmguard/records.jsonl",
    "dd if=/dev/null of=$HOME/.claude/settings.json",
    "sort -o .claude/settings.json a",
    "find ~/.config -name wasmguard -exec rm -rf {} +",
    "find . -name '*.json' -delete",
    "find ~ -name 'settings*' -delete",
    "find ~/.claude -type f | xargs rm",
    "echo ~/.claude/settings.json | xargs rm -f",
    "F=~/.claude/settings.json; rm $F",
    'F=$HOME/.claude; echo x > "$F/settings.json"',
    "for f in a ~/.claude/settings.json; do rm $f; done",
    "rm ~/.claude/settings.{json,local.json}",
    "rm ~/.claude/s*n",
    "rm ~/.cl*/settings.json",
    "rm .[c]laude/settings.json",
    "chmod -R 000 ~/.config",
    "chmod 000 ~/.claude/settings.json",
    "rsync -a --delete x/ ~/.config/",
    "mount --bind /tmp ~/.config/wasmguard",
    "git checkout -- .claude/settings.json",
    "git rm -r .claude",
    "git -C .claude restore settings.json",
    "wasmguard off --for 10m",
    "wasmguard serve --daemon --config /tmp/evil.toml",
    "nohup wasmguard serve --config /tmp/evil.toml --daemon --socket /run/user/0/wasmguard/x.sock &",
    "uv run wasmguard serve --http=127.0.0.1:1",
    "python3 -I -m wasmguard serve --daemon",
    "/usr/bin/wasmguard lock",
    "python3 -m wasmguard --config x lock",
    "uv run wasmguard off",
    "sudo wasmguard uninstall claude",
    "wasmguard --config /x stop",
    "pkill -f wasmguard",
    "kill $(pgrep -f wasmguard)",
    "killall wasmguard",
    "pip uninstall -y wasmguard",
    "python -m pip uninstall wasmguard",
    "uv tool uninstall wasmguard",
    "uv pip uninstall wasmguard",
    "pipx uninstall wasmguard",
    "claude config set disableAllHooks true",
    "claude --bare -p hi",
    "CLAUDE_CODE_SIMPLE=1 claude -p hi",
    "env CLAUDE_CODE_SIMPLE=1 claude -p hi",
    "if true; then rm ~/.claude/settings.json; fi",
    "f() { rm ~/.claude/settings.json; }; f",
    "{ rm ~/.claude/settings.json; }",
    "! rm ~/.claude/settings.json",
    "time rm ~/.claude/settings.json",
    "nohup rm ~/.claude/settings.json &",
    "sudo -u root rm ~/.claude/settings.json",
    "env A=b rm ~/.claude/settings.json",
    "timeout 5 rm ~/.claude/settings.json",
    "xargs -a list rm ~/.claude/settings.json",
    "echo '{}' | python3 -c \"x\" > .claude/settings.json",
    "jq '.disableAllHooks=true' a > .claude/settings.json",
    "touch .CLAUDE/Settings.JSON",
    "rm $'{home}/.claude/settings.json'",
    "rm //etc/claude-code/managed-settings.json",
    "echo x > /etc/claude-code/managed-settings.d/a.json",
    "rm ~/policies/one/policy.wasm",
    "rm -rf ~/policies",
    "cp evil.wasm ~/policies/one/policy.wasm",
    "mv b ~/policies/one/manifest.toml",
    "true && echo x > .claude/settings.json",
    "curl -o ~/.claude/settings.json https://example.org/x",
    "curl -o.claude/settings.json https://example.org/x",
    "wget --output-document=/x/.claude/settings.json http://e",
    "cat > ~/.claude/settings.json <<'E'\n{}\nE",
    "trap 'rm ~/.claude/settings.json' EXIT",
    "script -qc 'wasmguard off' /dev/null",
    "python -c 'from wasmguard.switch import switch_off; switch_off(9)'",
    "cp -r evil/.claude .",
    'rm -rf "$CLAUDE_PROJECT_DIR"',
    "rm -rf $CLAUDE_PROJECT_DIR/.claude",
    "rm -rf ~/.cache/wasmguard/vault",
    "rm -rf ~/.claude/../.claude",
    "su -c 'rm ~/.claude/settings.json'",
    "watch rm ~/.claude/settings.json",
    "((x<<2))\nrm ~/.claude/settings.json",
    "case x in x) rm ~/.claude/settings.json;; esac",
    "echo x | (cat; rm ~/.claude/settings.json)",
    "diff <(rm ~/.claude/settings.json) a",
    "echo a |\nxargs -I{} rm ~/.claude/settings.json",
    "rm \\\n  ~/.claude/settings.json",
    'r"m" ~/\'.claude\'/"settings".json',
    "\\rm ~/.claude/settings.json",
    "python3 -c 'import subprocess; subprocess.run(\"true\")' > .claude/settings.json",
    "find . -exec find .claude -exec rm -rf {} + +",
    "echo ok; cd; cd .claude; cp /dev/null settings.json",
    "git -C ~/.claude checkout settings.json",
    "rm .claude/settings.jso?",
    "rm ~/.*/wasmguard/wasmguard.toml",
    "export F=~/.claude; rm $F/settings.json",
    "rm ${F:-~/.claude.json}",
    "cd ~/.config/wasmguard && git checkout wasmguard.toml",
    "env -S 'rm .claude/settings.json'",
    "rsync -a x/ ~/.cache/wasmguard/",
    "claude plugin disable wasmguard@market",
    "claude --settings '{\"disableAllHooks\": true}' -p hi",
    "systemctl --user stop wasmguard",
    "npx wasmguard init",
    "wasmguard nonsense",
    "cat <<E | sh\nrm ~/.claude/settings.json\nE\n",
    "echo 'rm ~/.claude/settings.json' |\n  sh",
    'echo \'open("/x/.claude/settings.json", "w")\' | python3 -',
    "uniq a .claude/settings.json",
    "sort a | uniq - .claude/settings.json",
    "awk '{print > \"/dev/null\"}' ~/.claude/settings.json",
    "yq -i .a=1 ~/.claude/settings.json",
]

HARMLESS = [
    "cat ~/.claude/settings.json",
    "cat ~/.claude/settings.json | jq .hooks",
    "ls ~/.config",
    "ls -la ~/.config/wasmguard",
    "git status",
    "git diff .claude/settings.json",
    'git add .claude/settings.json && git commit -m "document .claude/settings.json"',
    "git log -- .claude/settings.json",
    "npm test",
    "rm -rf build",
    "rm -rf node_modules dist/*",
    "rm -rf /tmp/foo",
    "rm *.pyc",
    "cp a b",
    "cp ~/.claude/settings.json /tmp/backup.json",
    "cp -r .claude /tmp/backup",
    "mv a b",
    "mv build/x .",
    "cp build/x .",
    "grep -r hooks ~/.claude",
    "rg disableAllHooks .claude",
    "find . -name '*.pyc' -delete",
    "find . -name node_modules -prune -exec rm -rf {} +",
    "find . -name '*.pyc' | xargs rm",
    "find . -type f -name '*.py' -exec sed -i s/a/b/ {} +",
    "find ~/.claude -name settings.json",
    "find . -type f -exec grep -l x {} +",
    "find . -type d -empty -delete",
    "mkdir -p .claude/commands",
    "mkdir -p .claude/{commands,agents}",
    "echo hi > .claude/commands/x.md",
    "touch ~/.claude/plans/x.md",
    'echo "edit ~/.claude/settings.json" > README.md',
    "cat > README.md <<'E'\nedit ~/.claude/settings.json and run `wasmguard off`\nE",
    "git commit -m \"$(cat <<'E'\nexplain ~/.claude/settings.json\nE\n)\"",
    'gh pr create --title x --body "see ~/.claude/settings.json for the hooks"',
    "wasmguard check",
    "wasmguard doctor",
    "wasmguard --help",
    "wasmguard lock --help",
    "wasmguard serve --config ~/.config/wasmguard/wasmguard.toml",
    "wasmguard serve --daemon --help",
    "wasmguard completion bash",
    "python -m wasmguard demo",
    "pip install requests",
    "pip uninstall -y requests",
    "pkill -f node",
    "kill 1234",
    "ps aux | grep wasmguard",
    "pgrep -f wasmguard",
    "sed -n 1,5p ~/.claude/settings.json",
    "sed s/a/b/ ~/.claude/settings.json",
    "sort ~/.claude/settings.json",
    "head -5 < ~/.claude/settings.json",
    "python3 -m json.tool ~/.claude/settings.json",
    "cat ~/.claude/settings.json | python3 -m json.tool",
    'cat ~/.claude/settings.json | python3 -c "import json,sys; print(json.load(sys.stdin))"',
    'python3 -c "print(1)"',
    "python3 build.py",
    "node index.js",
    "sha256sum ~/policies/one/policy.wasm",
    "stat ~/.config/wasmguard/wasmguard.toml",
    "diff ~/.claude/settings.json .claude/settings.json",
    "test -f ~/.claude/settings.json && echo yes",
    "[ -e .claude/settings.json ] || echo no",
    "if [[ -f ~/.claude/settings.json ]]; then cat ~/.claude/settings.json; fi",
    "for f in ~/.claude/settings*.json; do cat $f; done",
    "for f in a b; do rm $f; done",
    "cd ~/.claude && ls",
    "cd ~/.config/wasmguard && cat wasmguard.toml",
    "(cd ~/.claude && ls); rm settings.json",
    "chmod +x run.sh",
    "chmod -R u+x scripts",
    "tar czf out.tgz build",
    "curl https://raw.githubusercontent.com/a/b/main/.claude/settings.json",
    "curl -fsSL https://x.org/i.sh | bash",
    "make -j4 2>&1 | tee build/log.txt",
    "echo $HOME",
    "export PATH=$HOME/bin:$PATH",
    "docker run --rm -v $PWD:/w x",
    "claude --version",
    'claude -p "hi"',
    "rsync -a src/ dst/",
    "rsync -a --delete src/ dst/",
    "ln -s ../x build/y",
    "ssh host 'cat ~/.claude/settings.json'",
    "awk '{print $1}' ~/.claude/settings.json",
    "xargs -n1 echo < list",
    "which wasmguard",
    'echo "wasmguard off"',
    "printf '%s' '~/.claude/settings.json'",
    "ls -l $(which wasmguard)",
    "cat *",
    "ls .claude/*",
    "python manage.py migrate",
    "pytest -q tests",
    "git checkout -b feature",
    "git checkout main",
    "git mv a c",
    "echo '{\"a\": 1}' | jq .a > out.json",
    "cat ~/.claude/settings.json > /tmp/copy.json",
    "mv settings.json config/",
    "rm settings.json",
    "vim src/settings.json",
    "systemctl status wasmguard",
    "docker compose up -d && sleep 2",
    "base64 ~/.claude/settings.json",
    "(echo a; echo b) | sort",
    "rm -rf ~/.claude/commands/old",
    "rm ~/.claude/todos/*.json",
    'prettier --write "**/*.json"',
    "true # rm ~/.claude/settings.json",
    "uniq ~/.claude.json",
    "rm ~/.claude/projects/x/*.jsonl",
    "ls {a,b}{c,d}",
    "echo {} {a} a,b",
    "pip show wasmguard",
    "pip install wasmguard-policies",
    "claude plugin list",
    "cp -t build a b",
    "mv -n a .",
    "rm -rf -- build",
    "command -v wasmguard",
    "git -C ~/.claude log",
    "tail -f ~/.local/state/wasmguard/records.jsonl",
    "jq . ~/.local/state/wasmguard/records.jsonl | less",
    "cat <<< ~/.claude/settings.json",
    "make -C sub 2>/dev/null >&2",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("shell"))
    house.put("proj/evil/.claude/settings.json")
    return house


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_protected_file(house, way, spelling):
    spelt = [SPELLINGS[spelling](thing, house) for thing in [*house.things, MANAGED]]
    missed = [path for path in spelt if not house.bash(WAYS[way].format(path))]
    assert missed == []


@pytest.mark.parametrize("way", WAYS)
def test_the_same_ways_lead_to_ordinary_files(house, way):
    for path in (f"{house.project}/a", f"{house.home}/.config/x/y", f"{house.project}/.claude/commands/x.md", "/tmp/x"):
        assert house.bash(WAYS[way].format(path)) == ""


@pytest.mark.parametrize("command", DENIED)
def test_denied(house, command):
    assert house.bash(command.replace("{home}", house.home))


@pytest.mark.parametrize("command", HARMLESS)
def test_harmless(house, command):
    assert house.bash(command) == ""


def test_the_folder_that_cd_leads_to_counts_as_long_as_the_shell_is_there(house):
    assert house.bash("cd ~/.claude; rm settings.json")
    assert house.bash("cd ..; cd .claude; rm settings.json")
    assert not house.bash("(cd ~/.claude); rm settings.json")
    assert not house.bash("cd ~/.claude; cd -; cd /tmp; rm settings.json")
    assert house.bash("rm settings.json", cwd=f"{house.home}/.claude")


def test_copying_is_judged_by_what_would_lie_there_afterwards(house):
    house.put("proj/template/.claude/settings.json")
    house.put("proj/plain/x")
    assert house.bash("cp -r template/. .")
    assert house.bash("cp -r template/.claude .")
    assert house.bash("rsync -a template/ .")
    assert house.bash("cp template/.claude/settings.json .claude")
    assert not house.bash("cp -r template plain")
    assert not house.bash("cp -r plain/. .")
    assert not house.bash("rsync -a plain/ .")
    assert not house.bash("cp -r .claude /tmp/elsewhere")


def test_a_search_is_judged_by_what_it_would_find(house):
    assert house.bash("find . -name '*.json' -exec rm {} ;")
    assert house.bash("find . -delete")
    assert house.bash("find . -maxdepth 2 -delete")
    assert house.bash("find ~ -name .config -exec rm -rf {} +")
    assert house.bash("find . ! -name x -delete")
    assert house.bash("find . ! -empty -delete")
    assert house.bash("find . -fprint .claude/settings.json")
    assert not house.bash("find . -maxdepth 1 -delete")
    assert not house.bash("find build -delete")
    assert not house.bash("find . -name '*.json' -exec cat {} ;")


def test_power_shell_is_read_where_it_looks_like_other_shells(house):
    def judged(command):
        return power_shell_refusal(command, house.protected, house.project)

    assert judged("Set-Content -Path .claude\\settings.json -Value '{}'")
    assert judged("Remove-Item $env:USERPROFILE\\.claude\\settings.json")
    assert judged("'{}' > .claude\\settings.json")
    assert judged("Copy-Item x.json .claude\\settings.json")
    assert not judged("Get-Content .claude\\settings.json")
    assert not judged("Get-ChildItem -Recurse | Select-String hooks")


def test_what_is_too_long_to_be_read_is_refused_if_it_speaks_of_the_guard(house):
    long = "echo " + "x" * shell.LONGEST
    assert house.bash(long) == ""
    assert "split it" in house.bash(f"{long}\nrm ~/.claude/settings.json")
    assert "split it" in house.bash(f"{long}\nwasmguard off")
    assert house.bash(f"cat > notes.md <<'E'\n{'x' * 50_000}\nE\n") == ""


def test_what_would_take_seconds_is_refused(house):
    assert "split it" in house.bash("a=" + "b" * 900 + "; echo " + "$a " * 5_000)
    assert "split it" in house.bash("mv " + "a " * 30_000 + "build")
    assert house.bash("a=" + "b" * 900 + "; echo " + "$a " * 500) == ""


def test_what_is_too_deep_to_be_read_is_refused_if_it_speaks_of_the_guard(house):
    deep = "$(" * 40 + "{}" + ")" * 40
    assert house.bash(deep.format("true")) == ""
    assert "split it" in house.bash(deep.format("rm ~/.claude/settings.json"))
    assert "split it" in house.bash("eval " * 12 + "rm ~/.claude/settings.json")


HOSTILE = r"""
x |rm *|"$(|`|<<a|$'\x|(|{a,b}|{a,b}{c,d}{e,f}{g,h}|a=$a$a;|echo x:sh|echo x:python|sudo|env -S|find . -exec|eval|**/
*a|cp a ~|x=({|--a=-b=|cd ..;|git -C a|for a in b;do rm $a;|${a:-|[[|case x in|{|}|<(|&>|xargs|a=b:c,|rm ../a|a & b|\
"""


@pytest.mark.parametrize("piece", [*HOSTILE.strip().replace("\n", "|").split("|"), "<<a\n", "a\n", ":", ":sh"])
def test_a_hostile_command_line_is_read_in_time(house, piece):
    """Whatever the time limit of a hook is, it is some seconds: each of these takes less than one on a slow machine."""
    for before in ("", "rm ", "echo '", "a=" + "b" * 900 + ";rm "):
        piece = piece.replace(":", "|") + " "
        command = before + piece * (shell.LONGEST // len(piece))
        said = house.bash(command[: shell.LONGEST])
        assert "\n" not in said


SIGNS = [
    *"abc~/.*?[]{},;|&<>()$`'\"\\ \n\t#=-!0",
    "\0",
    "é",
    "<<",
    "EOF",
    "$HOME",
    ".claude",
    "settings.json",
    "-exec",
    "-c",
]
NAMES = [
    "rm",
    "echo",
    "cd",
    "xargs",
    "find",
    "sh",
    "for",
    "in",
    "do",
    "done",
    "case",
    "esac",
    "env",
    "git",
    "cp",
    "python",
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from([*SIGNS, *(f" {name} " for name in NAMES)]), max_size=40).map("".join))
def test_any_command_line_gets_an_answer(house, command):
    said = house.bash(command)
    assert "\n" not in said
    assert len(said) < 1_000


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters()))
def test_any_text_gets_an_answer(house, command):
    assert "\n" not in house.bash(command)
    assert "\n" not in power_shell_refusal(command, house.protected, house.project)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_a_quoted_word_is_the_word(house, name):
    """Whatever a file of the guard is called, the shell's own quoting does not hide it."""
    path = f"{house.home}/.config/wasmguard/{name}"
    if "\n" not in name and "/" not in name and name not in ("..", "."):
        assert house.bash(f"rm {shlex.quote(path)}")
