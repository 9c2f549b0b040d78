"""The token that an agent shows to the daemon's HTTP port.

1. It is 32 random bytes as text, in a file of the owner's alone (0600, no symbolic link) in the state folder.
2. It is made once and whole: of two that come together one wins, and a token that is there is never written over.
3. A file that is not like that is not read. Nobody makes a new one in its place: settings may name the old one.
4. Two tokens are compared in a time that does not depend on where they differ.
"""

from __future__ import annotations

import os
import stat
from _operator import _compare_digest  # what `hmac.compare_digest` is, without `hashlib`
from binascii import b2a_base64

from wasmguard import places
from wasmguard.errors import HostError
from wasmguard.sandbox.cache import private_folder

NAME = "token"
RANDOM = 32  # bytes
LENGTH = 43  # characters that 32 bytes make in base64 without padding
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")  # RFC 4648, section 5

_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


def path() -> str:
    """The file that holds the token."""
    return os.path.join(places.state_dir(), NAME)


def token(create: bool = False) -> str:
    """This user's token: 43 letters, digits, `-` and `_`. With *create* it is made if there is none.

    Raises:
        HostError: if there is none, it cannot be read or made, is damaged, or does not belong to this user alone.
    """
    here = path()
    if create and not os.path.lexists(here):
        _make(here)
    if os.path.lexists(os.path.dirname(here)):
        private_folder(os.path.dirname(here))
    try:
        said = _read(here)
    except FileNotFoundError:
        advice = "run `wasmguard install claude-code --transport http`, which makes one"
        raise HostError(f"there is no token at `{here}`: {advice}") from None
    except OSError as error:
        raise HostError(f"`{here}` cannot be read: {_why(error)}: delete it and install again") from None
    if len(said) != LENGTH or not LETTERS.issuperset(said):
        raise HostError(f"`{here}` is damaged: it holds no token: delete it and install again")
    return said.decode("ascii")


def same(given: str | bytes, token: str) -> bool:
    """Whether *given* is the *token*. An empty token is nobody's."""
    shown = given.encode("utf-8", "replace") if isinstance(given, str) else given
    return _compare_digest(shown, token.encode()) and bool(token)


def _read(here: str) -> bytes:
    """What is in the file, which is ours alone, without a line end; never more than a token and a bit."""
    file = os.open(here, os.O_RDONLY | _SAFE)
    try:
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode):
            raise HostError(f"`{here}` is no regular file: delete it and install again")
        if hasattr(os, "geteuid") and seen.st_uid != os.geteuid():
            raise HostError(f"`{here}` belongs to user {seen.st_uid}: delete it and install again")
        if hasattr(os, "geteuid") and seen.st_mode & 0o077:  # others may have read it: a new one must be made
            mode = stat.S_IMODE(seen.st_mode)
            raise HostError(f"`{here}` is open to others (mode {mode:o}): delete it and install again")
        return os.read(file, LENGTH + 2).removesuffix(b"\n")
    finally:
        os.close(file)


def _make(here: str) -> None:
    """Put a new token in place, unless somebody else was first (rule 2)."""
    private_folder(os.path.dirname(here))
    text = b2a_base64(os.urandom(RANDOM), newline=False).rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_"))
    temporary = f"{here}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
        try:
            if os.write(file, text + b"\n") != LENGTH + 1:
                raise OSError(0, "half of it was")
            os.fsync(file)
            os.link(temporary, here)
        except FileExistsError:
            pass  # theirs counts
        finally:
            os.close(file)
            os.unlink(temporary)
    except OSError as error:
        raise HostError(f"`{here}` cannot be written: {_why(error)}: make room there") from None


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
