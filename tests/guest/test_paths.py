"""Tests for the path rules. The root of most of them is a real folder, reached through a symlink of its own."""

import os
import socket
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard.errors import OutsideGrant
from wasmguard.guest.paths import LONGEST_NAME, LONGEST_PATH, PROTECTED, check_root, check_within
from wasmguard.text import is_plain

ROOT = "/sandbox"  # need not exist: rules 1 to 4 do not look at the disk


def refusal(path, root=ROOT):
    with pytest.raises(OutsideGrant) as caught:
        check_within(path, root)
    message = str(caught.value)
    assert all(map(is_plain, message))
    assert len(message) < 400
    return message


@pytest.fixture
def root(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("theirs")
    (tmp_path / "root").symlink_to("real")
    return str(tmp_path / "root")


ORDINARY = "a a/b/c.txt a:b ...a a~ - é/日本/😀 e\u0301 sandbox %2e%2e/a"


@pytest.mark.parametrize("path", [*ORDINARY.split(), " a b", "x" * 255])
def test_an_ordinary_path_below_the_root_passes(path):
    check_within(f"/sandbox/{path}", ROOT)


# Rule 1: text


@pytest.mark.parametrize("path", [None, 1, True, b"/sandbox/a", ["/sandbox/a"], {"/sandbox/a": 1}])
def test_a_path_is_text(path):
    assert refusal(path) == "a path must be text"


class Path(str):
    """Text that could answer every question in its own way."""


def test_a_path_is_exactly_text():
    assert refusal(Path("/sandbox/a")) == "a path must be text"


def test_a_path_is_neither_empty_nor_longer_than_the_system_takes():
    assert "not 1 to" in refusal("")
    folders = ("/" + "x" * 200) * 30
    longest = (ROOT + folders)[:LONGEST_PATH]
    check_within(longest, ROOT)
    assert "not 1 to" in refusal(longest + "x")
    assert "not 1 to" in refusal("x" * 10_000_000)
    wide = ROOT + ("/" + "é" * 100) * 21
    assert len(wide) < LONGEST_PATH < len(wide.encode())
    assert "not 1 to" in refusal(wide)


def test_no_character_of_a_hidden_category_is_in_a_path():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        # private use and unassigned fill most planes: a sample of those is enough
        if category in ("Cc", "Cf", "Cs", "Zl", "Zp") or (category[0] == "C" and code % 997 == 0):
            assert "does not show itself" in refusal(f"/sandbox/a{character}b")


def test_no_character_looks_like_another():
    for code in range(0x80, 0x30000):
        character = chr(code)
        if unicodedata.normalize("NFKC", character) != unicodedata.normalize("NFC", character):
            assert refusal(f"/sandbox/a{character}b")
    for fraud in ("．．", "‥", "…", "／", "＼", "﹨", "＄", "﹩", "～", "\u00a0", "\u2002", "\u3000", "ﬀ", "ſ", "①"):
        assert "look-alike" in refusal(f"/sandbox/{fraud}/x")


# Rule 2: form


@pytest.mark.parametrize(
    "path", ["/sandbox/a\\b", "\\sandbox\\a", "/sandbox/..\\x", "/sandbox/$HOME/x", "/sandbox/${x}"]
)
def test_a_path_has_no_backslash_and_no_dollar_sign(path):
    assert "backslash or a dollar" in refusal(path)


@pytest.mark.parametrize(
    "path", ["a", "sandbox/a", "./a", "../a", "~/a", " /sandbox/a", "//sandbox/a", "///sandbox/a", "C:/a"]
)
def test_a_path_starts_with_exactly_one_slash(path):
    assert "exactly one slash" in refusal(path)


NOT_NORMAL = """/sandbox/ /sandbox/a/ /sandbox//a /sandbox/./a /sandbox/. /sandbox/.. /sandbox/../etc/passwd
    /sandbox/a/../b /sandbox/a/.. /../sandbox/a /./sandbox/a /sandbox/a/../../sandbox/b"""


@pytest.mark.parametrize("path", NOT_NORMAL.split())
def test_a_path_is_normalised(path):
    assert "not normalised" in refusal(path)


@pytest.mark.parametrize("name", ["~", "~root", "...", "a.", "a ", ".git.", ".git ", "a. .", "a\u1680"])
def test_no_component_starts_with_a_tilde_or_ends_with_a_dot_or_a_blank(name):
    for path in (f"/sandbox/{name}", f"/sandbox/{name}/a", f"/sandbox/a/{name}/b"):
        assert "component" in refusal(path)


@pytest.mark.parametrize("name", ["x" * (LONGEST_NAME + 1), "é" * (LONGEST_NAME // 2 + 1)])
def test_no_component_is_longer_than_a_name_may_be(name):
    assert "255 bytes" in refusal(f"/sandbox/{name}")
    assert "255 bytes" in refusal(f"/sandbox/{name}/a")


# Rule 3: below the root


@pytest.mark.parametrize("path", ["/etc/passwd", "/sandboxed/a", "/sandbox-a", "/sandbo", "/Sandbox/a", "/a/sandbox/b"])
def test_a_path_outside_the_root_is_refused(path):
    assert "not below `/sandbox`" in refusal(path)


@pytest.mark.parametrize("path", ["/sandbox", "/"])
def test_neither_the_root_itself_nor_what_is_above_it_passes(path):
    assert "not below" in refusal(path)


# Rule 4: protected names


def spellings(name):
    folded = {name.replace("k", "\N{KELVIN SIGN}"), name.replace("ss", "ß")}  # case-folding, not just lower case
    return {name, name.upper(), name.lower(), name.title(), name.swapcase(), *folded}


@pytest.mark.parametrize("name", sorted(PROTECTED))
def test_no_protected_name_is_met_in_whatever_case_and_depth(name):
    for spelling in spellings(name):
        for path in (spelling, f"{spelling}/x", f"a/{spelling}", f"a/b/{spelling}/c/d"):
            assert "protected" in refusal(f"/sandbox/{path}")


ALIASES = """.gıt .GİT .gît .git\u0301 .\u0301git .ſsh .g\u0131\u0307t wasmguard.tóml ćlaude.md
    .git:x .GIT:x:y .claude:a"""


@pytest.mark.parametrize("alias", ALIASES.split())
def test_no_other_writing_of_a_protected_name_is_met(alias):
    for path in (alias, f"{alias}/x", f"a/{alias}", f"a/{alias}/b"):
        assert refusal(f"/sandbox/{path}")


HIDDEN = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180d\u180f\u3164\uffa0\ufe00\ufe0f\U000e0100\U000e01ef\u200b\u200d\xad"


@pytest.mark.parametrize("hidden", HIDDEN)
def test_nothing_that_case_insensitive_file_systems_skip_is_in_a_path(hidden):
    """ext4, f2fs and HFS+ take `.g<hidden>it` for `.git`: CVE-2014-9390 was that."""
    for name in (f".g{hidden}it", f"{hidden}.git", f".claude{hidden}", f"a{hidden}b"):
        assert "does not show itself" in refusal(f"/sandbox/{name}/x") or hidden in "\u3164\uffa0"


@pytest.mark.parametrize(
    "name", ["git~1", "GIT~1", "GIT~12", "CLAUDE~1", "claude~2.jso", "WASMGU~1.TOM", "WA12AB~1.TOM", "SSH~1", "a~1.md"]
)
def test_no_short_name_stands_for_a_long_one(name):
    """FAT, NTFS and what serves them find `.git` under `git~1`: CVE-2019-1353 was that."""
    for path in (name, f"{name}/x", f"a/{name}"):
        assert "protected" in refusal(f"/sandbox/{path}")


@pytest.mark.parametrize(
    "name", ["a~", "a.txt~", "a.txt.~1~", "1.0~1", "libfoo_1.2~rc1", "longer-than-8~1", "a~1.html"]
)
def test_a_name_with_a_tilde_that_is_no_short_name_passes(name):
    check_within(f"/sandbox/{name}", ROOT)


def test_a_pile_of_marks_is_refused_before_it_costs_anything():
    assert "does not show itself" in refusal("/sandbox/a" + "\u0344\u0323" * 1_000)
    check_within("/sandbox/a\u0301\u0323\u0304", ROOT)


NAMED = ".claude .git .mcp.json .envrc CLAUDE.md AGENTS.md wasmguard.toml .wasmguard .vscode .husky .ssh .cursor .idea"
NAMED += " wasmguard .gitconfig .gitmodules .profile .bashrc .bash_profile .zshrc .zshenv .zprofile .ripgreprc"


@pytest.mark.parametrize("name", NAMED.split())
def test_the_files_of_the_agent_the_guard_and_the_tools_are_protected(name):
    assert "protected" in refusal(f"/sandbox/{name}")


@pytest.mark.parametrize("name", ["git", ".gitignore", "claude", "x.claude", "CLAUDE.mdx", "my-CLAUDE.md", ".envrc2"])
def test_a_name_that_only_contains_a_protected_one_passes(name):
    check_within(f"/sandbox/{name}", ROOT)


def test_the_root_itself_may_lie_below_a_protected_name():
    check_within("/home/me/.claude/scratch/a", "/home/me/.claude/scratch")


def test_no_character_stands_in_for_a_letter_of_a_protected_name():
    letters = set("".join(PROTECTED))
    for code in range(0x80, sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.normalize("NFKC", character).casefold() in letters:
            for name in PROTECTED:
                for place, letter in enumerate(name):
                    if letter == unicodedata.normalize("NFKC", character).casefold():
                        assert refusal(f"/sandbox/{name[:place]}{character}{name[place + 1 :]}")


# Rule 5: no symlink on the way


def test_folders_that_do_not_exist_are_fine(root):
    check_within(f"{root}/new/a/b/c", root)
    os.makedirs(f"{root}/old/a")
    check_within(f"{root}/old/a/b/c", root)
    check_within(f"{root}/old/a/c", root)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("target", ["outside", "inside", "nowhere", "itself", "root"])
def test_no_symlink_is_on_the_way_wherever_it_leads(root, place, target):
    names = ["a", "b", "c", "d"]
    os.makedirs("/".join([root, *names[:place], "inside"]))
    link = "/".join([root, *names[: place + 1]])
    os.symlink({"outside": f"{root}/../outside", "itself": names[place], "root": root}.get(target, target), link)
    assert "through a symlink" in refusal("/".join([root, *names, "file"]), root)


def test_a_file_is_no_folder_on_the_way(root):
    with open(f"{root}/file", "w") as file:
        file.write("x")
    assert "no folder" in refusal(f"{root}/file/a", root)
    assert "no folder" in refusal(f"{root}/file/a/b", root)


def test_a_way_that_cannot_be_looked_at_is_refused(root):
    with open(f"{root}/file", "w") as file:
        file.write("x")
    for path in (f"{root}/file/a", f"{root}/file/a/b"):  # ENOTDIR: the root itself is no folder
        assert "cannot be looked at" in refusal(path, f"{root}/file")


# Rule 6: the target


def test_a_regular_file_may_be_overwritten(root):
    for path in (f"{root}/file", f"{root}/folder/file"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("x")
        check_within(path, root)


@pytest.mark.parametrize("target", ["outside/file", "outside", "real/file", "nowhere"])
def test_the_target_is_no_symlink_wherever_it_leads(root, target):
    os.symlink(f"{root}/../{target}", f"{root}/link")
    assert "symlink, folder or device" in refusal(f"{root}/link", root)


def test_the_target_is_no_folder_no_pipe_no_socket(root):
    os.mkdir(f"{root}/folder")
    os.mkfifo(f"{root}/pipe")
    here = os.getcwd()
    os.chdir(root)  # the path of a socket may be 107 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
    finally:
        os.chdir(here)
    for name in ("folder", "pipe", "socket"):
        assert "symlink, folder or device" in refusal(f"{root}/{name}", root)


def test_the_target_is_no_device():
    assert "symlink, folder or device" in refusal("/dev/null", "/dev")


def test_the_rules_come_in_their_order(root):
    os.symlink("nowhere", f"{root}/link")
    assert "does not show itself" in refusal("/etc/\n$/.git/")
    assert "backslash or a dollar" in refusal("/etc//$/.git/")
    assert "not normalised" in refusal("/etc//.git/")
    assert "not below" in refusal("/etc/.git")
    assert "protected" in refusal(f"{root}/link/.git", root)
    assert "through a symlink" in refusal(f"{root}/link/link", root)


# The root


@pytest.mark.parametrize("path", ["/sandbox", "/sandbox/é", "/a/.git/b", "/home/me/.claude"])
def test_a_root_is_an_absolute_folder(path):
    check_root(path)


NO_ROOTS = """/ // //sandbox sandbox ./sandbox ~/sandbox /sandbox/ /sand//box /a/../b /a/. /a\\b /$HOME /~ /a./b
    /a／b"""


@pytest.mark.parametrize("path", [*NO_ROOTS.split(), "", "/a\n", "/a\x1b", "/a ", "/" + "x" * 256, "/x" * 3_000])
def test_a_root_below_which_nothing_could_pass_is_refused(path):
    with pytest.raises(ValueError, match=r"(folder|absolute path)") as caught:
        check_root(path)
    assert all(map(is_plain, str(caught.value)))


# The law


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A root, reached through a symlink, with everything planted in it that could lead elsewhere."""
    base = tmp_path_factory.mktemp("planted")
    for folder in ("real/a/b", "real/.git", "outside/a"):
        (base / folder).mkdir(parents=True)
    for link, target in {"root": "real", "real/out": "../outside", "real/a/up": "..", "real/a/b/top": "/"}.items():
        (base / link).symlink_to(target)
    for file in ("real/file", "real/a/file", "outside/file", "outside/a/file"):
        (base / file).write_text("x")
    (base / "real" / "a" / "leak").symlink_to(base / "outside" / "file")
    return str(base / "root")


PLAIN = st.sampled_from(["a", "a", "b", "file", "new", "out", "up", "top", "leak", "root", "etc", "é"])
TRICK = ". .. ... .git .GIT .claude Claude.MD .hus\u212ay ~ ~root $HOME ．． a\\b a. ／ a/../../outside ..\\outside"
TRICKS = st.sampled_from([*TRICK.split(), "", "a ", "\n"])
ROOTS = st.sampled_from(
    ["{0}"] * 6 + ["{0}/a"] * 3 + ["{0}/a/b"] * 3 + ["{0}ed", "{0}/..", "{0}/../outside", "", "/{0}"]
)


@st.composite
def paths(draw):
    """Mostly ordinary paths below the root; every other one has tricks in it, or a character out of place."""
    names = draw(st.lists(PLAIN, min_size=1, max_size=4))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        names.insert(draw(st.integers(0, len(names))), draw(TRICKS))
    path = "/".join([draw(ROOTS), *names])
    if draw(st.sampled_from([False, False, False, True])):
        place = draw(st.integers(0, len(path)))
        path = path[:place] + draw(st.characters() | st.sampled_from("./~\\$ \0\u202e")) + path[place:]
    return path


def meets_a_protected_name(tail):
    return any(unicodedata.normalize("NFKC", name).casefold() in PROTECTED for name in tail.split("/"))


@settings(max_examples=3_000, deadline=None, database=None)
@given(path=paths())
def test_whatever_is_accepted_stays_in_the_root_and_meets_no_protected_name(planted, path):
    path = path.replace("{0}", planted)
    try:
        check_within(path, planted)
    except OutsideGrant:
        return
    tail = path.removeprefix(planted)
    assert os.path.realpath(path) == os.path.realpath(planted) + tail
    assert tail != ""
    assert not meets_a_protected_name(tail)
    assert not os.path.lexists(path) or (os.path.isfile(path) and not os.path.islink(path))


def test_ordinary_paths_beside_what_is_planted_pass(planted):
    for path in ("a/new", "a/b/file2", "file", "a/file", "new/a/b", "é"):
        check_within(f"{planted}/{path}", planted)
