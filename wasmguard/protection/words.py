"""The words of a shell command line, read as far as it takes to see what it plainly does.

1. Simple commands end at `;` `&` `|` `(` `)` and newlines. A group in parentheses is marked, because what is changed
   inside (the folder) ends with it.
2. `$( )`, `<( )`, `>( )` and backticks hold commands of their own, also inside double quotes, `${ }` and here-documents
   whose name is not quoted. They come first: the shell runs them before the command that they stand in.
3. Quotes and backslashes are removed. What the shell would replace in a word is left as a mark: wildcards, braces,
   variables. What is quoted is no mark, and no operator.
4. Nothing is refused but nesting over `DEEPEST`. What is not closed ends with the text, as if it were closed there:
   whoever judges the commands would rather see one too many.

One pass from left to right; backticks are read once more for each level.
"""

from __future__ import annotations

from wasmguard.protection.marks import LOST, MARKS, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Part = str | tuple[str, "Word"]
    """A text, or the name of a variable with what stands for it if it is not set."""
    Word = list[Part]

DEEPEST = 16  # levels of substitutions: people write two

BLANK = " \t\r"
ENDS_WORD = frozenset(BLANK + "\n;&|<>()")
_IN_WORD = frozenset("\\'\"$`*?[{,}")
_IN_QUOTES = frozenset('\\"$`')
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}


class TooDeep(Exception):
    """Substitutions are nested deeper than anybody means."""


class Command:
    """One simple command."""

    __slots__ = ("documents", "nested", "piped", "redirects", "words")

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.redirects: list[tuple[str, Word]] = []
        """Operator (`>`, `>>`, `<`, …) and target."""
        self.documents: list[Word] = []
        """Here-documents and here-strings: what it reads."""
        self.nested: list[list[Command | str]] = []
        """The substitutions in its words."""
        self.piped = False
        """Whether it reads what the one before it wrote."""


def read(text: str) -> list[Command | str]:
    """The simple commands of *text* in their order, and `(` and `)` around those in a group.

    Raises:
        TooDeep: if substitutions are nested too deeply.
    """
    return _Reader(text if text.isascii() else text.translate(LOST), 0).script("")


class _Frame:
    """What is being read on one level."""

    def __init__(self) -> None:
        self.items: list[Command | str] = []
        self.command = Command()
        self.pending: list[tuple[Command, str, bool, bool]] = []
        self.groups = 0

    def end(self, *, piped: bool = False) -> None:
        """The command ends here."""
        done = self.command
        if done.words or done.redirects or done.documents or done.nested:
            self.items.append(done)
            self.command = Command()
        self.command.piped |= piped  # a line may end behind a pipe


class _Reader:
    def __init__(self, text: str, depth: int) -> None:
        self.text, self.at, self.end, self.depth = text, 0, len(text), depth
        self.frame = _Frame()
        self.unclosed = False

    def script(self, closer: str) -> list[Command | str]:
        """Commands up to *closer*, or to the end of the text."""
        if self.depth >= DEEPEST:
            raise TooDeep
        outer, self.frame = self.frame, _Frame()
        self.depth += 1
        while self.at < self.end:
            step = _STEPS.get(self.text[self.at])
            if step is None:
                if word := self._word():
                    self.frame.command.words.append(word)
            elif step(self, closer):
                break
        self.frame.end()
        self.depth -= 1
        inner, self.frame = self.frame, outer
        return inner.items

    def _blank(self, _closer: str) -> bool:
        self.at += 1
        return False

    def _comment(self, _closer: str) -> bool:
        self.at = self._find("\n")
        return False

    def _newline(self, _closer: str) -> bool:
        self.at += 1
        self.frame.end()
        pending, self.frame.pending = self.frame.pending, []
        for command, name, stripped, quoted in pending:
            body = self._body(name, stripped)
            inside = _Reader(body, self.depth)
            inside.frame.command = command  # its substitutions are the command's
            command.documents.append([body] if quoted else inside.until("", _IN_QUOTES - {'"'}))
        return False

    def _separator(self, _closer: str) -> bool:
        """`;` `;;` `&` `&&` `|` `||` `|&`, and `&>`, which redirects."""
        here = self.text[self.at : self.at + 2]
        if here == "&>":
            return self._redirect(_closer)
        self.at += 2 if here in ("&&", "||", "|&", ";;") else 1
        self.frame.end(piped=here[0] == "|" and here != "||")
        return False

    def _open(self, _closer: str) -> bool:
        self.at += 1
        piped = self.frame.command.piped
        self.frame.end()
        self.frame.items.append("|(" if piped else "(")
        self.frame.groups += 1
        return False

    def _close(self, closer: str) -> bool:
        self.at += 1
        if not self.frame.groups and closer == ")":
            return True
        self.frame.end()
        if self.frame.groups:  # otherwise it ends a pattern of `case`
            self.frame.groups -= 1
            self.frame.items.append(")")
        return False

    def _redirect(self, _closer: str) -> bool:
        command = self.frame.command
        operator = next(o for o in _OPERATORS if self.text.startswith(o, self.at))
        self.at += len(operator)
        if operator in ("<", ">") and self.text[self.at : self.at + 1] == "(":
            self.at += 1
            command.nested.append(self.script(")"))
            return False
        self._skip_blanks()
        begin = self.at
        target = self._word()
        if operator in ("<<", "<<-"):
            raw = self.text[begin : self.at]
            name = "".join(part if isinstance(part, str) else f"${part[0]}" for part in target)
            quoted = any(sign in raw for sign in "'\"\\")
            self.frame.pending.append((command, plain(name), operator == "<<-", quoted))
        elif operator == "<<<":
            command.documents.append(target)
        else:
            command.redirects.append((operator, target))
        return False

    def _skip_blanks(self) -> None:
        while self.at < self.end and self.text[self.at] in BLANK:
            self.at += 1

    def _body(self, name: str, stripped: bool) -> str:
        """The lines of a here-document up to its *name*. Without such a line they are read as commands, too."""
        lines: list[str] = []
        start = self.at
        while self.at < self.end and not self.unclosed:
            stop = self._find("\n")
            line = self.text[self.at : stop]
            self.at = stop + 1
            if (line.lstrip("\t") if stripped else line) == name:
                return "\n".join(lines)
            lines.append(line)
        self.at, self.unclosed = start, True
        return "\n".join(lines)

    def _find(self, sign: str) -> int:
        found = self.text.find(sign, self.at)
        return self.end if found < 0 else found

    def _word(self) -> Word:
        word = self.until("", _IN_WORD, ENDS_WORD)
        number = word[0] if len(word) == 1 and isinstance(word[0], str) else ""
        if number.isdecimal() and self.text[self.at : self.at + 1] in ("<", ">"):
            return []  # `2>`: a number before a redirection
        return word

    def until(self, closer: str, special: frozenset[str], ends: frozenset[str] = frozenset()) -> Word:
        """Parts up to *closer* or one of *ends*; only *special* characters mean something on the way."""
        word: Word = []
        text, stops = self.text, special | ends | frozenset(closer)
        while self.at < self.end:
            sign = text[self.at]
            if sign in ends or sign == closer:
                break
            if sign in special:
                self._piece(sign, word, special)
                continue
            start = self.at
            while self.at < self.end and text[self.at] not in stops:
                self.at += 1
            _add(word, text[start : self.at])
        self.at += bool(closer)
        return word

    def _piece(self, sign: str, word: Word, special: frozenset[str]) -> None:
        self.at += 1
        if sign == "\\":
            self._escape(word, special)
        elif sign == "'":
            start, self.at = self.at, self._find("'") + 1
            _add(word, self.text[start : self.at - 1] if self.at <= self.end else self.text[start:])
        elif sign == '"':
            for part in self.until('"', _IN_QUOTES) or [""]:
                _add(word, part)
        elif sign == "$":
            self._dollar(word, quoted=special is not _IN_WORD)
        elif sign == "`":
            self._backticks(word)
        else:
            _add(word, MARKS[sign])

    def _escape(self, word: Word, special: frozenset[str]) -> None:
        following = self.text[self.at : self.at + 1]
        self.at += 1
        if following == "\n":
            return
        following = following or "\\"  # the last character of the text is itself
        kept = special is not _IN_WORD and following not in '$`"\\'
        _add(word, "\\" + following if kept else following)

    def _dollar(self, word: Word, *, quoted: bool) -> None:
        following = self.text[self.at : self.at + 1]
        if following == "(":
            start = self.at
            self.at += 1
            self.frame.command.nested.append(self.script(")"))
            _add(word, "$" + self.text[start : self.at])
        elif following == "{":
            self.at += 1
            self._braces(word)
        elif following == "'" and not quoted:
            self.at += 1
            _add(word, self._c_string())
        elif following == '"' and not quoted:
            pass  # a text to be translated
        elif name := self._name():
            word.append((name, []))
        else:
            _add(word, "$")

    def _braces(self, word: Word) -> None:
        """`${NAME}`, `${NAME:-else}`: what other operators make of the value is not looked at."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeep
        self.at += self.text[self.at : self.at + 1] in ("!", "#")
        name = self._name()
        operator = self.at
        rest = self.until("}", _IN_WORD - set("*?[{,"))
        kind = self.text[operator : operator + 2].lstrip(":")[:1]
        if rest and isinstance(rest[0], str):
            rest[0] = rest[0].lstrip(":")[1:]
        word.append((name, rest if kind in ("-", "=", "+") else []))
        self.depth -= 1

    def _name(self) -> str:
        start = self.at
        while self.at < self.end and self.text[self.at] in _NAME:
            self.at += 1
        if self.at == start and self.text[start : start + 1] in ("@", "*", "?", "$", "!", "-"):
            self.at += 1
        return self.text[start : self.at]

    def _c_string(self) -> str:
        """What `$'…'` stands for."""
        out = []
        while self.at < self.end and self.text[self.at] != "'":
            sign = self.text[self.at]
            self.at += 1
            if sign == "\\":
                sign = self._c_escape()
            out.append(sign)
        self.at += 1
        return "".join(out)

    def _c_escape(self) -> str:
        sign = self.text[self.at : self.at + 1]
        self.at += 1
        base, most = {"x": (16, 2), "u": (16, 4), "U": (16, 8)}.get(sign, (8, 3))
        start = self.at - (sign in "01234567" and sign != "")
        digits = "0123456789abcdefABCDEF" if base == 16 else "01234567"
        stop = start
        while stop < self.end and stop - start < most and self.text[stop] in digits:
            stop += 1
        if stop == start:
            return _ESCAPES.get(sign, sign)
        self.at = stop
        number = int(self.text[start:stop], base)
        return chr(number) if number < 0x10FFF0 else "\ufffd"

    def _backticks(self, word: Word) -> None:
        start, inner = self.at, []
        while self.at < self.end and self.text[self.at] != "`":
            if self.text[self.at] == "\\" and self.text[self.at + 1 : self.at + 2] in ("`", "\\", "$"):
                self.at += 1
            inner.append(self.text[self.at : self.at + 1])
            self.at += 1
        self.at += 1
        self.frame.command.nested.append(_Reader("".join(inner), self.depth).script(""))
        _add(word, "`" + self.text[start : self.at])


def _add(word: Word, part: Part) -> None:
    """Append *part*, joined to a text before it."""
    if word and isinstance(part, str) and isinstance(word[-1], str):
        word[-1] += part
    else:
        word.append(part)


_OPERATORS = ("<<<", "<<-", "&>>", "<<", "<>", "<&", ">>", ">|", ">&", "&>", "<", ">")  # the longest first

_STEPS: dict[str, Callable[[_Reader, str], bool]] = {
    "\n": _Reader._newline,
    "#": _Reader._comment,
    "(": _Reader._open,
    ")": _Reader._close,
    **dict.fromkeys(BLANK, _Reader._blank),
    **dict.fromkeys(";&|", _Reader._separator),
    **dict.fromkeys("<>", _Reader._redirect),
}
