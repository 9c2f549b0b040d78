"""A million random and mutated paths, answers and texts against the rules that hold them.

    python benchmarks/fuzz.py [paths|answers|texts] [--count N] [--seed S]

Without a name all three, a tenth as many texts. Every core works on a part of its own; a part's inputs follow from the
seed and its number alone. What an accepted input may be is judged here without the product's own code:

* `paths`: through `check_within` on a real tree full of symlinks, folders, pipes and sockets. An accepted path is, for
  the kernel, the root's real path and the same tail; it is absent or a regular file, and meets no protected name.
* `answers`: valid ones, then flipped, cut, spliced and lied about in their counts, through `decode_answer` and
  `answered` under random grants. Only `InvalidAnswer` and other guest faults come out; what is accepted is JSON, has
  the keys of the input and differs in granted fields only.
* `texts`: through `one_line`, `lines` and `quoted`: nothing is left that steers or hides.

Exit 1 and the input if anything else happens. Times are those of the processor; no test asserts them.
"""

import argparse
import json
import math
import os
import random
import socket
import stat
import struct
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import thread_time_ns
from typing import TypeVar

from wasmguard.decision import Effect, Verdict
from wasmguard.errors import GuestFault, InvalidAnswer, OutsideGrant
from wasmguard.event import Event
from wasmguard.guest.codec import Answer, decode_answer
from wasmguard.guest.grants import Grants, Max, OneOf, Within, answered
from wasmguard.guest.paths import PROTECTED, check_within
from wasmguard.text import lines, one_line, quoted

T = TypeVar("T")
PART = 10_000  # inputs that one worker takes at a time
SLOW = 10.0  # milliseconds: what one input may cost, on a machine that does nothing else


class Violation(Exception):
    """A rule did not hold."""


class Tally:
    """What became of the inputs of one part."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.nanoseconds = 0
        self.slowest = (0, "")

    def note(self, outcome: str, nanoseconds: int, shown: object) -> None:
        self.outcomes[outcome] += 1
        self.nanoseconds += nanoseconds
        if nanoseconds > self.slowest[0]:
            self.slowest = nanoseconds, ascii(shown)[:120]

    def add(self, other: "Tally") -> None:
        self.outcomes += other.outcomes
        self.nanoseconds += other.nanoseconds
        self.slowest = max(self.slowest, other.slowest)


def timed(call: Callable[[], T]) -> tuple[T, int]:
    """What *call* returns, and its nanoseconds of processor time; the best of five if it was slow.

    The garbage collector may have come by, or another machine on the same processor: not the input's fault.
    """
    taken = []
    while not taken or (min(taken) > SLOW / 2 * 1e6 and len(taken) < 5):
        begun = thread_time_ns()
        result = call()
        taken.append(thread_time_ns() - begun)
    return result, min(taken)


# Paths

FOLDERS = ["a", "a/b", "a/b/c", "new folder", "é", "e\u0301", ".Git", "a/.CLAUDE", "up and down", "x~", "%2e%2e"]
FILES = ["file", "a/file", "a/b/file.txt", "é/ü", "a/b/c/deep", "...x"]
LINKS = {"out": "../outside", "a/out": "../../outside/folder", "leak": "../outside/file", "a/b/c/top": "/"}
LINKS |= {"a/b/in": "../b", "a/root": "..", "up": "..", "a/to file": "file", "a/nowhere": "nothing/here"}
LINKS |= {"self": "self", "one": "two", "two": "one"}
NAMES = [
    *"abcd",
    "file",
    "file.txt",
    "new",
    "é",
    "e\u0301",
    "ü",
    "deep",
    "x~",
    "...x",
    "-",
    "日本",
    ".gitignore",
    "claude",
]
TRICKS = ". .. ... .... ~ ~root $HOME ${x} a\\b ..\\outside a. a.. .git. .git\u00a0 .GIT .gIt .ɢit .git .claude .ssh"
TRICKS += " .ſsh .hus\u212ay CLAUDE.md claude.MD AGENTS.md wasmguard.toml WasmGuard .ｇit .g\u0131t .g\u200dit"
TRICKS += " .g\u034fit .g\ufe0fit .git\u0301 git~1 GIT~1 CLAUDE~1.JSO .git::$INDEX_ALLOCATION .git:x ．． ‥ … ․․ ／ ∕"
TRICKS += " ⁄ \u29f8 %2e%2e %2f %00 COM1 con nul.txt a:b .mcp.json .bashrc .gitconfig .vscode .Idea .codex \u0338"
TRICKS += " /\u0338 ..\u0301 \u115f"
BITS = "/ // /./ /../ \0 \n \r . .. ~ $ \\ \x7f \x1b \u0301 \u202e \u200b \U000e0041 \ufeff \ue000 \u0378 ／ ．"
ODD_NAMES, ODD_BITS = (
    TRICKS.split(" "),
    [*BITS.split(" "), "\u212a", "\u0345", " ", "\u2028", "\ud800", "x" * 260, "é" * 130],
)


def planted(base: str) -> tuple[str, ...]:
    """A tree of everything that could lead elsewhere, and the roots in it."""
    real = os.path.join(base, "real")
    for folder in FOLDERS:
        os.makedirs(os.path.join(real, folder), exist_ok=True)
    os.makedirs(os.path.join(base, "outside", "folder"))
    os.makedirs(os.path.join(base, "rooted"))  # begins like the root
    for file in [*(os.path.join(real, name) for name in FILES), os.path.join(base, "outside", "file")]:
        with open(file, "w", encoding="ascii") as stream:
            stream.write("x")
    for link, target in LINKS.items():
        os.symlink(target, os.path.join(real, link))
    os.symlink("real", os.path.join(base, "root"))
    os.mkfifo(os.path.join(real, "pipe"))
    os.mkfifo(os.path.join(real, "a", "pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(real, "socket"))
    return tuple(os.path.join(base, *names) for names in [("root",), ("real",), ("real", "a"), ("root", "a", "b")])


def some_path(chance: random.Random, roots: tuple[str, ...], root: str) -> str:
    names = chance.choices(NAMES, k=chance.choice((1, 1, 2, 2, 3, 4)))
    if chance.random() < 0.3:
        names = [*chance.choice([*FOLDERS, *FILES, *LINKS, "pipe", "socket", "a/pipe"]).split("/"), *names[:-1]]
    if chance.random() < 0.3:
        names.insert(chance.randrange(len(names) + 1), chance.choice(ODD_NAMES))
    elsewhere = [*roots, f"{root}ed", f"{root}/..", f"/{root}", "", root.upper(), root[:-1], "/", f"{root}/."]
    start = chance.choice(elsewhere) if chance.random() < 0.15 else root
    path = "/".join([start, *names])
    while chance.random() < 0.3:
        path = mutated(chance, path)
    return path


def mutated(chance: random.Random, path: str) -> str:
    at = chance.randrange(len(path) + 1)
    anything = chr(chance.choice((chance.randrange(0x110000), chance.randrange(0x250))))
    form = chance.choice(("NFC", "NFD", "NFKC", "NFKD"))
    made = [
        path[:at] + path[at + 1 :],
        path[:at] + chance.choice(ODD_BITS) + path[at:],
        path[:at] + anything + path[at:],
        unicodedata.normalize(form, path),
        path[:at] + path[at:].swapcase(),
        path + path[at:],
    ]
    return chance.choice(made)


def reduced(name: str) -> str:
    """*name* as the most forgiving file system might compare it, by other means than the product's."""
    decomposed = unicodedata.normalize("NFKD", name).casefold().replace("\u0131", "i")
    letters = [c for c in unicodedata.normalize("NFKD", decomposed) if c.isprintable() and not unicodedata.combining(c)]
    return "".join(letters).partition(":")[0].rstrip(" .")


def judge_path(path: object, root: str) -> None:
    """The oracle: what is true of every path that may be written to."""
    real = os.path.realpath(root)
    if not isinstance(path, str) or not path.startswith(root + "/"):
        raise Violation("accepted outside the root")
    tail = path[len(root) :]
    if os.path.realpath(path) != real + tail:
        raise Violation(f"leads to {os.path.realpath(path)!r}")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode):
        raise Violation(f"is no file: mode {mode:o}")
    for name in tail[1:].split("/"):
        odd = name in ("", ".", "..") or name[0] == "~" or name[-1] in ". " or set("\\$\0") & set(name)
        if odd or reduced(name) in PROTECTED or not name.replace("\u1680", " ").isprintable():
            raise Violation(f"has the component {name!r}")
        short = name.lower().partition(".")[0]
        if len(short) <= 8 and short[:-1].endswith("~") and short[-1].isdigit() and len(short) > 2 and len(name) < 12:
            raise Violation(f"has the short name {name!r}")


def looked_at(path: object, root: str) -> str:
    try:
        check_within(path, root)
    except OutsideGrant:
        return "refused"
    return "accepted"


def fuzz_paths(chance: random.Random, count: int) -> Tally:
    tally = Tally()
    with tempfile.TemporaryDirectory() as base:
        roots = planted(os.path.realpath(base))
        for _ in range(count):
            root = chance.choice(roots)
            path: object = some_path(chance, roots, root)
            if chance.random() < 0.001:
                path = chance.choice([None, 1, b"/a", [path], {"a": path}, True, "", path * 400])  # type: ignore[operator]
            try:
                outcome, taken = timed(lambda path=path, root=root: looked_at(path, root))
            except Exception as error:
                raise Violation(f"{type(error).__name__} for the path {path!a} below {root!a}") from error
            tally.note(outcome, taken, path)
            if outcome == "accepted":
                try:
                    judge_path(path, root)
                except Violation as violation:
                    raise Violation(f"the path {path!a} below {root!a} {violation}") from None
    return tally


# Answers: an encoder of our own, because it must also write what no encoder does


class Raw(bytes):
    """Encoded already."""


def header(chance: random.Random, count: int, fixed: tuple[int, int], longer: dict[int, str], lie: float) -> bytes:
    """The head of a text, an array, …: *fixed* is its shortest form (first byte, and how many it counts up to)."""
    if chance.random() < lie:
        count = chance.choice(
            (0, 1, count + 1, max(0, count - 1), 15, 16, 31, 32, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1)
        )
    first, most = fixed
    if count <= most and chance.random() < 0.9:
        return bytes([first + count])
    fitting = [code for code, form in longer.items() if count < 2 ** (8 * struct.calcsize(form))]
    code = chance.choice(fitting) if chance.random() < 0.1 else fitting[0]
    return bytes([code]) + struct.pack(longer[code], count)


def packed(chance: random.Random, value: object, lie: float = 0.0) -> bytes:
    """msgpack; *lie* is how likely a count is wrong."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, int | float | None):
        return packed_number(chance, value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return header(chance, len(data), (0xA0, 31), {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}, lie) + data
    if isinstance(value, bytes):
        return header(chance, len(value), (0, -1), {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}, lie) + value
    if isinstance(value, list):
        head = header(chance, len(value), (0x90, 15), {0xDC: ">H", 0xDD: ">I"}, lie)
        return head + b"".join(packed(chance, item, lie) for item in value)
    pairs = list(value.items()) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    head = header(chance, len(pairs), (0x80, 15), {0xDE: ">H", 0xDF: ">I"}, lie)
    return head + b"".join(packed(chance, key, lie) + packed(chance, item, lie) for key, item in pairs)


def packed_number(chance: random.Random, value: float | None) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if -32 <= value < 128 and chance.random() < 0.9:
        return struct.pack(">b", value)
    forms = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    fitting = []
    for code, form in forms.items():
        bits = 8 * struct.calcsize(form)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if form[1].islower() else (0, 2**bits)
        if low <= value < high:
            fitting.append((code, form))
    code, form = chance.choice(fitting)
    return bytes([code]) + struct.pack(form, value)


INPUT = {"file_path": "/etc/x", "content": "hello", "command": "ls", "n": 6, "flag": True, "list": [1, {"a": 2.5}]}
INPUT |= {"none": None}
WORDS = ["", "a", "/sandbox/a", "/sandbox/b/c", "/sandbox/../a", "/etc/x", "ls", "rm -rf /", "é\u202e", "\x1b[2J"]
WORDS += ["x" * 70, "\u0301" * 9, '"\\', "\n\t\r\n"]
FIELDS = [*INPUT, "run_in_background", "__proto__", "Write.content", "", "tool_input"]
STRANGE_KEYS = [1, b"effect", None, "hookSpecificOutput", "updatedInput", "continue", "fault", "policy", "Effect"]
NUMBERS = [0, 1, -1, 2**53, 2**53 + 1, -(2**53), 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -0.0, 1e308, 5e-324, 0.1]
WILD = [
    math.nan,
    math.inf,
    -math.inf,
    b"",
    b"binary",
    Raw(b"\xd4\x01x"),
    Raw(b"\xc7\x0c\xff" + b"x" * 12),
    Raw(b"\xc1"),
]
WILD += [Raw(b"\xa2\xc3\x28"), Raw(b"\xa3\xed\xa0\x80"), Raw(b"\xca\x7f\xc0\x00\x00"), Raw(b"\x81\x01\x02")]
WILD += [Raw(b"\x91" * depth + b"\xc0") for depth in (14, 17, 400, 3_000)] + [Raw(b"\x81\xa1a" * 20 + b"\xc0")]
WILD += [Raw(b"\xdc\x04\x00" + b"\x90" * 1024), Raw(b"\xdc\x04\x01" + b"\x90" * 1025)]
DESTINATIONS = ["session", "localSettings", "userSettings", "cliArg", "nowhere"]


def some_value(chance: random.Random, depth: int = 0) -> object:
    kind = chance.randrange(24 if depth < 5 else 18)
    if kind == 0:
        return chance.choice(WILD)
    if kind < 9:
        return chance.choice(WORDS)
    if kind < 13:
        return chance.choice(NUMBERS)
    if kind < 18:
        return chance.choice((None, True, False))
    if kind < 21:
        return [some_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS): some_value(chance, depth + 1) for _ in range(chance.randrange(4))}


def some_rewrite(chance: random.Random) -> dict[str, object]:
    made = {}
    for field in chance.sample(FIELDS if chance.random() < 0.1 else [*INPUT], chance.choice((0, 1, 1, 1, 2))):
        usual = INPUT.get(field)
        made[field] = chance.choice(WORDS) if isinstance(usual, str) else chance.choice((usual, some_value(chance)))
    return made


def some_update(chance: random.Random) -> object:
    rule = {"toolName": "Bash", "ruleContent": chance.choice(WORDS)}
    kinds = [
        {"type": "setMode", "mode": chance.choice(["plan", "acceptEdits", "bypassPermissions", "x"])},
        {"type": "addRules", "behavior": "allow", "rules": [rule]},
        {"type": "addDirectories", "directories": ["/a", chance.choice(WORDS)]},
    ]
    update = {"destination": chance.choice(DESTINATIONS)} | chance.choice(kinds)
    if chance.random() < 0.2:
        update[chance.choice([*update, "more"])] = some_value(chance)
    return update


def some_answer(chance: random.Random) -> bytes:
    """Mostly valid; then bytes are changed in half of them."""
    makers = {
        "effect": lambda: chance.choice(["pass", "allow", "ask", "deny", "allow", "Deny", ""]),
        "reason": lambda: chance.choice(WORDS) * chance.choice((1, 1, 50)),
        "rewrite": lambda: some_rewrite(chance),
        "context": lambda: chance.choice(WORDS),
        "interrupt": lambda: chance.random() < 0.5,
        "permissions": lambda: [some_update(chance) for _ in range(chance.choice((0, 1, 2)))],
        "state": lambda: bytes(chance.randrange(9)),
        "notes": lambda: [chance.choice(WORDS) for _ in range(chance.choice((0, 1, 2, 40)))],
    }
    keys = chance.sample([*makers], chance.choice((0, 1, 2, 2, 3, 8)))
    if chance.random() < 0.5:
        keys = chance.choice((["rewrite"], ["effect", "rewrite"], [key for key in makers if key in ("rewrite", *keys)]))
    pairs: list[tuple[object, object]] = [(key, makers[key]()) for key in keys]
    odd = chance.random()
    if odd < 0.04:
        pairs.append((chance.choice([*STRANGE_KEYS, *keys]), some_value(chance)))
    elif odd < 0.08 and pairs:
        place = chance.randrange(len(pairs))
        pairs[place] = pairs[place][0], some_value(chance)
    lie = 0.05 if chance.random() < 0.15 else 0.0
    data = packed(chance, tuple(pairs), lie)
    while chance.random() < 0.25:
        data = changed(chance, data)
    return data


def changed(chance: random.Random, data: bytes) -> bytes:
    at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    flipped = bytes([data[at] ^ 1 << chance.randrange(8)]) if at < len(data) else b""
    made = [
        data[:at],
        data[:at] + data[to:],
        data[:to] + data[at:],
        data + chance.randbytes(chance.randrange(1, 9)),
        data[:at] + chance.randbytes(chance.randrange(9)) + data[to:],
        data[:at] + flipped + data[at + 1 :],
        data[:at] + packed(chance, some_value(chance)) + data[to:],
    ]
    return chance.choice(made)


def some_grants(chance: random.Random) -> Grants:
    constraints = [
        Within(root="/sandbox"),
        Max(bytes=60),
        Max(bytes=10_000, silent=True),
        OneOf(values=("ls", 1, None)),
    ]
    fields = chance.sample([*INPUT], chance.choice((0, 3, 7, 7, 7)))
    tools = ["Write", "Write", "Write", "W*", "*", "Bash"]
    return Grants(
        effects=frozenset(Effect) if chance.random() < 0.5 else Grants.effects,
        rewrite={f"{chance.choice(tools)}.{field}": chance.choice(constraints) for field in fields},
        permissions=frozenset(chance.sample(DESTINATIONS[:4], chance.choice((0, 2, 4)))),
        state=chance.choice((0, 4, 100, 100)),
    )


def some_event(chance: random.Random) -> Event:
    fields = chance.sample([*INPUT], chance.choice((7, 7, 7, 3)))
    name = chance.choice(["PreToolUse"] * 9 + ["PostToolUse", "PermissionRequest", "Stop"])
    return Event(name=name, agent="claude", fields={"tool_name": "Write", "tool_input": {f: INPUT[f] for f in fields}})


def checked_json(value: object) -> None:
    """Every value that may come out is JSON as every reader reads it."""
    text = json.dumps(value, allow_nan=False)  # ValueError, TypeError: NaN, bytes
    text.encode("ascii")
    json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError: a lone surrogate
    if json.dumps(json.loads(text)) != text:
        raise Violation(f"{text} is another document when it is read again")


def judge_answer(answer: Answer) -> None:
    """The oracle: what is true of everything that was decoded."""
    data = answer.as_dict() | {"state": None}
    checked_json(data)
    for text in (data["reason"], data["context"], *data["notes"]):
        judge_text(text, kept="\n\t")


def judge_verdict(answer: Answer, verdict: Verdict, event: Event, grants: Grants) -> None:
    """The oracle: what is true of every verdict."""
    assert verdict.state is None or type(verdict.state) is bytes
    checked_json(verdict.replaced(state=None, given=None, answer=None).as_dict())
    if answer.state is not None and len(answer.state) > grants.state:
        raise Violation("remembers what was not granted")
    if answer.effect > Effect.ALLOW and verdict.effect < answer.effect:
        raise Violation("loosens what the policy said")
    if verdict.effect is Effect.ALLOW and Effect.ALLOW not in grants.effects:
        raise Violation("allows without its grant")
    for update in verdict.permissions:
        if update["destination"] not in grants.permissions or update.get("mode") == "bypassPermissions":
            raise Violation("permits what was not granted")
    if verdict.rewrite is not None:
        if event.name != "PreToolUse" or verdict.effect is Effect.DENY:
            raise Violation("rewrites another event, or with a deny")
        judge_rewrite(event.fields["tool_input"], verdict, grants)


def judge_rewrite(before: dict[str, object], verdict: Verdict, grants: Grants) -> None:
    after = verdict.rewrite or {}
    if list(before) != list(after):
        raise Violation("has other keys than the input")
    for field, value in after.items():
        if repr(value) == repr(before[field]):
            continue
        granted = [
            grants.rewrite[f"{tool}.{field}"] for tool in ("Write", "W*", "*") if f"{tool}.{field}" in grants.rewrite
        ]
        if not granted or type(value) is not type(before[field]):
            raise Violation(f"changes the field {field!r}")
        if isinstance(granted[0], Within):
            judge_path(value, granted[0].root)
        if field == "command" and not granted[0].silent and verdict.effect is not Effect.ASK:
            raise Violation("rewrites a command unseen")


def said_to(data: bytes, event: Event, grants: Grants) -> tuple[str, Answer | None, Verdict | None]:
    """What becomes of the answer *data*: the outcome, and what was made of it on the way."""
    answer = None
    try:
        answer = decode_answer(data)
        verdict = answered("p", answer, event, grants)
    except GuestFault as fault:
        if answer is None and type(fault) is not InvalidAnswer:
            raise
        return "refused" if answer is None else "decoded, then a fault", answer, None
    return "accepted" if verdict.rewrite is None else "rewritten", answer, verdict


def fuzz_answers(chance: random.Random, count: int) -> Tally:
    tally = Tally()
    for _ in range(count):
        data, event, grants = some_answer(chance), some_event(chance), some_grants(chance)
        before = json.dumps(event.fields)
        try:
            (outcome, answer, verdict), taken = timed(lambda given=(data, event, grants): said_to(*given))
            tally.note(outcome, taken, data)
            if answer is not None:
                judge_answer(answer)
            if answer is not None and verdict is not None:
                judge_verdict(answer, verdict, event, grants)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise Violation(f"the answer {data!r} to {event!r} under {grants!r}: {why}") from error
        if json.dumps(event.fields) != before:
            raise Violation(f"the answer {data!r} changes the event {before}")
    return tally


# Texts

STEERS = [(0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F)]
STEERS += [(0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0xD800, 0xF8FF), (0xFE00, 0xFE0F)]
STEERS += [(0xFEFF, 0xFEFF), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0x10FFFF)]
STEERS += [(0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x3164, 0x3164), (0xFFA0, 0xFFA0)]
STEERING = frozenset(chr(code) for first, last in STEERS for code in range(first, last + 1))
PILED = "\u0301\u0323\u20dd\u0903\u0488"  # combining, above and below and around
PIECES = '\n|\r\n|\t|\x1b[31m|\x1b]8;;http://x\x07|"|\\|\\"|a|word |é|e\u0301|\U0001f468\u200d\U0001f467|\u202etxt.exe'
PIECES += "|\U000e0041\U000e0042|\ufe0f|" + "\u0301" * 7 + "|\ud83d|日本|שלום|         |]]>|</x>|`"


def some_text(chance: random.Random) -> str:
    pieces = chance.choices(PIECES.split("|"), k=chance.choice((0, 1, 3, 10, 60)))
    pieces += [chr(chance.choice((chance.randrange(0x110000), chance.randrange(0x3000)))) for _ in pieces[::3]]
    chance.shuffle(pieces)
    return "".join(pieces) * (chance.randrange(1, 300) if chance.random() < 0.02 else 1)


def judge_text(text: str, kept: str = "") -> None:
    """The oracle: nothing in *text* steers or hides but what is *kept*."""
    if STEERING & set(text) - set(kept):
        raise Violation(f"leaves {''.join(sorted(STEERING & set(text)))!a}")
    run = 0
    for character in text:
        run = run + 1 if character in PILED else 0
        if run > 3:
            raise Violation("leaves a pile of marks")


def judge_cleaned(cap: int, line: str, several: str) -> None:
    judge_text(line)
    judge_text(several, kept="\n\t")
    for said in (line, several):
        if json.loads(quoted(said).replace("\t", "\\t").replace("\n", "\\n")) != said:
            raise Violation("is quoted as another text")
        if len(said) > cap:
            raise Violation("is too long")
    if (one_line(line, cap), lines(several, cap)) != (line, several):
        raise Violation("changes when it is cleaned again")


def fuzz_texts(chance: random.Random, count: int) -> Tally:
    tally = Tally()
    for _ in range(count):
        text, cap = some_text(chance), chance.choice((1, 2, 10, 80, 2_000))
        (line, several), taken = timed(lambda text=text, cap=cap: (one_line(text, cap), lines(text, cap)))
        tally.note("cut" if len(text) > cap else "whole", taken, text)
        try:
            judge_cleaned(cap, line, several)
        except Violation as violation:
            raise Violation(f"the text {text!a} of at most {cap}: {violation}") from None
    return tally


KINDS = {"paths": fuzz_paths, "answers": fuzz_answers, "texts": fuzz_texts}


def part_of(kind: str, seed: int, number: int, count: int) -> Tally | str:
    """One part of the work; a text is the violation that it found."""
    try:
        return KINDS[kind](random.Random(f"{kind} {seed} {number}"), count)
    except Violation as violation:
        return f"seed {seed}, part {number}: {violation}"


def fuzzed(kind: str, count: int, seed: int, workers: int) -> tuple[Tally, list[str]]:
    """What became of *count* inputs, and the violations."""
    total, violations = Tally(), []
    parts = [(kind, seed, number, min(PART, count - number * PART)) for number in range(-(-count // PART))]
    if workers == 1:
        results = [part_of(*part) for part in parts]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(part_of, *zip(*parts, strict=True)))
    for result in results:
        if isinstance(result, str):
            violations.append(result)
        else:
            total.add(result)
    return total, violations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", nargs="?", choices=KINDS, help="all of them if left out")
    parser.add_argument("--count", type=int, help="inputs; 1,000,000 paths and answers, 100,000 texts if left out")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    broken = False
    for kind in [asked.kind] if asked.kind else KINDS:
        count = asked.count or (100_000 if kind == "texts" else 1_000_000)
        total, violations = fuzzed(kind, count, asked.seed, os.cpu_count() or 1)
        done = total.outcomes.total()
        shares = ", ".join(
            f"{number:_} {name} ({100 * number / done:.1f}%)" for name, number in total.outcomes.most_common()
        )
        print(f"{kind}: {done:_} of {count:_}, seed {asked.seed}: {shares}; {len(violations)} violations")
        slowest, shown = total.slowest
        mean = total.nanoseconds / max(done, 1) / 1000
        over = " (over the bar of 10 ms)" if slowest / 1e6 > SLOW else ""
        print(f"  {mean:.1f} us each, slowest {slowest / 1e6:.2f} ms{over}: {shown}")
        for violation in violations:
            print(f"  VIOLATION {violation}")
        broken = broken or bool(violations)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
