"""What was granted: a table by which the input that was executed is compared with the one that was decided about.

A client asks many hooks at once, and of two that rewrite the input the last one wins: what runs may be an input that no
policy of ours has judged. PostToolUse and PostToolUseFailure show what really ran.

1. After a PreToolUse decision that is no DENY the table holds a digest of the input that may run, after a DENY that
   none may. The event after the call looks it up by agent, session and call.
2. Names and values are MACs under this user's key: whoever can write the file can make us forget, and not make us
   believe that another input was granted.
3. A slot is written at once, by one `pwrite` within one page, and in place: nobody locks, and no death of a process
   leaves half of one that counts. Hooks that end after each event, and threads and forks of a daemon, share the file.
4. There is room for `SLOTS` calls, in buckets of `WAYS`; in each bucket the oldest makes room for the next. A call that
   is forgotten is unknown, which is not the same as executed with another input.
5. Compared are the tool, by its name, and a form of the input (`forms`) that does not depend on the order of an
   object's keys, nor on how a whole number is spelled: a client in JavaScript has one kind of numbers, and orders keys
   by its schema. Nor does it hold what the client adds by itself, or a person who was asked: their words are no swap.
   All else counts.

What a client does so was measured with Claude Code 2.1.330, or is read in its code where that is said.
"""

from __future__ import annotations

import os
from _operator import _compare_digest

from wasmguard import spool
from wasmguard.errors import HostError, why_of
from wasmguard.guest import codec
from wasmguard.sandbox.cache import private_folder

try:  # as in `wasmguard.sandbox.cache`
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, Literal

    Look = Literal["as granted", "another", "denied", "unknown"]

NAME = "granted"
SLOTS, WAYS = 65_536, 4
SLOT = 32  # bytes: 15 of a name, 1 that says in which round it was written, 16 of a value
BUCKET = SLOT * WAYS
SIZE = SLOT * SLOTS  # of the file; it has holes until it is used
AGAIN = 3  # looks at a slot that somebody may be writing

_NAME, _VALUE = 15, 16  # bytes
_HALF = 8  # of a value, that of each form: nobody but us can try whether he guessed one
_ROUND = (b"\0", b"\1")
_DENIED, _GRANTED, _LEFT = b"\0", b"\1", b"\2"  # how the text of a value ends
_ABOUT = "wasmguard granted 1"  # these MACs are no others' under the same key
_BUCKETS = SLOTS // WAYS
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0)  # nobody's pipe may hold us up

ANSWERS = {
    "AskUserQuestion": frozenset({"answers", "annotations", "metadata"}),
    "ExitPlanMode": frozenset({"plan", "planFilePath"}),
}
"""Fields that a client adds to these tools' inputs when the person has answered: that is what the tool is for."""

EDITABLE = {"Write": frozenset({"content"}), "Edit": frozenset({"old_string", "new_string"})}
"""What a person may edit of a change that is shown. The client says so in the output (`userModified`), and says it for
its own dialog only: not for a hook on PermissionRequest, nor for `can_use_tool` (measured, and read in its code)."""

NOTES, NOTED = "__", ("Artifact", "Design")
"""Tools to whose input the client adds notes of its own, and how their keys begin (read in its code)."""

MOVING = {"EnterWorktree": "path"}
"""Tools one path of which the client resolves, links included, after its hooks (read in its code)."""


def forms(tool: str, tool_input: Mapping[str, Any], cwd: str = "/") -> tuple[bytes, bytes]:
    """The form of *tool_input* that is compared (rule 5), and that of what is left of it if a person edited the change;
    empty where nobody can. *cwd* is the folder of the event.

    Raises:
        ValueError: if msgpack cannot say it.
    """
    if tool in ANSWERS:
        tool_input = _without(tool_input, ANSWERS[tool])
    elif tool in MOVING:
        tool_input = {**tool_input, MOVING[tool]: _resolved(tool_input.get(MOVING[tool]), cwd)}
    elif tool.startswith(NOTED):
        tool_input = _without(tool_input, {key for key in tool_input if key.startswith(NOTES)})
    whole = ordered(tool_input)
    left = codec.packed([tool, _without(whole, EDITABLE[tool])]) if tool in EDITABLE else b""
    return codec.packed([tool, whole]), left


def ordered(value: Any) -> Any:
    """The same data with keys in order, and whole numbers as integers (rule 5)."""
    kind = type(value)
    if kind is dict:
        if _INNER.isdisjoint(map(type, value.values())):
            return dict(sorted(value.items()))
        return {key: ordered(item) for key, item in sorted(value.items())}
    if kind is list:
        return [ordered(item) for item in value]
    if kind is float and value.is_integer() and -(2**53) <= value <= 2**53:
        return int(value)
    return value


def edited(output: Any) -> bool:
    """Whether *output*, of a tool in `EDITABLE`, says that a person edited the change before it was made."""
    return type(output) is dict and output.get("userModified") is True


def remember(agent: str, session: str, call: str, whole: bytes, left: bytes = b"") -> None:
    """As `Table.remember`, in this user's table."""
    _table().remember(agent, session, call, whole, left)


def refuse(agent: str, session: str, call: str) -> None:
    """As `Table.refuse`, in this user's table."""
    _table().refuse(agent, session, call)


def look(agent: str, session: str, call: str, whole: bytes, left: bytes = b"") -> Look:
    """As `Table.look`, in this user's table."""
    return _table().look(agent, session, call, whole, left)


class Table:
    """The table in one folder. Threads and forked processes may share it."""

    def __init__(self, where: str | None = None, key: bytes = b"") -> None:
        self._key, self._file = key, -1
        self.folder = where or spool.folder()
        self.path = os.path.join(self.folder, NAME)

    def __del__(self) -> None:
        self.close()  # of a guard that nobody closed

    def remember(self, agent: str, session: str, call: str, whole: bytes, left: bytes = b"") -> None:
        """Keep that this *call* may run with the input whose `forms` these are. A call without an id cannot be known
        again: then nothing is kept.

        Raises:
            HostError: if it cannot be kept.
        """
        if call:
            mac = self._mac(agent, session, call)
            name, of_left = mac.digest()[:_NAME], mac.copy() if left else None
            mac.update(whole)
            mac.update(_GRANTED)
            value = mac.digest()
            if of_left is None:
                return self._write(name, value[:_VALUE])
            of_left.update(left)
            of_left.update(_LEFT)
            self._write(name, value[:_HALF] + of_left.digest()[:_HALF])
        return None

    def refuse(self, agent: str, session: str, call: str) -> None:
        """Keep that this *call* may not run. Raises as `remember`."""
        if call:
            mac = self._mac(agent, session, call)
            name = mac.digest()[:_NAME]
            mac.update(_DENIED)
            self._write(name, mac.digest()[:_VALUE])

    def look(self, agent: str, session: str, call: str, whole: bytes, left: bytes = b"") -> Look:
        """What is known of this *call*, which ran with the input whose form is *whole*; *left* is given only if a
        person edited the change (`edited`).

        Raises:
            HostError: if the table cannot be read.
        """
        if not call:
            return "unknown"
        granted = self._mac(agent, session, call)
        denied, of_left, name = granted.copy(), granted.copy(), granted.digest()[:_NAME]
        for mac, parts in ((granted, (whole, _GRANTED)), (of_left, (left, _LEFT)), (denied, (_DENIED,))):
            for part in parts:
                mac.update(part)
        self._let_go_of_removed()
        for _ in range(AGAIN):  # the slot may be read while it is written
            bucket = self._read(_bucket(name))
            place = _place(bucket, name)
            if place < 0:
                return "unknown"
            value = bucket[place + SLOT - _VALUE : place + SLOT]
            if _compare_digest(value[:_HALF], granted.digest()[:_HALF]):
                return "as granted"
            if left and _compare_digest(value[_HALF:], of_left.digest()[:_HALF]):
                return "as granted"
            if _compare_digest(value, denied.digest()[:_VALUE]):
                return "denied"
        return "another"

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _mac(self, agent: str, session: str, call: str) -> blake2b:
        """What began with the key and names the call. It may be ended anywhere: nobody can go on from such an end."""
        if not self._key:
            self._key = spool.key()
        about = f"{_ABOUT} {len(agent)} {len(session)} {len(call)} {agent}{session}{call}"
        return blake2b(self._key + about.encode("utf-8", "surrogatepass"))

    def _write(self, name: bytes, value: bytes) -> None:
        """Put it into its own slot, or an empty one, or the oldest one's.

        Slots of a bucket are written in turn, round by round. Each says whether its round was an odd one: the first
        that says something else than those before it is the next to be written.
        """
        at = _bucket(name)
        bucket = self._read(at)
        place = _place(bucket, name)
        if place >= 0:
            odd = bucket[place + _NAME] & 1
        else:
            rounds = bucket[_NAME::SLOT]
            odd = rounds[0] & 1
            place = rounds.find(odd ^ 1) * SLOT
            if place < 0:
                place, odd = 0, odd ^ 1
        try:
            written = os.pwrite(self._file, name + _ROUND[odd] + value, at + place)
        except OSError as error:
            raise self._broken(error) from None
        if written != SLOT:
            raise HostError(f"`{self.path}` took {written} of {SLOT} bytes: make room there")

    def _read(self, at: int) -> bytes:
        """The bucket that begins at byte *at*."""
        try:
            if self._file < 0:
                self._open()
            bucket = os.pread(self._file, BUCKET, at)
        except OSError as error:
            raise self._broken(error) from None
        if len(bucket) != BUCKET:
            self.close()
            raise HostError(f"`{self.path}` was cut: remove it")
        return bucket

    def _let_go_of_removed(self) -> None:
        """What has no name any more, nobody else reads."""
        if self._file >= 0 and not os.fstat(self._file).st_nlink:
            self.close()

    def _open(self) -> None:
        private_folder(self.folder)
        file = os.open(self.path, _FLAGS, 0o600)
        seen = os.fstat(file)
        if why := spool.shared(seen):
            os.close(file)
            raise HostError(f"`{self.path}` {why}: remove it")
        if seen.st_size != SIZE:
            os.ftruncate(file, SIZE)
        before, self._file = self._file, file
        if before >= 0:
            os.close(before)

    def _broken(self, error: OSError) -> HostError:
        self.close()
        return HostError(f"`{self.path}` cannot be used: {why_of(error)}: make room there, or remove it")


_tables: dict[str, Table] = {}


def _table() -> Table:
    """The table of this user, whose folder tests and owners may move."""
    where = spool.folder()
    table = _tables.get(where)
    if table is None:
        for other in _tables.values():
            other.close()
        _tables.clear()
        table = _tables[where] = Table(where)
    return table


def _bucket(name: bytes) -> int:
    """Where the bucket of *name* begins."""
    return (name[0] << 8 | name[1]) % _BUCKETS * BUCKET


def _place(bucket: bytes, name: bytes) -> int:
    """Where in *bucket* the slot of *name* begins; -1 if there is none."""
    place = bucket.find(name)
    while place > 0 and place % SLOT:  # by chance, or because somebody put it there
        place = bucket.find(name, place + 1)
    return place


_INNER = frozenset({dict, list, float})


def _without(tool_input: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in tool_input.items() if key not in keys}


def _resolved(path: Any, cwd: str) -> Any:
    """*path* as the client would have it; whatever is no path stays what it is."""
    return os.path.realpath(os.path.join(cwd, path)) if type(path) is str and "\0" not in path else path
