"""Hostile cases about the answer as msgpack: bytes that are none, that two readers read differently, that cost much."""

from __future__ import annotations

from typing import Any

from wasmguard.decision import Effect
from wasmguard.hostile.case import INVALID, PASSES, Answered, Case, constant
from wasmguard.hostile.raw import FALSE, NIL, PASS, TRUE, answer, array, binary, integer, pairs, text

HALF, NAN, INFINITE, MINUS_INFINITE = (
    b"\xcb" + bytes.fromhex(double)
    for double in ("3fe0000000000000", "7ff8000000000000", "7ff0000000000000", "fff0000000000000")
)
NAN_SHORT, NAN_SIGNALS = b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x01"
EXT, STAMP = b"\xd4\x05x", b"\xd6\xff\0\0\0\x01"  # of a type that nobody knows; a time, which msgpack knows

KINDS = {
    "nil": NIL,
    "true": TRUE,
    "zero": integer(0),
    "one": integer(1),
    "float": HALF,
    "text": text("x"),
    "binary": binary(b"x"),
    "array": array(integer(1)),
    "map": pairs((text("a"), integer(1))),
    "ext": EXT,
    "time": STAMP,
}
RIGHT = {
    "effect": (),
    "reason": ("text",),
    "rewrite": ("map",),
    "context": ("text",),
    "interrupt": ("true",),
    "permissions": ("array",),
    "state": ("binary",),
    "notes": (),
}
PROTOCOL = (
    *("hookSpecificOutput", "permissionDecision", "permissionDecisionReason", "updatedInput", "updatedPermissions"),
    *(
        "decision",
        "behavior",
        "continue",
        "stopReason",
        "systemMessage",
        "suppressOutput",
        "additionalContext",
        "async",
    ),
    *("__proto__", "constructor", "verdict", "allow", "abi", "policy", "fault", "shadow", "grants", "on_fault"),
    *("Effect", "effect ", " effect", "effect\0", "effеct", "rewrite.file_path", ""),  # the Cyrillic е in one of them
)
EFFECTS = (
    *("Deny", "ALLOW", " pass", "pass ", "pass\0", "pass\n", "", "block", "approve", "denied", "defer", "ignore"),
    *("allow,deny", "аllow", "ａｌｌｏｗ", "al\u00adlow", "1", "null", "pass\u200b", "x" * 10_000),
)


def _nested(depth: int, opened: bytes, inside: bytes = NIL) -> bytes:
    return opened * depth + inside


MAP_IN = b"\x81\xa1a"
ARRAY_IN = b"\x91"
DEEP = {
    "arrays-16": _nested(15, ARRAY_IN),
    "arrays-500": _nested(500, ARRAY_IN),
    "arrays-1025": _nested(1_025, ARRAY_IN),
    "arrays-60000": _nested(60_000, ARRAY_IN),
    "maps-16": _nested(15, MAP_IN),
    "maps-500": _nested(500, MAP_IN),
    "maps-20000": _nested(20_000, MAP_IN),
    "unfinished": ARRAY_IN * 60_000,
}
BYTES: dict[str, tuple[str, bytes]] = {
    **{f"cut-{size}": (f"the first {size} bytes of an answer", PASS[:size]) for size in (1, 2, 7, 8, 12)},
    "trailing-nil": ("an answer and a nil", PASS + NIL),
    "trailing-zero": ("an answer and a zero", PASS + b"\0"),
    "trailing-answer": ("a pass and a deny", PASS + answer(effect="deny")),
    "trailing-never": ("an answer and a byte that msgpack never uses", PASS + b"\xc1"),
    "never": ("a byte that msgpack never uses", b"\xc1"),
    "zeroes": ("a thousand zeroes", bytes(1_000)),
    "map-of-2-32": ("a map of 2^32 - 1 entries, in five bytes", b"\xdf\xff\xff\xff\xff"),
    "map-of-2-16": ("a map of 65,535 entries, in three bytes", b"\xde\xff\xff"),
    "map-of-65": ("a map of 65 entries", pairs(*((text(f"k{n}"), NIL) for n in range(65)))),
    "array-of-2-32": ("notes of 2^32 - 1, in five bytes", pairs((text("notes"), b"\xdd\xff\xff\xff\xff"))),
    "text-of-2-32": ("a reason of 2^32 - 1 bytes", pairs((text("reason"), b"\xdb\xff\xff\xff\xff"))),
    "binary-of-2-32": ("a state of 2^32 - 1 bytes", pairs((text("state"), b"\xc6\xff\xff\xff\xff"))),
    "ext-of-2-32": ("an ext of 2^32 - 1 bytes", pairs((text("reason"), b"\xc9\xff\xff\xff\xff\x05"))),
    "counts-in-counts": ("arrays of 1,024 in each other, without end", pairs((text("notes"), b"\xdc\x04\x00" * 1_000))),
    "key-of-2-32": ("a key of 2^32 - 1 bytes", b"\x81\xdb\xff\xff\xff\xff"),
    "duplicate": ("deny, and then pass", pairs((text("effect"), text("deny")), (text("effect"), text("pass")))),
    "duplicate-spelled-otherwise": (
        "deny, and then pass under the same key in another encoding",
        pairs((text("effect"), text("deny")), (b"\xd9\x06effect", text("pass"))),
    ),
    "duplicate-inside": (
        "a rewrite that names a field twice",
        answer(rewrite=pairs((text("content"), text("a")), (text("content"), text("b")))),
    ),
    "duplicate-deep": (
        "a value in a rewrite that has a key twice",
        answer(rewrite=pairs((text("content"), pairs((text("a"), NIL), (text("a"), TRUE))))),
    ),
    "key-integer": ("a key that is a number", pairs((integer(1), NIL))),
    "key-nil": ("a key that is nil", pairs((NIL, NIL))),
    "key-true": ("a key that is true", pairs((TRUE, NIL))),
    "key-float": ("a key that is a NaN", pairs((NAN, NIL))),
    "key-binary": ("its key as binary", pairs((binary(b"effect"), text("allow")))),
    "key-array": ("a key that is an array", pairs((array(), NIL))),
    "key-map": ("a key that is a map", pairs((pairs(), NIL))),
    "key-ext": ("a key that is an ext", pairs((EXT, NIL))),
    "key-time": ("a key that is a time", pairs((STAMP, NIL))),
    "key-inside-integer": ("a rewrite with a key that is a number", answer(rewrite=pairs((integer(1), NIL)))),
    "key-not-utf-8": ("a key that is not UTF-8", pairs((text(b"\xff"), NIL))),
    "ext": ("an ext", EXT),
    "ext-of-an-answer": ("an answer inside an ext", b"\xc7" + bytes([len(PASS)]) + b"\1" + PASS),
    "time": ("a time", STAMP),
    "answer-nil": ("nil", NIL),
    "answer-false": ("false", FALSE),
    "answer-integer": ("a number", integer(3)),
    "answer-float": ("a float", HALF),
    "answer-text": ("the text `pass`", text("pass")),
    "answer-json": ("JSON", b'{"effect":"pass"}'),
    "answer-array": ("an array with an answer in it", array(PASS)),
    "answer-binary": ("an answer inside a binary", binary(PASS)),
    "utf-8-overlong": ("a reason with an overlong slash", answer(reason=text(b"\xc0\xaf"))),
    "utf-8-overlong-nul": ("a reason with an overlong NUL", answer(reason=text(b"\xc0\x80"))),
    "utf-8-surrogate": ("a reason with half a surrogate pair", answer(reason=text("\ud800"))),
    "utf-8-surrogates": ("a reason with both halves, as CESU-8", answer(reason=text("\ud83d\ude00"))),
    "utf-8-cut": ("a reason that ends inside a character", answer(reason=text(b"\xe2\x82"))),
    "utf-8-beyond": ("a reason with a character beyond the last", answer(reason=text(b"\xf4\x90\x80\x80"))),
    "utf-8-continues": ("a reason that begins inside a character", answer(reason=text(b"\x80"))),
    "utf-8-in-a-note": ("a note that is not UTF-8", answer(notes=array(text(b"\xff")))),
    "nan": ("a NaN in a rewrite", answer(rewrite=pairs((text("content"), NAN)))),
    "nan-short": ("a short NaN in a rewrite", answer(rewrite=pairs((text("content"), NAN_SHORT)))),
    "nan-signalling": ("a signalling NaN in a rewrite", answer(rewrite=pairs((text("content"), NAN_SIGNALS)))),
    "infinite": ("an infinity in a rewrite", answer(rewrite=pairs((text("content"), INFINITE)))),
    "infinite-minus": ("an infinity in a permission", answer(permissions=array(array(MINUS_INFINITE)))),
    "integer-2-53": ("an integer of 2^53 + 1", answer(rewrite=pairs((text("content"), integer(2**53 + 1))))),
    "integer-2-64": ("an integer of 2^64 - 1", answer(rewrite=pairs((text("content"), integer(2**64 - 1))))),
    "integer-minus-2-63": ("an integer of -2^63", answer(rewrite=pairs((text("content"), integer(-(2**63)))))),
    "binary-inside": ("a binary in a rewrite", answer(rewrite=pairs((text("content"), binary(b"x"))))),
    "binary-in-permissions": (
        "a binary in a permission",
        answer(permissions=array(pairs((text("type"), binary(b"x"))))),
    ),
    "notes-of-binary": ("a note that is binary", answer(notes=array(binary(b"x")))),
    "notes-of-nil": ("a note that is nil", answer(notes=array(text("a"), NIL))),
    "notes-of-notes": ("a note that is a list of notes", answer(notes=array(array(text("a"))))),
    "notes-of-1025": ("1,025 notes", answer(notes=b"\xdc\x04\x01" + text("a") * 1_025)),
    **{
        f"deep-{how}": (f"a rewrite nested too deep ({how})", answer(rewrite=pairs((text("content"), deep))))
        for how, deep in DEEP.items()
    },
    "deep-itself": ("arrays in arrays instead of an answer", ARRAY_IN * 30_000),
}

ACCEPTED = {
    "empty": ("the empty map", b"\x80", PASSES),
    "long-forms": ("a pass in the longest forms there are", b"\xdf\0\0\0\1\xdb\0\0\0\6effect\xdb\0\0\0\4pass", PASSES),
    "interrupt-alone": ("an interrupt without a deny, which says nothing", answer(interrupt=TRUE), PASSES),
    "all-empty": (
        "every key with nothing in it",
        answer(reason="", rewrite=pairs(), context="", interrupt=FALSE, permissions=array(), notes=array()),
        PASSES,
    ),
    "deny": ("a deny", answer(effect="deny", reason="no"), Answered(effect=Effect.DENY, reason="no")),
    "ask": ("an ask", answer(effect="ask", reason="?"), Answered(effect=Effect.ASK, reason="?")),
    "deep-enough": ("a rewrite as deep as may be, which names the value that was there", None, PASSES),
}


def _case(name: str, what: str, said: bytes, must: Any = INVALID) -> Case:
    return Case(name=name, what=f"answers {what}", must=must, answer=constant(said))


CASES = (
    *(_case(name, what, said) for name, (what, said) in BYTES.items()),
    *(
        _case(f"{key}-is-{kind}", f"with {kind} as `{key}`", pairs((text(key), value)))
        for key, right in RIGHT.items()
        for kind, value in KINDS.items()
        if kind not in right
    ),
    *(
        _case(
            f"protocol-{number}",
            f"with the key {key!a}",
            pairs((text("effect"), text("pass")), (text(key), text("allow"))),
        )
        for number, key in enumerate(PROTOCOL)
    ),
    *(
        _case(f"effect-{number}", f"with the effect {word[:20]!a}", answer(effect=word))
        for number, word in enumerate(EFFECTS)
    ),
    *(_case(f"control-{name}", what, said, must) for name, (what, said, must) in ACCEPTED.items() if said is not None),
)
