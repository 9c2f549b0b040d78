"""What a policy is asked. A field is decoded when it is read, and a wrong type of it is an error then."""

from __future__ import annotations

from wasmguard_guest import reader
from wasmguard_guest.reader import Fields, Malformed

TYPE_CHECKING = False  # `typing` and `functools` are not imported: everything that is makes every event dearer
if TYPE_CHECKING:
    from typing import Any

    from wasmguard_guest.reader import Place, Tree

NIL = 0xC0
KNOWN: Tree = {b"event": {b"tool_input": {}}, b"settings": {}}


class Request:
    """One event, the settings of the owner, and what the policy remembers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[Place, Any] = {}
        request = Fields(data, 0, KNOWN)
        if request.end != len(data):
            raise Malformed("it is cut off, or something follows it")
        top = request.places
        for key in (b"abi", b"event", b"settings", b"state"):
            if key not in top:
                raise Malformed(f"`{key.decode()}` is missing")
        for key in (b"event", b"settings"):
            if key not in request.maps:
                raise Malformed(f"`{key.decode()}` is no map")
        abi, state = self._value(top[b"abi"]), self._value(top[b"state"])
        if type(abi) is not int or abi != 1:
            raise Malformed("`abi` is not 1")
        if state is not None and type(state) is not bytes:
            raise Malformed("`state` is no binary")
        self.state: bytes | None = state
        """What this policy remembered last; None for nothing."""
        self._event_at, self._settings_at = top[b"event"], top[b"settings"]
        self._event, self._settings = request.maps[b"event"], request.maps[b"settings"].places

    @property
    def event_name(self) -> str | None:
        """`PreToolUse`, …"""
        return self._text_of_event("hook_event_name")

    @property
    def tool_name(self) -> str | None:
        """`Write`, …; None where no tool is meant."""
        return self._text_of_event("tool_name")

    @property
    def cwd(self) -> str | None:
        """The folder in which the agent works."""
        return self._text_of_event("cwd")

    def input_text(self, field: str) -> str | None:
        """The text in this field of `tool_input`; None if there is none, or something else."""
        place = self._input.get(field.encode())
        return self._value(place) if place and reader.is_text(self._data, place[0]) else None

    @property
    def tool_input(self) -> dict[str, Any]:
        """The whole input of the tool; empty where there is none. `input_text` is cheaper."""
        return {field.decode(): self._value(place) for field, place in self._input.items()}

    @property
    def event(self) -> dict[str, Any]:
        """The whole event as the agent sent it. Every value in it costs 10,000 instructions."""
        return self._value(self._event_at)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings."""
        return self._value(self._settings_at)

    def setting_text(self, name: str) -> str | None:
        """The setting of this name; None if it is not set. Another type is an error."""
        return self._setting(name, str)

    def setting_bool(self, name: str) -> bool | None:
        """As `setting_text`."""
        return self._setting(name, bool)

    def setting_integer(self, name: str) -> int | None:
        """As `setting_text`."""
        return self._setting(name, int)

    def setting_texts(self, name: str) -> list[str] | None:
        """As `setting_text`: a list of texts."""
        texts = self._setting(name, list)
        if texts is not None and any(type(text) is not str for text in texts):
            raise Malformed(f"the setting `{name}` holds something that is no text")
        return texts

    @property
    def _input(self) -> dict[bytes, Place]:
        if read := self._event.maps.get(b"tool_input"):
            return read.places
        place = self._event.places.get(b"tool_input")
        if place and self._data[place[0]] != NIL:
            raise Malformed("`tool_input` is no map")
        return {}

    def _text_of_event(self, field: str) -> str | None:
        place = self._event.places.get(field.encode())
        value = self._value(place) if place else None
        if value is not None and type(value) is not str:
            raise Malformed(f"`{field}` is no text")
        return value

    def _value(self, place: Place) -> Any:
        if place not in self._known:
            self._known[place] = reader.decoded(self._data, place)
        return self._known[place]

    def _setting(self, name: str, kind: type) -> Any:
        place = self._settings.get(name.encode())
        if place is None:
            return None
        value = self._value(place)
        if type(value) is not kind:
            raise Malformed(f"the setting `{name}` is no {kind.__name__}")
        return value
