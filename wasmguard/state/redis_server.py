"""One Redis server: its address, its password, and connections to it.

1. A connection, a command and its answer have `WAIT` seconds each. Nothing is sent twice by itself: whoever repeats
   something knows that it does no harm.
2. `rediss://` is TLS with a certificate that the system trusts for that host.
3. The password is in a file of the owner's alone, and in no message.
4. A server that may throw keys away when its memory is full is refused: everything that we write has an expiry, so
   `volatile-*` would take it like `allkeys-*`. It needs `maxmemory-policy noeviction`, or no `maxmemory`. Then a full
   server refuses to write, which is a StateError.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationWrongNumberOfArgsError, NoScriptError
from redis.retry import Retry

from wasmguard.errors import StateError
from wasmguard.state.interface import WAIT
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Connection = Any  # `redis.Connection`, whose methods have no types

PORT = 6379
LONGEST_SECRET = 4096  # bytes of the password file
IDLE = 8  # connections that stay open

_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


_REFUSED = redis.AuthenticationError, AuthenticationWrongNumberOfArgsError
_WORDED = redis.ResponseError, redis.InvalidResponse


class Server:
    """The server that the table `[state]` of a configuration names. Connected to when it is first asked."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises:
        StateError: if `store` is no address.
        """
        self.name: str = settings["store"]
        self._address = _address(self.name)
        self._password_file: str | None = settings.get("password_file")
        self._idle: list[Connection] = []
        self._pid, self._closed = os.getpid(), False

    def ask(self, command: Callable[[Connection], Any], *, harmless: bool = False) -> Any:
        """What *command* returns when it is given a connection. One that is *harmless* to repeat is repeated if the
        connection had been idle and turns out to be dead.

        Raises:
            StateError: if there is no answer, or it is an error. What was asked may have been done.
        """
        idle = self._taken()
        try:
            if idle is not None:
                try:
                    return self._asked(idle, command)
                except (redis.ConnectionError, OSError):
                    self._drop_idle()  # they will be dead too
                    if not harmless:
                        raise
            return self._asked(self._connected(), command)
        except (redis.RedisError, OSError, ValueError) as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close what is open; what is in use, when it comes back."""
        self._closed = True
        self._drop_idle()

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()

    def _taken(self) -> Connection | None:
        """A connection that was idle, if there is one."""
        if self._closed:
            raise StateError("the state is closed: load another guard")
        if self._pid != os.getpid():  # a fork: those are our parent's
            self._idle, self._pid = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _asked(self, connection: Connection, command: Callable[[Connection], Any]) -> Any:
        try:
            answer = command(connection)
        except redis.ResponseError:
            self._back(connection)  # which is an answer, and the connection is as before
            raise
        except BaseException:
            connection.disconnect()
            raise
        self._back(connection)
        return answer

    def _back(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= IDLE or self._pid != os.getpid():
            connection.disconnect()
        else:
            self._idle.append(connection)

    def _connected(self) -> Connection:
        user, password = _secret(self._password_file) if self._password_file else (None, None)
        options = {**self._address, "username": user, "password": password}
        options |= {
            "socket_timeout": WAIT,
            "socket_connect_timeout": WAIT,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        made: Any = redis.Connection
        if self.name.startswith("rediss:"):
            made = partial(redis.SSLConnection, ssl_cert_reqs="required", ssl_check_hostname=True)
        connection = made(**options)
        try:
            connection.connect()
            self._check_keeps(connection)
        except BaseException as error:
            connection.disconnect()
            if password and isinstance(error, _REFUSED):  # the server may quote a part of what we said to it
                raise StateError(f"`{self.name}` refuses us: see `state.password_file`") from None
            if password and isinstance(error, _WORDED):  # likewise
                raise StateError(
                    f"`{self.name}` refuses our first commands: see its log, the database number and"
                    " `state.password_file`"
                ) from None
            raise
        return connection

    def _check_keeps(self, connection: Connection) -> None:
        """Check that the server throws nothing away (rule 4)."""
        said = call(connection, "INFO", "memory")
        lines = said.decode("utf-8", "replace").splitlines() if isinstance(said, bytes) else []
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        policy = facts.get("maxmemory_policy", "unknown")
        if policy != "noeviction" and facts.get("maxmemory") != "0":
            raise StateError(
                f"`{self.name}` may throw state away (`maxmemory-policy` is `{one_line(policy, 40)}`): set it to"
                " `noeviction`, or use another server"
            )

    def _failed(self, error: Exception) -> StateError:
        if isinstance(error, redis.AuthenticationError):
            return StateError(f"`{self.name}` refuses us: {_said(error)}: see `state.password_file`")
        if isinstance(error, redis.TimeoutError | TimeoutError):
            return StateError(f"`{self.name}` does not answer within {WAIT:.0f} seconds: see whether it is well")
        return StateError(f"`{self.name}` cannot be used: {_said(error)}: see whether it runs and lets you in")


class Script:
    """A program for the server, which keeps it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._name = sha1(self._text, usedforsecurity=False).hexdigest()

    def ask(self, server: Server, keys: Sequence[str], values: Sequence[Any], *, harmless: bool = False) -> list[Any]:
        """The list that it returns for *keys* and *values*. Raises as `Server.ask`."""

        def asked(connection: Connection) -> Any:
            try:
                return call(connection, "EVALSHA", self._name, len(keys), *keys, *values)
            except NoScriptError:  # so it did not run
                return call(connection, "EVAL", self._text, len(keys), *keys, *values)

        answer = server.ask(asked, harmless=harmless)
        if not isinstance(answer, list) or not answer:
            raise StateError(f"`{server.name}` gives an odd answer: see whether it is a Redis server")
        return answer


def call(connection: Connection, *words: str | bytes | int) -> Any:
    """The answer to one command."""
    connection.send_command(*words)
    return connection.read_response()


def _address(name: str) -> dict[str, Any]:
    try:
        parts = urlsplit(name)
        number = parts.path.removeprefix("/") or "0"
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, number = None, None, ""
    if not host or not number.isdecimal() or "@" in parts.netloc or parts.query or parts.fragment:
        raise StateError("`state.store` is no address of a Redis server: write `redis://host:6379/0`")
    return {"host": host, "port": port or PORT, "db": int(number)}


def _secret(path: str) -> tuple[str | None, str]:
    """User, if there is one, and password in the file *path*: `password`, `user:password`, or `:password` if the
    password has a colon.

    Raises:
        StateError: if it cannot be read, or others could read it.
    """
    try:
        file = os.open(path, os.O_RDONLY | _SAFE)
        try:
            seen = os.fstat(file)
            if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
                raise StateError(f"`{path}` must be a file of yours alone: `chmod 600` it")
            line = os.read(file, LONGEST_SECRET + 1).decode().rstrip("\r\n")
        finally:
            os.close(file)
    except OSError as error:
        raise StateError(f"`{path}` cannot be read: {(error.strerror or 'unknown').lower()}: see its path") from None
    except UnicodeDecodeError:
        line = ""
    if not line or len(line) >= LONGEST_SECRET or not line.isprintable():
        raise StateError(f"`{path}` holds no password: write it on one line")
    user, colon, password = line.partition(":")
    return (user or None, password) if colon else (None, line)


def _said(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 200).lower().rstrip(".")
