"""Shell commands that plainly change the guard or what steers its agent.

A command line is read simple command by simple command, in the order in which the shell runs them, with the folder that
`cd` leads to and the variables that were given plain values. It is refused if it

1. redirects output to a protected path;
2. names a protected path to a command that is not known to only read it (`wasmguard.protection.commands`), or copies
   onto one, or finds one to change it;
3. removes, moves or replaces a folder in which one lies;
4. hands an interpreter code that spells one out, in its arguments or on its standard input;
5. changes the guard itself, or starts an agent without its hooks (`wasmguard.protection.own`);
6. is too long or too deeply nested to be read, and mentions one.

Commands in commands (`sh -c`, `eval`, `$( )`, `xargs`, `find -exec`, here-documents for a shell) are judged alike.

This stops plain acts. It is no sandbox: what a program does that is named here by nothing (a script, `make`, a patch, a
server), what is computed at run time (base64, variables read from files), and names relative to a folder that only the
shell will know are not seen. Whoever wants a wall runs the agent as another user, or the guard from managed settings.
"""

from __future__ import annotations

import os

from wasmguard.protection import commands
from wasmguard.protection.acts import CHANGE, Acts, Refused
from wasmguard.protection.marks import ANY, CLOSE, COMMA, ONE, OPEN, SET, alternatives, matches, plain, word_set
from wasmguard.protection.own import INSIDE, refusal_of
from wasmguard.protection.paths import Protected, refusal_to
from wasmguard.protection.words import Command, TooDeep, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wasmguard.protection.words import Word

LONGEST = 64 * 2**10  # characters of a command line that is read: the worst take half a second
LONGEST_VALUE = 1_024  # characters of a variable that is followed
LONGEST_WORD = 64 * 2**10  # characters of a word with all its variables
DEEPEST = 8  # command lines in command lines
SOURCES = 16  # commands of one pipeline that are remembered

RESERVED = word_set("if then else elif fi while until do done { } ! time coproc function")
KNOWN_VARIABLES = word_set(
    "HOME USER LOGNAME TMPDIR CLAUDE_CONFIG_DIR CLAUDE_PROJECT_DIR WASMGUARD_CONFIG XDG_CONFIG_HOME XDG_CACHE_HOME"
    " XDG_STATE_HOME XDG_RUNTIME_DIR APPDATA LOCALAPPDATA USERPROFILE"
)
_WILD = {ord("*"): ANY, ord("?"): ONE, ord("["): SET}


def refusal(command: str, protected: Protected, cwd: str) -> str:
    """Why the shell may not run *command* in the folder *cwd*; empty if nothing speaks against it."""
    try:
        _Shell(protected, cwd).line(command)
    except Refused as refused:
        return str(refused)
    return ""


def power_shell_refusal(command: str, protected: Protected, cwd: str) -> str:
    """`refusal` for PowerShell, as far as it looks like other shells: its backslash is no escape, its backtick is."""
    return refusal(command.replace("`", "").replace("\\", "/"), protected, cwd)


class _Shell(Acts):
    """What is known while a command line is read."""

    def __init__(self, protected: Protected, cwd: str) -> None:
        super().__init__(protected, cwd)
        self.variables: dict[str, str] = {}
        self.sources: list[tuple[list[str], Command]] = []
        """The commands before this one in its pipeline, as words."""
        self.depth = 0

    def line(self, text: str) -> None:
        """Judge the command line *text*."""
        self.depth += 1
        self.spend(len(text))
        try:
            items = read(text) if len(text) <= LONGEST and self.depth <= DEEPEST else None
        except TooDeep:
            items = None
        if items is not None:
            self._script(items)
        elif "wasmguard" in text.casefold() or self.protected.mentioned(text):
            raise Refused("the command is too long or too nested to be read, and mentions files of the guard: split it")
        self.depth -= 1

    def _script(self, items: Iterable[Command | str]) -> None:
        groups = []
        for item in items:
            if not isinstance(item, str):
                self._command(item)
            elif item != ")":
                groups.append((self.cwd, self.sources if item == "|(" else []))
                self.sources = []
            elif groups:
                self.cwd, before = groups.pop()
                self.sources = (before + self.sources)[-SOURCES:]

    def _command(self, command: Command) -> None:
        for nested in command.nested:
            here, sources = self.cwd, self.sources
            self._script(nested)
            self.cwd, self.sources = here, sources
        if not command.piped:
            self.sources = []
        words = [text for word in command.words for text in alternatives(self._valued(word))]
        for operator, target in command.redirects:
            if ">" in operator:
                self.written(self._valued(target))
        words, assigned = self._assigned(words)
        if words:
            self._run(words, command, assigned)
        if len(self.sources) < SOURCES:
            self.sources.append((words, command))

    def _valued(self, word: Word) -> str:
        """*word* with the values of its variables, as far as they are known."""
        out, size = [], 0
        for part in word:
            text = part if isinstance(part, str) else self._value(*part)
            size += len(text)
            if size > LONGEST_WORD:
                break
            out.append(text)
        self.spend(size)
        return "".join(out)

    def _value(self, name: str, instead: Word) -> str:
        if name == "PWD":
            return self.cwd
        if name in self.variables:
            return self.variables[name]
        known = self.protected.environ.get(name, "") if name in KNOWN_VARIABLES else ""
        return known or (self._valued(instead) if instead else f"${name}")

    def _assigned(self, words: list[str]) -> tuple[list[str], list[str]]:
        """*words* without reserved words and assignments in front, and the names that were assigned."""
        names = []
        for at, word in enumerate(words):
            if commands.is_assignment(word):
                names.append(self._assign(word))
            elif word in ("for", "select"):
                self._loop(words[at + 1 :])
                return [], names
            elif word == "case":
                return [], names
            elif word not in RESERVED:
                return words[at:], names
        return [], names

    def _assign(self, word: str) -> str:
        name, _, value = word.partition("=")
        name = name.removesuffix("+")
        self.variables.pop(name, None)
        if len(value) <= LONGEST_VALUE:
            self.variables[name] = value
        return name

    def _loop(self, words: list[str]) -> None:
        """`for NAME in …`: the variable stands for each of the words."""
        if len(words) > 2 and words[1] == "in":
            self._assign(f"{words[0]}={OPEN}{COMMA.join(words[2:])}{COMMA}{CLOSE}")

    def _run(self, words: list[str], command: Command, assigned: list[str]) -> None:
        before = words
        words, more = commands.unwrapped(before)
        if not words:
            return
        stepped = before[: len(before) - len(words)]
        assigned = [*assigned, *(word.partition("=")[0] for word in stepped if commands.is_assignment(word))]
        name, arguments = commands.name_of(plain(words[0])), words[1:]
        if refused := refusal_of(name, [plain(word) for word in words], assigned):
            raise Refused(refused)
        if name == "wasmguard" and "new" not in arguments:
            return  # it reads what `--config` names
        if name in _SPECIAL:
            _SPECIAL[name](self, arguments)
        elif name in commands.SHELLS or name in commands.CARRYING:
            self._shell(name, arguments, command)
        elif name.rstrip("0123456789.") in commands.INTERPRETERS:
            self._interpreter(arguments, command)
        elif name in commands.COPYING:
            self.copy(name, arguments)
        else:
            self.other(name, arguments)
        if more:
            self._given(name, arguments)

    def _shell(self, name: str, arguments: list[str], command: Command) -> None:
        texts = [plain(argument) for argument in arguments]
        for at, text in enumerate(texts):
            if text[:1] == "-" and text[:2] != "--" and text[-1:] == "c" and name in commands.CARRYING:
                self._lines(texts[at + 1 : at + 2])
            elif text.startswith("--command="):
                self._lines([text.partition("=")[2]])
        operands = commands.operands_of(texts)
        if name in commands.SHELLS and commands.flagged(texts, "c"):
            self._lines(operands[:1])
        elif name in commands.SHELLS and (not operands or commands.flagged(texts, "s")):
            self._lines([*self._documents(command), *self._said()])
        self.other(name, arguments)

    def _lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            here = self.cwd, self.sources
            self.line(text)
            self.cwd, self.sources = here

    def _eval(self, arguments: list[str]) -> None:
        self.line(" ".join(plain(argument) for argument in arguments))

    def _trap(self, arguments: list[str]) -> None:
        self._lines([plain(argument) for argument in arguments[:1]])

    def _documents(self, command: Command) -> Iterator[str]:
        return (plain(self._valued(document)) for document in command.documents)

    def _said(self) -> Iterator[str]:
        """What the commands before this one print, as far as it stands in the command line."""
        for words, command in self.sources:
            if words and commands.name_of(plain(words[0])) in ("echo", "printf"):
                yield " ".join(plain(word) for word in words[1:])
            yield from self._documents(command)

    def _interpreter(self, arguments: list[str], command: Command) -> None:
        texts = [plain(argument) for argument in arguments]
        operands = commands.operands_of(texts)
        if texts[:2] == ["-m", "wasmguard"] or (texts[:2] == ["-m", "json.tool"] and len(operands) < 3):
            return
        given = [] if operands and operands[0] != "-" else self._said()
        for text in (*texts, *self._documents(command), *given):
            self.mentions(text, "the code spells out")
            if any(door in text for door in INSIDE):
                raise Refused("the agent may not switch wasmguard off from a program: the owner does in a terminal")
        self.other("", arguments)

    def _given(self, name: str, arguments: list[str]) -> None:
        """`xargs`: what the commands before this one print become arguments of this one."""
        if commands.only_reads(name, arguments):
            return
        for words, _ in self.sources:
            if words and commands.name_of(plain(words[0])) == "find":
                self._find([*words[1:], "-exec", name, *arguments])
            for word in words[1:]:
                self.written(word)

    def _cd(self, arguments: list[str]) -> None:
        folders = commands.operands_of([plain(argument) for argument in arguments]) or ["~"]
        if folders[0] != "-":
            self.cwd = os.path.normpath(self.protected.absolute(folders[0], self.cwd))

    def _export(self, arguments: list[str]) -> None:
        for argument in arguments:
            if commands.is_assignment(argument):
                self._assign(argument)

    def _git(self, arguments: list[str]) -> None:
        sub, folder, rest = commands.git([plain(argument) for argument in arguments])
        here = self.cwd
        if folder:
            self._cd([folder])
        if not commands.only_reads("git", [sub, *rest]):
            words = arguments[len(arguments) - len(rest) :]
            for word in words:
                taken = sub == "rm" or (sub == "mv" and word is not words[-1])
                self.destroyed(word) if taken else self.written(word)
        self.cwd = here

    def _find(self, arguments: list[str]) -> None:
        search = commands.Search([plain(argument) for argument in arguments])
        for output in search.outputs:
            self.written(output)
        changes = search.deletes
        for run in search.runs:
            inner, _ = commands.unwrapped([word for word in run if word != "{}"])
            if inner and not commands.only_reads(commands.name_of(inner[0]), inner[1:]):
                changes = True
                self.depth += 1
                if self.depth > DEEPEST:
                    raise Refused("the command runs commands in commands in commands: split it")
                self._run(inner, Command(), [])
                self.depth -= 1
        for start in search.starts if changes else ():
            self.written(start)
            for rest in self.protected.below(start, self.cwd):
                path = self.protected.absolute(f"{start}/{rest}", self.cwd)
                if _is_found(search, start, rest) and os.path.lexists(path):
                    raise Refused(refusal_to(CHANGE, path, self.protected.why(path)))


def _is_found(search: commands.Search, start: str, rest: str) -> bool:
    """Whether *search* gets to the protected path *rest* below *start*."""
    names = rest.casefold().split("/")
    if len(names) > search.depth:
        return False
    wild = [pattern.casefold().translate(_WILD) for pattern in search.patterns]
    whole = f"{start}/{rest}".casefold()
    return not wild or any(matches(w, name) for w in wild for name in (*names, whole))


_SPECIAL = {
    "cd": _Shell._cd,
    "pushd": _Shell._cd,
    "eval": _Shell._eval,
    "trap": _Shell._trap,
    "export": _Shell._export,
    "declare": _Shell._export,
    "local": _Shell._export,
    "readonly": _Shell._export,
    "typeset": _Shell._export,
    "git": _Shell._git,
    "find": _Shell._find,
}
