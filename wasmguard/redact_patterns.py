"""What secrets look like, for `wasmguard.redact`, which says what must hold of each expression here.

Sources stand beside the forms; where the owner of a form does not say how long it is, ours is a little shorter than
what is seen.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OWN = "own pattern"
SHORTEST = 6  # characters: `://:a@`
_BEGIN = r"(?<![A-Za-z0-9])"

FORMS = {
    # IAM User Guide, "Unique identifiers": AKIA is a long-term key, ASIA a temporary one
    "AWS key": r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
    # GitHub blog 2021-04-05, "Behind GitHub's new authentication token formats"; docs.github.com, "Token types"
    "GitHub token": r"(?:gh[pousr]_[A-Za-z0-9]{30,255}+|github_pat_[A-Za-z0-9_]{30,255}+)",
    # docs.gitlab.com, "Token overview": 20 characters, newer ones more, with a dot
    "GitLab token": r"glpat-[A-Za-z0-9_-]{20,255}+(?:\.[A-Za-z0-9_.-]{1,64}+)?",
    # docs.slack.dev, "Tokens": bot, user, configuration, refresh, app level
    "Slack token": r"(?:xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9-]{16,512}+",
    # platform.openai.com and docs.claude.com: `sk-proj-…`, `sk-ant-api03-…`; older ones are `sk-` and 48 characters
    "API key": r"sk-[A-Za-z0-9_-]{20,512}+",
    # cloud.google.com, "API keys": 39 characters
    "Google key": r"AIza[A-Za-z0-9_-]{35}",
    # GitHub blog 2021-09-23, "Announcing npm's new access token format"
    "npm token": r"npm_[A-Za-z0-9]{30,255}+",
    # huggingface.co/docs/hub, "User access tokens"
    "Hugging Face token": r"hf_[A-Za-z0-9]{30,255}+",
    # Python's package index, its help on "API tokens": a macaroon in base64
    "PyPI token": r"pypi-[A-Za-z0-9_-]{16,2048}+",
    # docs.stripe.com, "API keys": secret and restricted ones
    "Stripe key": r"[sr]k_live_[A-Za-z0-9]{16,255}+",
    # docs.sendgrid.com, "API keys": `SG.`, 22 characters, a dot, 43 characters
    "SendGrid key": r"SG\.[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,128}+",
    # RFC 7519: header and claims are JSON objects in base64url, so both begin like `{"`
    "JWT": r"(?<![_-])eyJ[A-Za-z0-9_-]{10,4096}+\.eyJ[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*+)?",
}

SIGNS = {
    "AWS key": ("AKIA", "ASIA"),
    "GitHub token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_"),
    "GitLab token": ("glpat-",),
    "Slack token": ("xox", "xapp-"),
    "API key": ("sk-",),
    "Google key": ("AIza",),
    "npm token": ("npm_",),
    "Hugging Face token": ("hf_",),
    "PyPI token": ("pypi-",),
    "Stripe key": ("k_live_",),
    "SendGrid key": ("SG.",),
    "JWT": ("eyJ",),
}
"""What such a secret cannot do without."""

# RFC 7468, and what PGP calls the same: to the last line, or to the end of a text that was cut
_KIND_OF_KEY = r"(?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
PEM = rf"-----BEGIN {_KIND_OF_KEY}(?:(?!-----END )[\s\S])*+(?:-----END {_KIND_OF_KEY})?"

_SCHEME = r"(?:(?:basic|bearer|bot|digest|key|negotiate|token) {1,4})?+"
_QUOTE = r"\\{0,3}[\"'`]"
# RFC 9110, 11.6.2, as a header, an assignment, or a pair of texts; the scheme stays
AUTHORIZATION = (
    rf"(?P<before>authorization(?:{_QUOTE})?\s{{0,8}}[:=,]\s{{0,8}}(?:{_QUOTE})?{_SCHEME})"
    r"(?P<value>[^\s\"'`\\,;<>(){}\[\]]{6,}+)"
)
# RFC 3986, 3.2.1: what stands between the colon and the `@`
URL = r"(?P<before>://[^\s/:@\"'<>]{0,128}+:)(?P<value>[^\s/@\"'<>]{1,256}+)(?=@)"

_NAME = (
    r"(?<!/etc/)(?P<name>pass(?:word|wd|phrase)|secret(?:[_. -]?(?:access[_. -]?)?key(?:[_. -]?base)?)?|token"
    r"|(?:access|account|api|auth|encryption|master|private|service|signing|ssh|storage)[_. -]?key)"
    r"(?:_?(?:v?[0-9]{1,3}|value))?(?![A-Za-z0-9_-])"
)
_TEXT = rf"(?P<quote>\"{{3}}|'{{3}}|{_QUOTE})(?P<text>(?:(?!(?P=quote))(?:\\[^\n]|[^\n\\]))++)"
_VALUE = rf"(?:{_TEXT}|(?P<value>[^\s\"'`,;&|<>(){{}}\[\]\\]{{3,}}+))"
_TYPE = r"(?::\s{0,4}[A-Za-z_][A-Za-z0-9_.|\[\]]{0,40}+\s{0,4}(?==))?"  # as in `password: str = …`
ASSIGNED = rf"{_NAME}(?P<sign>(?:{_QUOTE})?\]?\s{{0,8}}{_TYPE}(?::=|=>|[=!]?==?|:)\s{{0,8}}){_VALUE}"
FLAG = rf"--(?:[a-z0-9]{{1,20}}[_-]){{0,4}}{_NAME}(?P<sign>[ \t]{{1,8}})(?!-){_VALUE}"
# a passphrase in YAML has blanks
LINE = r"(?m:^)(?P<before>[ \t]{0,64}(?:- )?[a-z0-9_.-]{0,64}pass(?:word|wd|phrase)[ \t]{0,8}:[ \t]{1,8})"
LINE += r"(?P<value>[a-z0-9][^\s\"'`,;=(){}\[\]]*+(?: [a-z0-9][^\s\"'`,;=(){}\[\]]*+){1,15})(?=[ \t]*(?:\r?\n|\Z))"

_NONE = frozenset(
    [
        "true",
        "false",
        "none",
        "null",
        "nil",
        "undefined",
        "yes",
        "no",
        "on",
        "off",
        "str",
        "string",
        "bytes",
        "bytearray",
        "int",
        "integer",
        "number",
        "float",
        "bool",
        "boolean",
        "any",
        "unknown",
        "void",
        "object",
        "required",
        "optional",
        "empty",
        "default",
        "optional[str]",
        "str|none",
    ]
)
_REFERENCE = re.compile(
    r"\$\{?[\w.:-]+\}?|\$\(.*\)|\$\{\{.*\}\}|\{\{.*\}\}|\{[\w.]*\}|<[^<>]*>|%\(\w+\)s|%s|\*+|\.{3}|…|\[redacted: .*\]?",
    re.ASCII | re.DOTALL,
)
_VARIABLE = re.compile(r"[a-z_][\w]{0,60}(?:\.[a-z_]\w{0,60}){0,8}", re.ASCII | re.IGNORECASE)
_OWNERS = frozenset(
    [
        "self",
        "cls",
        "this",
        "args",
        "process",
        "os",
        "config",
        "settings",
        "env",
        "environ",
        "options",
        "opts",
        "params",
        "request",
    ]
)
_AFTER_A_PAIR = re.compile(r"[ \t]{0,64}(?:$|[\r\n,;}\])\"'`#\\|&])")
_FIELD = re.compile(f"(?:{_NAME}|(?P<header>authorization))$", re.ASCII | re.IGNORECASE)


def mark(kind: str) -> str:
    """What stands where a secret of *kind* was."""
    return f"[redacted: {kind}]"


def kind_of_field(key: str) -> str:
    """The kind of secret that a field *key* of a map holds; empty if it holds none."""
    found = _FIELD.search(key[-64:])
    if found is None:
        return ""
    return "authorization" if found["header"] else _kind(found["name"])


def kind_of_flag(text: str) -> str:
    """The kind of secret that follows *text*, a flag in a list of arguments; empty if none does."""
    return kind_of_field(text) if text[:1] == "-" and len(text) <= 64 and "=" not in text else ""


def kind_of_pair(given: dict[Any, Any]) -> str:
    """The kind of secret that is the `value` in the map *given*, if it has a `name` or a `key`; empty if there is
    none."""
    if "value" not in given:
        return ""
    names = (given.get(key) for key in ("name", "key", "Name", "Key"))
    return next((kind for name in names if isinstance(name, str) and (kind := kind_of_field(name))), "")


def is_secret(value: str, kind: str) -> bool:
    """Whether *value*, whose name says that it is a secret of *kind*, is one: no variable, and no word like `true`."""
    if not value or value.lower() in _NONE or (kind in ("key", "token") and value.isdecimal() and len(value) <= 6):
        return False
    return _REFERENCE.fullmatch(value) is None


def replaced(form: re.Pattern[str], kind: str) -> Callable[[str], str]:
    """Replaces what has this *form*."""
    marked = mark(kind)
    return lambda text: form.sub(lambda _: marked, text)


def _behind(form: str, kind: str) -> Callable[[str], str]:
    """Replaces the value in what has this *form*, and keeps what is before it."""
    found = re.compile(form, re.ASCII | re.IGNORECASE)

    def put(match: re.Match[str]) -> str:
        return match["before"] + mark(kind) if is_secret(match["value"], kind) else match[0]

    return lambda text: found.sub(put, text)


def _named(form: str) -> Callable[[str], str]:
    """Replaces the value in what has this *form*, if its name says that it is a secret."""
    found = re.compile(form, re.ASCII | re.IGNORECASE)

    def put(match: re.Match[str]) -> str:
        kind = _kind(match["name"])
        if match["value"] is None:
            kept, value, is_one = match.end("quote"), match["text"], True
        else:
            kept, value, is_one = match.start("value"), match["value"], not _is_code(match)
        if not (is_one and is_secret(value, kind)):
            return match[0]
        return match[0][: kept - match.start()] + mark(kind)

    return lambda text: found.sub(put, text)


def _is_code(match: re.Match[str]) -> bool:
    """Whether a value without quotes is an expression, or a word of a sentence."""
    value, name, sign, text = match["value"], match["name"].lower(), match["sign"], match.string
    if sign.strip() == ":" and sign[-1:].isspace() and not _AFTER_A_PAIR.match(text, match.end()):
        return True
    if not _VARIABLE.fullmatch(value):
        return False
    first, _, last = value.lower().rpartition(".")
    if text[match.end() : match.end() + 1] in ("(", "["):
        return True
    return last == name or first.partition(".")[0] in _OWNERS or "==" in sign or "!=" in sign


def _kind(name: str) -> str:
    name = name.lower()
    return next(kind for kind, word in _WORDS if word in name)


_WORDS = (("password", "pass"), ("secret", "secret"), ("token", "token"), ("key", "key"))

_FORMED = [
    (sign, step)
    for kind, form in FORMS.items()
    for step in [replaced(re.compile(_BEGIN + form), kind)]
    for sign in SIGNS[kind]
]
_PEM, _URL = replaced(re.compile(PEM), "private key"), _behind(URL, "password")
_AUTHORIZATION, _LINE = _behind(AUTHORIZATION, "authorization"), _behind(LINE, "password")
_ASSIGNED, _FLAG = _named(ASSIGNED), _named(FLAG)


def cleaned(text: str) -> str:
    """*text* without the secrets that we know: first those that have a form, which they are called by.

    An expression costs 20 to 100 times what it costs to look for the few letters that it cannot do without.
    """
    if len(text) < SHORTEST:
        return text
    if "PRIVATE KEY" in text:
        text = _PEM(text)
    for sign, step in _FORMED:
        if sign in text:
            text = step(text)
    if "://" in text and "@" in text:
        text = _URL(text)
    lower = text.lower()
    if "authoriz" in lower:
        text = _AUTHORIZATION(text)
    if "pass" in lower or "secret" in lower or "token" in lower or "key" in lower:
        text = _ASSIGNED(_LINE(text) if ":" in text else text)
        text = _FLAG(text) if "--" in text else text
    return text
