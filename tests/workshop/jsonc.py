"""Settings files as people may have written them: any value, any layout, comments, commas at the end."""

import json

from hypothesis import strategies as st

OURS = "wasmguard"


def ours(handler):
    return isinstance(handler, dict) and handler.get("command") == OURS


HANDLER = {"type": "command", "command": OURS, "args": ["serve", 'é \\ "x"'], "timeout": 30}
OTHER = {"type": "command", "command": "other"}
WANTED = {
    "SessionStart": {"matcher": "*", "hooks": [HANDLER]},
    "PreToolUse": {"matcher": "*", "hooks": [HANDLER]},
    "Stop": {"hooks": [HANDLER]},
}
LATER = {"PreToolUse": {"matcher": "*", "hooks": [{**HANDLER, "timeout": 31}]}, "Stop": WANTED["Stop"]}

keys = st.sampled_from(["a", "permissions", "env", "é", 'q"', "hook", "$schema", ""])
scalars = st.sampled_from(
    ["1", "-0", "1.50", "1e5", "-2E-3", "true", "false", "null", '""', '"x"', '"\\u00e9\\/"', '"// no"', '"/* no */"']
)
comments = st.sampled_from(["// one\n", "//\r\n", "/* two */", "/**/", "/* a\n * b */", "// */ three\n", "/* // */"])
blanks = st.text(" \t\n", max_size=3) | st.sampled_from(["\r\n", "\n  ", "\n\t"])


@st.composite
def texts(draw, plain=False):
    """The text of a settings object, which holds nothing of ours."""
    writer = _Writer(draw, plain=plain)
    members = draw(st.dictionaries(keys, st.none(), max_size=3))
    parts = [(key, writer.value(2)) for key in members]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), ("hooks", writer.hooks()))
    bom = "" if draw(st.booleans()) else "\ufeff"
    return bom + writer.gap() + writer.object(parts) + writer.gap()


class _Writer:
    def __init__(self, draw, *, plain):
        self.draw, self.plain, self.colon = draw, plain, draw(st.sampled_from([":", ": ", " : "]))
        self.layout = draw(st.sampled_from(["one line", "lines", "wild"]))
        self.newline = draw(st.sampled_from(["\n", "\r\n"]))
        self.unit = draw(st.sampled_from(["  ", "    ", "\t", " "]))
        self.level = 0

    def gap(self):
        if self.layout != "wild":
            return ""
        if self.plain:
            return self.draw(blanks)
        return "".join(self.draw(st.lists(blanks | comments, max_size=2)))

    def value(self, depth):
        kind = self.draw(st.integers(0, 4)) if depth else 2
        self.level += 1
        if kind == 0:
            made = self.object([(key, self.value(depth - 1)) for key in self.draw(st.sets(keys, max_size=2))])
        elif kind == 1:
            made = self.wrapped("[", [self.value(depth - 1) for _ in range(self.draw(st.integers(0, 2)))], "]")
        else:
            made = self.draw(scalars)
        self.level -= 1
        return made

    def hooks(self):
        events = self.draw(st.sets(st.sampled_from(["PreToolUse", "Stop", "PostToolUse"]), max_size=3))
        self.level += 1
        made = self.object([(event, self.groups()) for event in sorted(events)])
        self.level -= 1
        return made

    def groups(self):
        self.level += 1
        handler = self.draw(st.sampled_from([[], [OTHER], [OTHER, OTHER]]))
        group = json.dumps({"matcher": "Write", "hooks": handler})
        made = self.wrapped("[", [group] * self.draw(st.integers(0, 2)), "]")
        self.level -= 1
        return made

    def object(self, parts):
        spelled = [f"{json.dumps(key)}{self.gap()}{self.colon}{self.gap()}{value}" for key, value in parts]
        return self.wrapped("{", spelled, "}")

    def wrapped(self, opening, items, closing):
        comma = "," if items and not self.plain and self.draw(st.booleans()) else ""
        if self.layout == "lines" and items:
            inside, outside = self.newline + self.unit * (self.level + 1), self.newline + self.unit * self.level
            return opening + inside + ("," + inside).join(items) + comma + outside + closing
        after = " " if self.layout == "one line" and self.colon == ": " else ""
        body = ("," + after).join(self.gap() + item + self.gap() for item in items)
        return opening + (body + comma + self.gap() if items else self.gap()) + closing
