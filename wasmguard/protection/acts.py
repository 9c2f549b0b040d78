"""What a command does with the paths that it is given: writes them, or takes whole folders.

A path of a command is whatever could be one: a word, the value of an option, the sides of `=`, `:` and `,`. What is
refused raises `Refused`, because a command line has many places where it can happen.
"""

from __future__ import annotations

import os

from wasmguard.protection import commands
from wasmguard.protection.marks import plain
from wasmguard.protection.paths import Protected, refusal_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PATH = 4_096  # characters of a word that can be a path
LOOKS = 1_000  # paths of one command line that are looked up on the disk
MOST_LOOKED_AT = 50_000  # paths of one command line that are looked at
MOST_READ = 2**20  # characters that are read: command lines, code, variables; each as often as it is read
CHANGE = "change"


class Refused(Exception):
    """The command line is refused, and why."""


class Acts:
    """What is known while the acts of one command line are judged."""

    def __init__(self, protected: Protected, cwd: str) -> None:
        self.protected, self.cwd = protected, cwd
        self.looks = self.length = 0

    def spend(self, characters: int) -> None:
        """Count what is read, and refuse what would take seconds."""
        self.length += characters
        if self.length > MOST_READ or self.looks > MOST_LOOKED_AT:
            raise Refused("the command is more than can be checked: split it into several")

    def copy(self, name: str, arguments: list[str]) -> None:
        """`cp` and its like: the last operand is written, or things in it that are called like the others."""
        folder = _folder_named(name, arguments)
        operands = [word for word in commands.operands_of(arguments) if word not in folder] + folder
        if len(operands) < 2:
            return self.other(name, arguments)
        sources, target = operands[:-1], operands[-1]
        self.written(target)
        replacing = {"mv": "T", "ln": "Tn"}.get(name, "")
        if commands.flagged(arguments, replacing, "--del", "--no-target-directory"):
            self.destroyed(target)
        onto = not os.path.isdir(self.protected.absolute(plain(target), self.cwd))
        moved = name in commands.MOVING or "--remove-source-files" in arguments
        for source in sources:
            if moved:
                self.destroyed(source)
            inside = f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
            self.landed(source, inside)
            if onto or (name == "rsync" and source[-1:] == "/"):
                self.landed(source, target)
        return None

    def landed(self, source: str, folder: str) -> None:
        """What is in *source* comes to be in *folder*."""
        self.written(folder)
        if self.looks < LOOKS:
            for rest in self.protected.below(plain(folder), self.cwd):
                if os.path.lexists(self.protected.absolute(f"{plain(source)}/{rest}", self.cwd)):
                    path = self.protected.absolute(f"{plain(folder)}/{rest}", self.cwd)
                    raise Refused(refusal_to(CHANGE, path, self.protected.why(os.path.normpath(path))))

    def other(self, name: str, arguments: list[str]) -> None:
        """Any command: what is not known to read writes all that it is given."""
        if commands.only_reads(name, [plain(argument) for argument in arguments]):
            return
        whole = name in commands.DESTROYING
        whole |= name in commands.RECURSIVE and commands.flagged([plain(a) for a in arguments], "R", "--recursive")
        for argument in arguments:
            self.destroyed(argument) if whole else self.written(argument)

    def written(self, word: str) -> None:
        """Refuse if *word*, which is written to, names a protected path."""
        self.spend(0)
        for path in paths_in(word):
            self.looks += 1
            if found := self.protected.found(path, self.cwd, look=self.looks < LOOKS):
                raise Refused(refusal_to(CHANGE, found, self.protected.why(found)))

    def destroyed(self, word: str) -> None:
        """Refuse if *word*, which is removed, moved or replaced, names a protected path or a folder with one."""
        self.written(word)
        for path in paths_in(word):
            self.looks += 1
            if self.looks < LOOKS and (held := self.protected.above(path, self.cwd)):
                raise Refused(refusal_to("remove, move or replace", plain(path), f"which holds `{held}`"))

    def mentions(self, text: str, how: str) -> None:
        """Refuse if *text*, which is code, spells out a protected path."""
        self.spend(len(text))
        if found := self.protected.mentioned(text):
            raise Refused(f"{how} " + refusal_to(CHANGE, found, self.protected.why(found)))


def _folder_named(name: str, arguments: list[str]) -> list[str]:
    """The last folder that `-t` names as the one to copy to."""
    if name == "rsync":
        return []
    for at in range(len(arguments) - 1, -1, -1):
        if arguments[at].startswith("--target-directory="):
            return [arguments[at].partition("=")[2]]
        if arguments[at] in ("-t", "--target-directory"):
            return arguments[at + 1 : at + 2]
    return []


def paths_in(word: str) -> Iterator[str]:
    """What of *word* can be a path: all of it, the value of an option, the sides of `=`, `:` and `,`."""
    if not word or len(word) > LONGEST_PATH or "\n" in word or ("://" in word and word[:7].lower() != "file://"):
        return
    if word[0] == "-":
        option, _, value = word.partition("=")
        attached = min((at for at in (option.find("/"), option.find("~")) if at > 0), default=0)
        if option[1:2] != "-" and len(option) > 2:
            yield option[2:]
        word = word[attached:] if attached else value
        if word[:1] in ("", "-"):
            return
    yield word
    if word[0] == "@":
        yield word[1:]
    for sign in "=:,":
        if sign in word:
            yield from filter(None, word.split(sign, 16))
