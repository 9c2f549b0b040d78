"""Records of decisions: what is kept of an event and what was said about it, before the answer is out.

1. A record is in the spool (`wasmguard.spool`) before the answer goes out.
2. What is recorded of an event is what the owner's `[record]` says: all of it, with the secrets replaced, or a digest.
   It is done here, before anything is written: no file of ours holds what the owner does not want kept.
3. What cannot be recorded is an error. Whether that stops anything is for the caller to say; where it does not, the
   owner is told once, and the next record that can be written says how many are missing.
4. What is in a record is data: it was cleaned where it came in, or is shown by those who clean it.
"""

from __future__ import annotations

from wasmguard import plan as plans
from wasmguard import redact, spool, wire
from wasmguard.audit import VERSION, fresh_id
from wasmguard.errors import HostError, WasmguardError
from wasmguard.event import AFTER
from wasmguard.guest.codec import packed, unpacked
from wasmguard.version import __version__

try:  # as in `wasmguard.sandbox.cache`
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event
    from wasmguard.plan import Plan


FULL, REDACTED, DIGEST, CUT = "full", "redacted", "digest", "cut"
SHOWN = 256  # characters that are left of a text that is cut
LONGEST_SECRET = 768  # characters in which each of `redact_patterns` is known by how it begins
EFFECTS = ("pass", "allow", "ask", "deny")
LIBRARY, HOOK, DAEMON = "library", "hook", "daemon"


def input_digest(event: Event) -> bytes:
    """What a record calls the input of *event*: a digest of its tool input, or of all its fields if it has none, as
    the agent sent them.

    Raises:
        ValueError: if it holds what nobody can write down.
    """
    given = event.fields.get("tool_input")
    return digest(packed(given if isinstance(given, dict) else _plain(event.fields)))


def digest(data: bytes) -> bytes:
    """BLAKE2b-128, what records name inputs by."""
    return blake2b(data, digest_size=16).digest()


class Recorder:
    """Keeps a record of each decision of one plan."""

    def __init__(self, made: Plan, others: tuple[Plan, ...] = ()) -> None:
        """With *others*, whose policies decide together with those of the plan *made*."""
        given = made.record
        self.required: bool = given["required"]
        """Whether what cannot be recorded must not happen."""
        self.config: str = made.config
        self._inputs, self._largest, self._own = given["inputs"], given["largest"], tuple(given["redact"])
        identities = " ".join(plans.identity(each) for each in (made, *others))
        self._constant = [identities, made.config, made.made["engine"], __version__]
        self._spool = spool.Spool(most=max(given["size"], 2 * spool.LARGEST))
        self.way = LIBRARY
        """How events come to whoever decides them."""
        self._lost, self._why = 0, ""
        self._clean: list[Any] | None = None
        """What was looked through for secrets last, and held none."""

    def keep(self, event: Event, decision: Decision, microseconds: float, more: Mapping[str, Any] | None = None) -> int:
        """Record that *event* came to *decision* after so many *microseconds*; *more* goes into the record. Returns how
        many bytes of records wait.

        Raises:
            HostError: if it cannot be written whole.
        """
        try:
            if self._lost:
                lost = {"v": VERSION, "id": fresh_id(), "time": event.time, "version": __version__, "kind": "lost"}
                self._spool.append(packed({**lost, "count": self._lost, "why": self._why}))
                self._lost = 0
            return self._spool.append(self._body(event, decision, microseconds, more))
        except Exception as error:  # noqa: BLE001  # whatever it was, the record is not there
            why = str(error) if isinstance(error, WasmguardError) else f"internal error: {type(error).__name__}"
            self._lost, self._why = self._lost + 1, why[:SHOWN]
            raise HostError(f"the decision cannot be recorded: {why}") from None

    @property
    def told(self) -> bool:
        """Whether more than one record is missing: then the owner knows already."""
        return self._lost > 1

    def close(self) -> None:
        """Let go of the spool."""
        self._spool.close()

    def _body(self, event: Event, decision: Decision, microseconds: float, more: Mapping[str, Any] | None) -> bytes:
        """What goes to the spool: as a rule the parts as they are, whose meaning `opened` knows."""
        first, second, known = self._parts(event, decision, microseconds)
        body = b"".join((PARTS, first, second, packed(more) if more else NOTHING))
        if self._inputs == DIGEST:
            return packed(self._cleaned(_without_inputs(opened(body))))
        if len(body) > self._largest:
            said = opened(body)
            if len(packed(said["fields"])) > self._largest:
                body = second = packed(self._short(said))
        return body if self._inputs == FULL else self._redacted(body, second, known)

    def _parts(self, event: Event, decision: Decision, microseconds: float) -> tuple[bytes, bytes, list[Any]]:
        """The first part, the second, and the values of `KNOWN` in the first.

        What is in the first one is the same for a whole session, or a number: it is looked through for secrets once.
        """
        fields, others = event.fields, {}
        known: list[Any] = []  # values
        places: list[tuple[int, str]] = []  # in the order of the fields, which is what a policy gets to read
        for place, (name, value) in enumerate(fields.items()):
            if name in KNOWN:
                known.append(value)
                places.append((place, name))
            else:
                others[name] = value
        given = fields.get("tool_input")
        verdicts = [_lean(verdict, given) for verdict in decision.verdicts]
        rewrite: Any = decision.rewrite
        if rewrite is not None and any(verdict.rewrite is rewrite for verdict in decision.verdicts):
            rewrite = True  # the last one
        about = VERSION, fresh_id(), event.time, self.way, event.agent, event.name, decision.effect, microseconds
        try:
            first = packed([*about, known, places, self._constant])
            second = packed([others, rewrite, decision.output is not None, verdicts])
        except ValueError:  # an integer that msgpack cannot say, or a mapping of somebody's own kind
            first = packed([*about, [], None, self._constant])
            second = packed(_plain([dict(fields), decision.rewrite, decision.output is not None, verdicts]))
        return first, second, known

    def _redacted(self, body: bytes, second: bytes, known: list[Any]) -> bytes:
        """*body* without secrets; *second* is what has not been looked through but for what is *known*."""
        if known != self._clean:
            self._clean = None if redact.needs(packed(known)) else known
        if not (self._own or self._clean is None or redact.needs(second)):
            return body
        clean, changed = redact.redacted(opened(body), self._own)
        if not changed:
            return body
        return packed({**clean, "inputs": CUT if clean["inputs"] == CUT else REDACTED})

    def clean(self, text: str) -> str:
        """*text*, which may quote an event, as it may be recorded."""
        return text if self._inputs == FULL else str(self._cleaned(text))

    def _cleaned(self, value: Any) -> Any:
        return redact.redacted(value, self._own)[0]

    def _short(self, said: dict[str, Any]) -> dict[str, Any]:
        """*said* with the long texts in it cut. Secrets are replaced before that: nobody knows half of one again."""
        long = _shortened(said, self._largest, SHOWN + LONGEST_SECRET)
        return _shortened(long if self._inputs == FULL else self._cleaned(long), self._largest, SHOWN)


def opened(body: bytes) -> dict[str, Any]:
    """The record in *body*, as it came from the spool.

    Raises:
        ValueError: if there is none.
    """
    if body[:1] == b"{":  # an act
        act: dict[str, Any] = wire.read(body.decode())
        return {**act, "id": bytes.fromhex(act["id"])}
    said = unpacked(body)
    if isinstance(said, dict):
        return said
    try:
        first, second, more = said
        if first[0] != VERSION:
            raise ValueError("no record of this version")
        return _opened(first, second, more)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no record: {type(error).__name__}") from None


KNOWN = frozenset({"session_id", "transcript_path", "cwd", "permission_mode", "hook_event_name"})
"""Fields of an event that say where it came from, and hardly ever change."""
CHANGED = "changed"  # in a verdict's place for `rewrite`
PARTS, NOTHING = b"\x93", b"\xc0"  # an array of three, and nil, in msgpack


def _opened(first: list[Any], second: list[Any], more: dict[str, Any] | None) -> dict[str, Any]:
    """The record of a decision, made of the parts that `Recorder._body` wrote."""
    _, made, time, came, agent, name, effect, microseconds, known, places, constant = first
    others, rewrite, output, verdicts = second
    identities, config, engine, version = constant
    fields = _together(known, places, others) if places else others
    given = fields.get("tool_input")
    verdicts = [_whole(held, given) for held in verdicts]
    if rewrite is True:
        rewrite = [v["rewrite"] for v in verdicts if v.get("rewrite") is not None and not v.get("shadow")][-1]
    said = {
        "v": VERSION,
        "id": made,
        "time": time,
        "kind": "decision",
        "way": came,
        "agent": agent,
        "event": name,
        "fields": fields,
        "inputs": FULL,
        "effect": EFFECTS[effect],
        "us": microseconds,
        "verdicts": [_verdict(verdict) for verdict in verdicts],
        "digest": digest(packed(given if isinstance(given, dict) else fields)),
        "plan": identities,
        "config": config,
        "engine": engine,
        "version": version,
    }
    if places is None:
        said["inputs"] = CUT
    for key, field in (("session", "session_id"), ("call", "tool_use_id"), ("tool", "tool_name"), ("cwd", "cwd")):
        if type(value := fields.get(field)) is str:
            said[key] = value
    if rewrite is not None:
        said.update(rewrote=True, rewrite=rewrite, granted=digest(packed(rewrite)))
    if output:
        said["output"] = True
    if name in AFTER:
        said["error"] = name == "PostToolUseFailure" or _is_error(fields.get("tool_response"))
        if type(took := fields.get("duration_ms")) in (int, float):
            said["duration"] = took
    if more:
        said.update(more)
    return said


def _lean(verdict: Verdict, given: Any) -> dict[str, Any]:
    """What *verdict* holds; of a rewrite only what it changes of the input that was *given*, which may be large."""
    held: dict[str, Any] = verdict.__dict__
    rewrite = verdict.rewrite
    if rewrite is None or type(given) is not dict or rewrite.keys() != given.keys():
        return held
    held = {name: value for name, value in held.items() if name != "rewrite"}
    held[CHANGED] = {name: value for name, value in rewrite.items() if given[name] is not value}
    return held


def _whole(held: dict[str, Any], given: Any) -> dict[str, Any]:
    """What `_lean` was made of."""
    if CHANGED in held:
        held["rewrite"] = {**given, **held.pop(CHANGED)}
    return held


def _together(known: list[Any], places: list[list[Any]], others: dict[str, Any]) -> dict[str, Any]:
    """The fields as they came, in their order."""
    items = list(others.items())
    for (place, name), value in zip(places, known, strict=True):
        items.insert(place, (name, value))
    return dict(items)


def _verdict(held: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from a verdict that says nothing."""
    said = {name: value for name, value in held.items() if value or (name in _UNLESS_NONE and value is not None)}
    said["effect"], said["us"] = EFFECTS[held.get("effect", 0)], said.pop("microseconds", 0.0)
    return said


_UNLESS_NONE = ("rewrite", "output", "fuel", "given", "state")


def _without_inputs(said: dict[str, Any]) -> dict[str, Any]:
    """*said* without the inputs, and what policies copy of them; reasons, which say why, stay."""
    verdicts = [{key: value for key, value in verdict.items() if key not in _OF_INPUTS} for verdict in said["verdicts"]]
    kept = {key: value for key, value in said.items() if key not in ("fields", "rewrite")}
    return {**kept, "verdicts": verdicts, "inputs": DIGEST}


_OF_INPUTS = frozenset({"rewrite", "output", "given", "state", "permissions", "context", "notes"})


def _shortened(said: dict[str, Any], most: int, shown: int) -> dict[str, Any]:
    """*said* with the texts in it cut that are longer than *shown*."""
    long: dict[str, Any] = {
        name: _cut(said[name], most, shown) for name in ("fields", "rewrite", "verdicts") if name in said
    }
    return {**said, **long, "inputs": CUT}


def _is_error(output: Any) -> bool:
    """Whether a tool's output says that it failed; most that fail come as an event of their own."""
    return isinstance(output, dict) and any(output.get(key) is True for key in ("is_error", "isError"))


def _cut(value: Any, most: int, shown: int) -> Any:
    """*value* with its long texts cut, so that few things are left that could be larger than *most* bytes."""
    if isinstance(value, str):
        if len(value) <= shown:
            return value
        length = f"{len(value):_} characters)"
        if shown == SHOWN and len(value) > SHOWN + LONGEST_SECRET:  # it was cut before, and says how long it was
            value, _, length = value.rpartition(_CUT)
        return f"{value[:shown]}{_CUT}{length}"
    if isinstance(value, dict):
        return {key: _cut(below, most, shown) for key, below in _some(value.items(), most)}
    if isinstance(value, list):
        return [_cut(below, most, shown) for below in _some(value, most)]
    return value


_CUT = "… ("


def _some(values: Any, most: int) -> Iterator[Any]:
    """The first of *values*: a thousand of them say what there is."""
    for place, value in enumerate(values):
        if place >= max(16, most // (4 * SHOWN)):
            return
        yield value


def _plain(value: Any) -> Any:
    """*value* with what msgpack cannot say as text."""
    if isinstance(value, (str, bytes, bool, float, type(None))):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(below) for below in value]
    return type(value).__name__
