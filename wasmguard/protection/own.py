"""Commands that change the guard itself, or start an agent without its hooks.

1. `wasmguard` may be asked for what is listed in `HARMLESS`. Everything else changes what decides, or when; a daemon
   too, which could answer in place of ours. Who acknowledges an alarm has looked at it: that is its owner.
2. Nobody ends a process by the name of wasmguard, and nobody uninstalls it.
3. Claude Code is not started so that it drops its hooks, nor told to write so into its settings.
"""

from __future__ import annotations

from wasmguard.protection import commands
from wasmguard.protection.marks import word_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HARMLESS = word_set(
    "bench build check completion demo doctor explain help inspect log new on replay run schema selftest serve stats"
    " status test verify"
)
CHANGING = word_set("allow init install lock off stop ui uninstall")
"""The rest, as far as it exists: these are also seen behind commands that we do not know."""

ACKNOWLEDGING = "--ack"
"""How the one thing begins that `verify` changes: an alarm ends (`wasmguard.alarm`)."""

ENDING = word_set("kill pkill killall skill snice systemctl launchctl service supervisorctl taskkill")
INSTALLERS = word_set("pip uv pipx conda mamba poetry pdm pixi brew apt apt-get dnf yum zypper pacman apk nix claude")
REMOVING = word_set("uninstall remove purge disable rm del -R -Rs -Rns")

UNHOOKED = word_set("--bare --safe-mode")  # how Claude Code 2.1.329 starts without hooks; as variables:
UNHOOKING = word_set("CLAUDE_CODE_SIMPLE CLAUDE_CODE_SAFE_MODE")

INSIDE = (
    *("wasmguard.switch", "wasmguard import switch", "switch_off", "workshop.off", "workshop import off"),
    *("wasmguard.exceptions", "wasmguard import exceptions", "workshop.allow", "workshop import allow"),
    *("wasmguard.alarm", "wasmguard import alarm", "wasmguard.granted", "wasmguard import granted"),
    *("wasmguard.spool", "wasmguard import spool", "wasmguard.audit", "wasmguard import audit"),
)
"""What code has to spell out that does from within what only the owner may."""

TERMINAL = "the owner does that in a terminal"


def refusal_of(name: str, words: Sequence[str], assigned: Sequence[str]) -> str:
    """Why the command *name* may not run as *words* say, with the variables *assigned*; empty if it may."""
    if name == "wasmguard":
        return _asked(words[1:])
    if name.rstrip("0123456789.") == "python":
        return _module(words[1:])
    if name in ENDING and "status" not in words and any("wasmguard" in word.casefold() for word in words):
        return f"the agent may not end wasmguard: {TERMINAL}"
    installs = name.rstrip("0123456789.") in INSTALLERS
    if installs and not REMOVING.isdisjoint(words) and any(_is_ours(word) for word in words[1:]):
        return f"the agent may not uninstall wasmguard: {TERMINAL}"
    if name == "claude" and _drops_hooks(words, assigned):
        return f"the agent may not start an agent without its hooks, nor switch them off: {TERMINAL}"
    return _behind(words) if name not in commands.READING | {"git", "gh"} else ""


def _asked(arguments: Sequence[str]) -> str:
    """Rule 1."""
    rest = iter(arguments)
    for word in rest:
        if word == "--config":
            next(rest, "")
        elif word[:1] != "-":
            if word == "verify" and any(argument.startswith(ACKNOWLEDGING) for argument in arguments):
                return f"the agent may not acknowledge an alarm: {TERMINAL}"
            harmless = word in HARMLESS and not (word == "serve" and _listens(arguments))
            harmless = harmless or not {"-h", "--help"}.isdisjoint(arguments)
            return "" if harmless else f"the agent may not run `wasmguard {word[:40]}`: {TERMINAL}"
    return ""


def _listens(arguments: Sequence[str]) -> bool:
    """Whether `wasmguard serve` becomes a daemon: at our socket it would answer for us."""
    return any(word.partition("=")[0] in ("--daemon", "--socket", "--http") for word in arguments)


def _module(arguments: Sequence[str]) -> str:
    """`python -m wasmguard`, `python -m pip`."""
    for at, word in enumerate(arguments):
        if word[:1] != "-":
            return ""
        if word == "-m":
            following = arguments[at + 1 :]
            if following[:1] == ["wasmguard"]:
                return _asked(following[1:])
            return refusal_of("pip", following, ()) if following[:1] == ["pip"] else ""
    return ""


def _behind(words: Sequence[str]) -> str:
    """Rule 1 for what comes behind a command that runs others: `uv run wasmguard off`."""
    for at, word in enumerate(words[1:], 1):
        if word in CHANGING | {"serve", "verify"} and commands.name_of(words[at - 1]) == "wasmguard":
            return _asked(words[at:])
    return ""


def _drops_hooks(words: Sequence[str], assigned: Sequence[str]) -> bool:
    if not (UNHOOKED.isdisjoint(words) and UNHOOKING.isdisjoint(assigned)):
        return True
    return any("disableallhooks" in word.casefold() for word in words)


def _is_ours(word: str) -> bool:
    """Whether *word* is our name, maybe with a version or extras."""
    word = word.casefold()
    return word.startswith("wasmguard") and not word[9:10].isalnum() and word[9:10] not in ("-", "_", "/")
