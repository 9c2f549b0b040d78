"""A tool's output, rewritten: what a policy may put in its place, so that a secret never reaches the model.

The agent drops an output of another shape than the tool's own without a word, and shows the original (Claude Code
2.1.329, `updatedToolOutput`). So the host checks the shape first, and a wrong one is a fault:

1. An output that is an object: the answer names fields that it has, at its top level; the host builds the new output
   from the original. A list or a text is replaced whole.
2. Every value keeps its type, at every level: an object its keys, a list its length, a number may be another one. Words
   that the agent knows (`event.OUTPUT_WORDS`) stay as they are.
3. What is replaced has at most the granted bytes of JSON, and brings no character that does not show itself, unless the
   original has it.

When a policy that may rewrite an output could not answer, its output is *withheld*. Else a policy that is there to take
secrets out could be made to fail, and they would be shown:

4. Every text in it becomes `NOTICE`, in the same shape. Of the words that the agent knows only those stay that look
   like one; a key that looks like none of a tool's own (`NAME`) is text too. Numbers, true, false and null stay.
5. Nothing at all is left of what a tool of an MCP server said: whoever wrote that server chose keys, words and numbers,
   and the client takes any shape there. A list becomes one block of text, anything else a text.
"""

from __future__ import annotations

from wasmguard.errors import OutsideGrant
from wasmguard.event import OUTPUT_WORDS
from wasmguard.text import is_plain, one_line, quoted
from wasmguard.value import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTICE = "[withheld by wasmguard: a policy that may rewrite this output could not judge it]"
POINT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""A PNG of one point: a picture that is none spoils the rest of the session."""
PICTURE, PNG = "image/", "image/png"
WORD = 24  # letters of a word that the agent may know; a secret has digits, or is longer
NAME = 64  # characters of a key: ASCII letters, digits, `_`, `-` and `.`, and no digit first
MCP = "mcp__"  # how the names of MCP servers' tools begin

_NUMBERS = frozenset({int, float})


def rebuilt(original: Any, answered: Any, most: int) -> Any:
    """The output that *answered* makes of *original*, with at most *most* bytes replaced; None if nothing changes.

    Raises:
        OutsideGrant: with the first rule that fails.
    """
    made = answered
    if type(original) is dict and type(answered) is dict:
        if missing := [field for field in answered if field not in original]:
            raise OutsideGrant(f"{quoted(one_line(missing[0], 80))}: the output has no such field")
        made = {**original, **answered}
    if flaw := _misshapen(made, original, "the output"):
        raise OutsideGrant(flaw)
    if same(made, original):
        return None
    _check_size(answered, most)
    if not all(is_plain(c) or c in "\n\t" for c in _characters(answered) - _characters(original)):
        raise OutsideGrant("a character that does not show itself, which the output did not have")
    return made


def withheld(original: Any, tool: str | None = None) -> Any:
    """*original*, which *tool* gave back, with every text and picture in it withheld; None stays None."""
    if original is not None and tool is not None and tool.startswith(MCP):
        return [{"type": "text", "text": NOTICE}] if isinstance(original, (list, tuple)) else NOTICE
    return _emptied(original)


def _emptied(original: Any) -> Any:
    if original is None or type(original) in (bool, int):
        return original
    if type(original) is float:
        return original if original - original == 0 else 0.0  # no JSON says infinity
    if isinstance(original, (list, tuple)):
        return [_emptied(item) for item in original]
    if isinstance(original, dict):
        pictured = any(type(value) is str and value.startswith(PICTURE) for value in original.values())
        return {
            key if _is_name(key) else f"{NOTICE} {at}": _held(key, value, pictured=pictured)
            for at, (key, value) in enumerate(original.items())
        }
    return NOTICE


def _is_name(key: Any) -> bool:
    """Whether *key* could be one of a tool's own."""
    if type(key) is not str or len(key) > NAME or not key.isascii() or key[:1] in "-.":
        return False
    return key.replace("-", "_").replace(".", "_").isidentifier()


def _held(key: Any, value: Any, *, pictured: bool) -> Any:
    """What is left of *value*, which stands under *key* in an object that may be a picture."""
    if type(value) is not str:
        return _emptied(value)
    if pictured and key in ("base64", "data"):
        return POINT
    if pictured and value.startswith(PICTURE):
        return PNG
    letters = value.replace("_", "a").replace("-", "a")
    is_word = len(value) <= WORD and letters.isascii() and (letters.isalpha() or value == "base64")
    return value if key in OUTPUT_WORDS and is_word else NOTICE


def _misshapen(made: Any, original: Any, where: str) -> str:
    """What keeps *made* from having the shape of *original*; empty if nothing does. As deep as an answer may be."""
    if type(made) is not type(original):
        return "" if {type(made), type(original)} <= _NUMBERS else f"{where} must keep its type"
    if type(made) is dict:
        if made.keys() != original.keys():
            return f"{where} must keep its keys"
        for word in OUTPUT_WORDS & made.keys():
            if type(made[word]) is str and made[word] != original[word]:
                return f"{where} must keep its `{word}`"
        inside = ((made[key], original[key], f"{where}, {quoted(one_line(key, 40))}") for key in made)
    elif type(made) is list:
        if len(made) != len(original):
            return f"{where} must keep its length"
        inside = (
            (one, other, f"{where}, item {at}") for at, (one, other) in enumerate(zip(made, original, strict=True))
        )
    else:
        return ""
    return next((flaw for one, other, at in inside if one is not other and (flaw := _misshapen(one, other, at))), "")


def _check_size(answered: Any, most: int) -> None:
    import json  # a rare grant: not worth 5 ms of every hook process

    text = answered if type(answered) is str else json.dumps(answered, ensure_ascii=False, separators=(",", ":"))
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        raise OutsideGrant(f"the output: {size:_} bytes, more than the {most:_} of its grant")


def _characters(value: Any) -> set[str]:
    if type(value) is str:
        return set(value)
    if type(value) is list:
        return set().union(*map(_characters, value))
    if type(value) is dict:
        return set().union(*map(_characters, [*value, *value.values()]))
    return set()
