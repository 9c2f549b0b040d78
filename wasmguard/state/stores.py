"""Which store a configuration names. None is loaded before somebody remembers something."""

from __future__ import annotations

import os

from wasmguard.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Any

    from wasmguard.state.interface import Slot, Store, Turn

SQLITE = "sqlite"
REDIS = ("redis://", "rediss://")


def opened(config: str, settings: Mapping[str, Any]) -> Store:
    """The store of the configuration file *config*, whose table `[state]` says *settings*. Nothing is looked at yet."""
    return _Opened(config, settings)


def make(config: str, settings: Mapping[str, Any]) -> None:
    """Make the store, if there is none.

    Raises:
        StateError: if it cannot be made, or what is there is no store that can be relied on.
    """
    if _is_redis(settings):
        _redis().make(settings)
    else:
        file = _sqlite_file()
        file.make(file.path_of(config))


def exists(config: str, settings: Mapping[str, Any]) -> bool:
    """Whether there is one already, usable or not.

    Raises:
        StateError: if that cannot be known.
    """
    if _is_redis(settings):
        return bool(_redis().exists(settings))
    return os.path.lexists(_sqlite_file().path_of(config))


class _Opened:
    """A store that is loaded when it is first used."""

    def __init__(self, config: str, settings: Mapping[str, Any]) -> None:
        self._config, self._settings, self._closed = config, settings, False
        named = settings.get("store"), settings.get("prefix")
        self.place = os.path.abspath(config) if named[0] == "sqlite" else " ".join(map(str, named))
        self._store: Store | None = None

    def turn(self, slots: Sequence[Slot], *, alone: bool = False) -> Turn:
        if self._closed:
            raise StateError("the state is closed: load another guard")
        return (self._store or self._load()).turn(slots, alone=alone)

    def close(self) -> None:
        self._closed = True
        if self._store is not None:
            self._store.close()

    def _load(self) -> Store:
        made: Store
        if _is_redis(self._settings):
            made = _redis().RedisStore(self._settings)
        else:
            file = _sqlite_file()
            from wasmguard.state.sqlite import SqliteStore

            made = SqliteStore(file.path_of(self._config))
        self._store = self._store or made  # another thread may have been quicker
        return self._store


def _sqlite_file() -> ModuleType:
    try:
        from wasmguard.state import sqlite_file
    except ImportError as error:
        raise StateError(f"this Python has no SQLite: {error}: install `sqlite3` for it, or use Redis") from None
    return sqlite_file


def _redis() -> ModuleType:
    try:
        from wasmguard.state import redis
    except ImportError as error:
        advice = "`pip install 'wasmguard[redis]'`, or choose another `state.store`"
        raise StateError(f"Redis cannot be used: {error}: {advice}") from None
    return redis


def _is_redis(settings: Mapping[str, Any]) -> bool:
    """Whether it is on a Redis server, else in a file.

    Raises:
        StateError: if it is neither.
    """
    store = settings["store"]
    if isinstance(store, str) and store.startswith(REDIS):
        return True
    if store == SQLITE:
        return False
    raise StateError(f"`state.store` is `{store}`: write `sqlite`, or `redis://host:6379/0`")
