"""What common commands do with the paths that they are given: tables, and the options that one must know to read them.

1. A command reads if it is listed in `READING` and has none of the options that make it write. Everything else counts
   as writing what it is given: a list of what writes would never be complete.
2. A wrapper (`sudo`, `env`, `xargs`, …) is stepped over, with its options, to the command that it runs.
"""

from __future__ import annotations

from wasmguard.protection.marks import word_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

READING = word_set(
    "[ [[ . ag alias awk b2sum base64 basename bat cat cd cksum cmp column comm command cut date declare df diff dir"
    " dirname du echo egrep env exit export expr false fgrep file find fold gawk getfacl grep head hexdump id jq less"
    " local ls lsattr mawk md5 md5sum more nl od paste popd printenv printf ps pushd pwd read readlink readonly"
    " realpath return rev rg set sed sha1sum sha256sum sha512sum shasum sleep sort source stat strings sum tac tail"
    " test tr tree true type typeset uniq unset wait wc whereis which who whoami xxd yq zcat zgrep :"
    " gc gci get-childitem get-content get-item select-string test-path write-host write-output"
)
"""Commands that write only what they are told to by a redirection or an option below."""

_WRITING_OPTIONS = {
    # name: letters that write, letters that take the rest of the word as their argument, long options that write
    "less": ("oO", "bhjkpPtTxyz", ("--log-file", "--LOG-FILE")),
    "sed": ("iI", "efl", ("--in-place",)),
    "sort": ("o", "kStT", ("--output",)),
    "tree": ("o", "ILPT", ()),
    "yq": ("i", "", ("--inplace",)),
    "base64": ("o", "", ("--output",)),
    "jq": ("", "", ("--in-place",)),
}
_SECOND_WRITTEN = frozenset({"uniq", "xxd"})  # the second operand is where they write
_AWK = frozenset({"awk", "gawk", "mawk"})

DESTROYING = word_set("rm rmdir unlink shred srm trash trash-put wipe mount umount rename del rd ri remove-item")
"""Commands that take a whole folder with all that is in it."""
RECURSIVE = frozenset({"chmod", "chown", "chgrp", "chattr", "setfacl"})
"""Commands that do so with `-R`."""
COPYING = word_set("cp mv ln install rsync scp ditto link copy-item move-item")
"""Commands that read all their operands but the last."""
MOVING = frozenset({"mv", "ln", "link", "move-item"})
"""Those of them after which the operands are elsewhere too, or only."""

SHELLS = word_set("sh bash dash zsh ksh mksh ash fish")
CARRYING = frozenset({"su", "runuser", "script", "flock"})  # commands that take a command line after `-c`
INTERPRETERS = word_set(
    "python pypy perl ruby node nodejs deno bun php lua luajit osascript pwsh powershell rscript tclsh groovy scala"
    " julia elixir"
)

_GIT_READING = word_set(
    "add annotate blame branch cat-file check-attr check-ignore commit describe diff diff-tree fetch for-each-ref grep"
    " help log ls-files ls-tree merge-base name-rev push reflog remote rev-list rev-parse shortlog show show-ref status"
    " tag var version whatchanged"
)
_GIT_WITH_ARGUMENT = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"})

WRAPPERS: dict[str, tuple[str, str, int]] = {
    # name: short options with an argument, long ones, words of its own before the command
    "sudo": ("CDghpRrTtUu", "chdir chroot close-from command-timeout group host other-user prompt role type user", 0),
    "env": ("auC", "argv0 chdir unset", 0),
    "nohup": ("", "", 0),
    "time": ("fo", "format output", 0),
    "exec": ("a", "", 0),
    "command": ("", "", 0),
    "xargs": ("adEILnPsJRS", "arg-file delimiter max-args max-chars max-procs process-slot-var", 0),
    "nice": ("n", "adjustment", 0),
    "ionice": ("cnp", "class classdata", 0),
    "timeout": ("ks", "kill-after signal", 1),
    "doas": ("Cu", "", 0),
    "setsid": ("", "", 0),
    "stdbuf": ("eio", "error input output", 0),
    "unbuffer": ("", "", 0),
    "chronic": ("", "", 0),
    "builtin": ("", "", 0),
    "busybox": ("", "", 0),
    "toybox": ("", "", 0),
    "noglob": ("", "", 0),
    "watch": ("n", "interval", 0),
}


def name_of(word: str) -> str:
    """The command that *word* names: without its folder, in lower case."""
    return word.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")


def unwrapped(words: list[str]) -> tuple[list[str], bool]:
    """The command that *words* end up running, and whether `xargs` gives it more words."""
    at, more = 0, False
    while at < len(words) and (name := name_of(words[at])) in WRAPPERS:
        more |= name == "xargs"
        at, text = _stepped(name, words, at + 1)
        if text is not None:
            return ["eval", text, *words[at:]], more
        if name == "command" and words[at - 1] in ("-v", "-V"):
            return [], more
    return words[at:], more


def _stepped(name: str, words: list[str], at: int) -> tuple[int, str | None]:
    """Where the command behind the wrapper *name* begins, and a command line that `env` was given as one word."""
    letters, longs, operands = WRAPPERS[name]
    while at < len(words) and (words[at][:1] == "-" or operands or is_assignment(words[at])):
        word = words[at]
        at += 1
        if name == "env" and (word.startswith("--split-string") or word[:2] == "-S"):
            return at, word.partition("=")[2] if word[1] == "-" else word[2:]
        if word[:1] == "-":
            at += _takes(word, letters, longs)
        elif operands:
            operands -= 1
        if word in ("-v", "-V"):
            break
    return at, None


def _takes(word: str, letters: str, longs: str) -> bool:
    """Whether the option *word* takes the next word."""
    if word[:2] == "--":
        return word[2:] in longs.split()
    return word[:1] == "-" and any(letter in letters for letter in word[1:]) and word[-1] in letters


def is_assignment(word: str) -> bool:
    """Whether *word* gives a variable a value: `NAME=…`, `NAME+=…`."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name.removesuffix("+").isidentifier()


def only_reads(name: str, arguments: list[str]) -> bool:
    """Whether the command *name* only reads the paths in *arguments*."""
    if name == "git":
        return git(arguments)[0] in _GIT_READING and not any(a.startswith("--output") for a in arguments)
    if name == "find":
        return ACTING.isdisjoint(arguments)
    if name not in READING:
        return False
    if name in _AWK:
        return not any(">" in a or "|" in a or "system" in a or "inplace" in a for a in arguments)
    if name in _SECOND_WRITTEN:
        return len(operands_of(arguments)) < 2
    letters, taking, longs = _WRITING_OPTIONS.get(name, ("", "", ()))
    return not any(_writes(argument, letters, taking, longs) for argument in arguments)


def _writes(word: str, letters: str, taking: str, longs: tuple[str, ...]) -> bool:
    if word[:2] == "--":
        return any(word.partition("=")[0] == long for long in longs)
    if word[:1] != "-":
        return False
    for letter in word[1:]:
        if letter in letters:
            return True
        if letter in taking:
            return False
    return False


def operands_of(arguments: list[str]) -> list[str]:
    """*arguments* without options; all that follow `--` are operands."""
    operands, options = [], True
    for argument in arguments:
        if options and argument == "--":
            options = False
        elif not (options and argument[:1] == "-" and argument != "-"):
            operands.append(argument)
    return operands


def flagged(arguments: list[str], letters: str, *longs: str) -> bool:
    """Whether an option among *arguments* has one of *letters*, or begins with one of *longs*."""
    for argument in arguments:
        if argument[:2] == "--":
            if argument.startswith(longs or "\0"):
                return True
        elif argument[:1] == "-" and any(letter in argument for letter in letters):
            return True
    return False


def git(arguments: list[str]) -> tuple[str, str, list[str]]:
    """The subcommand of git, the folder it works in (empty: here), and its own arguments."""
    folder, words = "", iter(range(len(arguments)))
    for at in words:
        word = arguments[at]
        if word[:1] != "-":
            return word, folder, arguments[at + 1 :]
        if word in _GIT_WITH_ARGUMENT:
            value = arguments[next(words, -1)]
            folder = value if word == "-C" else folder
    return "help", folder, []


_NAMES = frozenset({"-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename"})


_RUNNING = word_set("-exec -execdir -ok -okdir")
_PRINTING = word_set("-fprint -fprint0 -fls -fprintf")
ACTING = _RUNNING | _PRINTING | {"-delete"}
"""What makes a `find` do more than print names."""


class Search:
    """What a `find` looks for, and what it does with what it finds."""

    def __init__(self, arguments: list[str]) -> None:
        self.starts: list[str] = []
        self.patterns: list[str] = []
        """Names and paths of which one must fit; empty for all."""
        self.depth = 1_000
        self.deletes = False
        self.runs: list[list[str]] = []
        self.outputs: list[str] = []
        words, begun = iter(arguments), False
        for word in words:
            begun |= word[:1] in ("-", "!", "(") and word not in ("-H", "-L", "-P")
            if begun:
                self._read(word, words)
            elif word[:1] != "-":
                self.starts.append(word)
        self.starts = self.starts or ["."]

    def _read(self, word: str, words: Iterator[str]) -> None:
        if word in ("!", "-not"):
            denied = next(words, "")
            if denied in _NAMES:
                next(words, "")
            elif denied != "-empty":
                self._read(denied, words)
        elif word in _NAMES:
            self.patterns.append(next(words, ""))
        elif word == "-maxdepth":
            depth = next(words, "")
            self.depth = int(depth) if depth.isdecimal() and len(depth) < 4 else self.depth
        else:
            self._act(word, words)

    def _act(self, word: str, words: Iterator[str]) -> None:
        if word in _RUNNING:
            run = []
            for argument in words:
                if argument in (";", "+"):
                    break
                run.append(argument)
            self.runs.append(run)
        elif word in _PRINTING:
            self.outputs.append(next(words, ""))
        elif word == "-delete":
            self.deletes = True
        elif word == "-empty":  # nothing is lost, and what is protected is not empty
            self.patterns.append("\0")
