"""`wasmguard verify`: whether the records are what was written, and whether each decision in them comes out again.

1. The chain is checked whole, with all that is kept beside it (`wasmguard.records.chain`).
2. Each decision whose inputs are recorded as they were judged is made again, by the plan and the modules that made it
   (`wasmguard.kept`), from the states that the policies were given; in processes of their own, and compared byte by
   byte (`wasmguard.workshop.rerun`): there, where most come out the same, and again here if they do not.
3. What a decision came to is what its verdicts settle into.
4. What cannot be made again is counted, each with its reason. Nothing is passed over in silence.

Wrong is: a chain that is broken; a decision that comes out otherwise, by the same wasmguard; an effect that is not what
its verdicts settle into; a head that somebody kept and that the chain does not contain.
"""

from __future__ import annotations

import gc
from collections import Counter
from functools import lru_cache
from itertools import chain as chained
from time import monotonic
from typing import TYPE_CHECKING, Any

from wasmguard import kept
from wasmguard import plan as plans
from wasmguard.decision import OURSELVES
from wasmguard.errors import HostError, UsageError, WasmguardError
from wasmguard.event import Event
from wasmguard.records import chain, drain, query, said
from wasmguard.sandbox import bindings
from wasmguard.text import one_line
from wasmguard.value import Value, same
from wasmguard.version import __version__
from wasmguard.workshop.rerun.again import usable
from wasmguard.workshop.rerun.asked import Asked, Expected
from wasmguard.workshop.rerun.compared import ANOTHER, CLOCK, FILES, Difference, difference
from wasmguard.workshop.rerun.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wasmguard.plan import Plan
    from wasmguard.records.chain import Broken
    from wasmguard.records.query import Record
    from wasmguard.workshop.rerun.asked import Outcome

    Told = Callable[[str, int, int], None]
    """What is looked at, how far it is, and how far it goes: for a line that says that it goes on."""

TOGETHER = 8  # plans whose policies are loaded at the same time
MOST = 1_000  # mistakes that are kept; the others are counted
BLOBS = 64  # states that are kept at hand, at most 64 KiB each
GARBAGE = 50_000  # objects until somebody looks for cycles: there are none, and to look takes a tenth of the time
STEP = 500  # decisions after which somebody is told how far it is


class Wrong(Value):
    """A decision that is not what its record says."""

    seq: int
    id: str
    time: int
    """Unix milliseconds."""
    event: str
    tool: str
    what: str
    """One line: which policy, what of its verdict, what was recorded and what it is now. Untrusted text, cleaned."""


class Report(Value):
    """What was looked at, and what is wrong with it."""

    head: str
    """The end of the chain, `sequence number:hash`; empty if that cannot be read, because it is broken."""
    broken: tuple[Broken, ...] = ()
    """What is not as it was written."""
    expected: str = ""
    """Why a head that was kept elsewhere is not in the chain; empty if it is, or none was named."""
    chain_only: bool = False
    damaged: int = 0
    """Bytes that waited to be recorded and were no record: somebody changed them, or a full disk tore them."""
    lost: int = 0
    """How many decisions could not be recorded, as those say that came after them."""
    decisions: int = 0
    again: int = 0
    """How many came out again, to the byte."""
    own: int = 0
    """How many were the guard's own, without any policy: they look at the machine of that moment."""
    not_again: Mapping[str, int] = {}
    """How many could not be made again, by reason."""
    differing: Mapping[str, int] = {}
    """How many came out otherwise and are not wrong, by reason."""
    wrong: tuple[Wrong, ...] = ()
    """The first of those that are."""
    wrongs: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.broken or self.expected or self.damaged or self.wrongs)


def verified(
    *, since: int | None = None, jobs: int = 1, chain_only: bool = False, expect: str = "", told: Told | None = None
) -> Report:
    """Look at everything, or at decisions *since* (Unix milliseconds) and the whole chain; or at the chain alone.

    Raises:
        UsageError: if *expect* is no head.
        HostError: if records cannot be read, or no process can be started.
    """
    begun = monotonic()
    drain.drained()
    say = told or (lambda *_: None)
    wanted = _kept_head(expect)
    number, end = _end()
    broken = tuple(chain.checked(said=lambda seq: say("chain", seq, number)))
    if not (end or broken):
        end = head()  # raises what is wrong
    expected = _missing(*wanted) if wanted else ""
    gaps: dict[str, Any] = {} if broken else _gaps(since)
    report = Report(head=end, broken=broken, expected=expected, chain_only=chain_only, **gaps)
    if not chain_only:
        look = _Look(jobs, lambda done: say("decisions", done, number))
        before = gc.get_threshold()
        try:
            gc.set_threshold(GARBAGE)
            look.at(query.records(kind="decision", since=since))
        except HostError as error:
            if not broken:
                raise
            look.counted(f"records cannot be read: {error}")
        finally:
            gc.set_threshold(*before)
        report = report.replaced(**look.found())
    return report.replaced(seconds=monotonic() - begun)


def _gaps(since: int | None) -> dict[str, int]:
    """What was to be recorded and was not, by the names in the report."""
    return {
        "damaged": sum(_whole(record.body.get("bytes")) for record in query.records(kind="damaged", since=since)),
        "lost": sum(_whole(record.body.get("count")) for record in query.records(kind="lost", since=since)),
    }


def _whole(number: object) -> int:
    return number if type(number) is int and number > 0 else 1


def head() -> str:
    """The end of the chain, to keep elsewhere: `sequence number:hash`."""
    drain.drained()
    number, digest = chain.head()
    return f"{number}:{digest}"


def _end() -> tuple[int, str]:
    """The last sequence number, and the head; 0 and nothing if the end is broken: who checks the chain says how."""
    try:
        number, digest = chain.head()
    except HostError:
        return 0, ""
    return number, f"{number}:{digest}"


class _Look:
    """All decisions, one after the other."""

    def __init__(self, jobs: int, told: Callable[[int], None]) -> None:
        self._jobs, self._told = jobs, told
        self._engine = plans.made_with(bindings.find())["engine"]
        self._plans: dict[str, Plan | str] = {}  # or why it cannot be had
        self._together: list[str] = []
        self._asked: dict[int, Record] = {}
        self._next: Record | None = None
        self._decisions = self._again = self._own = self._wrongs = 0
        self._not_again: Counter[str] = Counter()
        self._differing: Counter[str] = Counter()
        self._wrong: list[Wrong] = []
        self._blob = lru_cache(BLOBS)(query.blob)

    def at(self, records: Iterator[Record]) -> None:
        """Look at *records*; every plan that comes newly is loaded beside those that came last."""
        self._next = next(records, None)
        while self._next is not None:
            made = {name: plan for name in self._together if isinstance(plan := self._plans[name], plans.Plan)}
            with Pool(made, self._jobs) as pool:
                for outcome in pool.outcomes(self._questions(records)):
                    self._compared(outcome, pool)

    def counted(self, why: str) -> None:
        """Something could not be made again."""
        self._not_again[why] += 1

    def found(self) -> dict[str, Any]:
        """What is told of it, as fields of `Report`."""
        return {
            "decisions": self._decisions,
            "again": self._again,
            "own": self._own,
            "not_again": dict(self._not_again),
            "differing": dict(self._differing),
            "wrong": tuple(self._wrong),
            "wrongs": self._wrongs,
        }

    def _questions(self, records: Iterator[Record]) -> Iterator[Asked]:
        """What is to be decided again, until a plan comes that is not loaded: that record is the next one."""
        first = [self._next] if self._next is not None else []
        self._next = None
        for record in chained(first, records):
            why = self._hindrance(record.body)
            if not why and record.body["plan"] not in self._together:
                self._together = [*self._together[1 - TOGETHER :], record.body["plan"]]
                self._next = record
                return
            self._decisions += 1
            if self._decisions % STEP == 0:
                self._told(record.seq)
            if why:
                self._counted(record, why)
                continue
            try:
                asked = self._question(record)
            except (KeyError, TypeError, ValueError, AttributeError, HostError) as error:
                self._mistaken(record, f"it cannot be understood: {one_line(str(error), 200)}")
                continue
            if asked is None:
                self._counted(record, "a state that a policy was given is not kept any more")
                continue
            self._asked[record.seq] = record
            yield asked

    def _hindrance(self, body: dict[str, Any]) -> str:
        """Why the decision in *body* cannot be made again; empty if it can, `OURSELVES` if no policy made it."""
        if body.get("inputs") != "full":
            return f"inputs were recorded as `{one_line(str(body.get('inputs')), 20)}`"
        verdicts = body.get("verdicts") or ()
        if verdicts and all(verdict.get("policy") == OURSELVES for verdict in verdicts):
            return OURSELVES
        name = str(body.get("plan", ""))
        if name not in self._plans:
            self._plans[name] = _loadable(name)
        found = self._plans[name]
        return found if isinstance(found, str) else ""

    def _counted(self, record: Record, why: str) -> None:
        if why == OURSELVES:
            self._own += 1
        else:
            self.counted(why)
        self._settled(record)

    def _question(self, record: Record) -> Asked | None:
        """The question; None if a state is gone."""
        body = record.body
        verdicts, plan = body.get("verdicts") or (), self._plans[body["plan"]]
        states = {said["policy"]: self._blob(said["given"]) for said in verdicts if said.get("given") is not None}
        if states and None in states.values():
            return None
        if type(body["fields"]) is not dict:
            raise TypeError("fields are no map")
        aside: frozenset[str] = frozenset()
        if "exception" in body and not isinstance(plan, str):
            shadows = {policy.name for policy in plan.policies if policy.shadow}
            aside = frozenset(said["policy"] for said in verdicts if said.get("shadow")) - shadows
        event = Event(name=body["event"], agent=body["agent"], fields=body["fields"], time=body["time"], checked=True)
        fuel, effect = body.get("engine") == self._engine, str(body.get("effect"))
        expected = Expected(verdicts=verdicts, effect=effect, rewrite=body.get("rewrite"), fuel=fuel)
        name = body["plan"]
        return Asked(key=record.seq, plan=name, event=event, states=states, aside=aside, expected=expected)

    def _compared(self, outcome: Outcome, pool: Pool) -> None:
        record = self._asked.pop(outcome.key)
        if outcome.same:
            self._again += 1
            return
        body = record.body
        plan = self._plans[body["plan"]]
        if isinstance(plan, str):
            return
        if outcome.fault:
            self._mistaken(record, f"it cannot be decided again: {outcome.fault}")
            return
        verdicts = body.get("verdicts") or ()
        try:
            found = difference(verdicts, outcome.decision, plan, fuel=body.get("engine") == self._engine)
        except (KeyError, TypeError, AttributeError) as error:
            self._mistaken(record, f"it cannot be understood: {type(error).__name__}: {one_line(str(error), 100)}")
            return
        if found is None:
            self._again += 1
            if _came_to(body, outcome):
                return
        else:
            self._otherwise(record, found, pool)
        self._settled(record)

    def _otherwise(self, record: Record, found: Difference, pool: Pool) -> None:
        if found.kind == CLOCK and (why := pool.unloaded().get(record.body["plan"])):
            self.counted(f"a policy cannot be loaded here: {why}")
        elif found.kind == CLOCK:
            self._differing["a limit of time, or the machine, ended a policy"] += 1
        elif found.kind == FILES:
            self._differing["a path was granted then and is not now, or the other way round: links changed"] += 1
        elif found.kind == ANOTHER and (other := record.body.get("version")) != __version__:
            self._differing[f"wasmguard {one_line(str(other), 40)} decided it, this is {__version__}"] += 1
        else:
            self._mistaken(record, _sentence(found))

    def _settled(self, record: Record) -> None:
        """Look whether the recorded effect is the one that the recorded verdicts settle into."""
        try:
            decision = said.decision(record.body)
        except HostError as error:
            self._mistaken(record, one_line(str(error), 300))
            return
        effect, recorded = decision.effect.name.lower(), record.body.get("effect")
        if effect != recorded:
            self._mistaken(record, f"its verdicts settle into `{effect}`, recorded is `{one_line(str(recorded), 20)}`")
        elif record.body.get("inputs") == "full" and not same(decision.rewrite, record.body.get("rewrite")):
            self._mistaken(record, "its verdicts settle into another rewrite than the recorded one")

    def _mistaken(self, record: Record, what: str) -> None:
        self._wrongs += 1
        if len(self._wrong) < MOST:
            body = record.body
            event, tool = (one_line(str(body.get(name) or ""), 60) for name in ("event", "tool"))
            time = body.get("time")
            self._wrong.append(
                Wrong(
                    seq=record.seq,
                    id=one_line(str(body.get("id", "")), 40),
                    time=time if isinstance(time, int) else 0,
                    event=event,
                    tool=tool,
                    what=what,
                )
            )


def _came_to(body: dict[str, Any], outcome: Outcome) -> bool:
    """Whether the decision that was made again is the recorded one; the guard itself may have said more."""
    decision = outcome.decision
    return decision.effect.name.lower() == body.get("effect") and same(decision.rewrite, body.get("rewrite"))


def _loadable(identity: str) -> Plan | str:
    """The plan that records call *identity*, or why there is none."""
    if " " in identity:
        return "several configurations decided it together"
    found = kept.plan_of(identity)
    if found is None:
        return f"its plan `{one_line(identity, 12)}` is not kept any more"
    try:
        return usable(found)
    except WasmguardError as error:
        return one_line(str(error), 200)


def _sentence(found: Difference) -> str:
    recorded, now = (one_line(repr(value), 160) for value in (found.recorded, found.now))
    return f"policy `{found.policy}`: `{found.what}`: recorded {recorded}, now {now}"


def _kept_head(expect: str) -> tuple[int, str] | None:
    """The number and the hash in *expect*; None if it is empty."""
    if not expect:
        return None
    number, _, digest = expect.strip().partition(":")
    if not (number.isdecimal() and len(number) < 19 and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
        raise UsageError(f"`--expect {one_line(expect, 80)}` is no head: write SEQ:HASH as `--head` prints it")
    return int(number), digest


def _missing(number: int, digest: str) -> str:
    """Why the chain does not contain that head; empty if it does."""
    if number == 0:
        return ""
    found = next(query.records(after=number - 1), None)
    if found is not None and found.seq == number:
        return "" if found.hash == digest else f"record {number} has another hash: what led there was changed"
    for retired in query.records(kind="retired"):
        if retired.body.get("last") == number and retired.body.get("hash") == digest:
            return ""
    first = next(query.records(), None)
    if first is not None and first.seq > number:
        return f"record {number} was given up: the records begin with {first.seq}"
    return f"record {number} is not there: the chain was cut, or is another one"
