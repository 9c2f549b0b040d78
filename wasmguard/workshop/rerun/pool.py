"""Events that are decided again, by as many processes as their owner likes.

1. Questions go out in batches, and no process has more than `AHEAD` of them: one to decide, one that waits.
2. What policies remember from one event to the next lives in the processes, so events that share it go to the same one,
   in their order: by session, by project, or all to one, whatever the widest scope of any policy is. The pool keeps a
   copy, for a process that has to be started anew.
3. A process that dies, says nonsense or says nothing for too long has refused: it is ended, and another is started.
   What it had not decided is asked again, one by one; who ends a process that way has no decision but a DENY of our
   own, and the outcome says why.
4. After `DEATHS` of those without a decision in between nobody is asked any more: everything else has the same outcome.
5. What a process says is a claim (`forms`).
"""

from __future__ import annotations

import selectors
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, overload

from wasmguard import plan as plans
from wasmguard.decision import refused, settle
from wasmguard.errors import EventError, HostError
from wasmguard.guest.codec import packed
from wasmguard.limits import ROUNDS
from wasmguard.sandbox.isolation import wants_portable
from wasmguard.state.scope import key_of
from wasmguard.text import one_line
from wasmguard.workshop.rerun import forms, payload
from wasmguard.workshop.rerun.asked import Line, LineOutcome, Outcome
from wasmguard.workshop.rerun.memory import Memory
from wasmguard.workshop.rerun.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from wasmguard.plan import Plan
    from wasmguard.workshop.rerun.asked import Asked

    Question = Asked | Line
    Result = Outcome | LineOutcome

BATCH, BYTES = 64, 2**18  # questions in a batch, and bytes from which it takes no more
SOME = 16  # questions that are taken at once
AHEAD = 2  # batches
QUEUED = 4 * BATCH  # questions that wait for each process
READY = 30.0  # seconds until a process is ready: large components take one to load, a busy machine some more
PATIENCE = 10.0  # seconds for one event, on top of what the clocks of its policies allow
GRACE = 1.0  # seconds to say something after everything stood still, this process as well
DEATHS = 10

_SAME = settle(())
_WIDTH = ("agent", "session", "project", "owner")  # scopes, from the narrowest


class Pool:
    """Processes that decide again. Close it."""

    def __init__(self, plans_by_name: Mapping[str, Plan], jobs: int) -> None:
        """Up to *jobs* processes, each of which knows all these plans.

        Raises:
            CacheError: if the code of a policy cannot be had: see `again.usable`.
        """
        self._numbers = {name: number for number, name in enumerate(plans_by_name)}
        made = list(plans_by_name.values())
        self._written = [plans.written(plan) for plan in made]
        self._codes = _codes(made)
        self._memories = [Memory() for _ in made]
        self._shares = _shared(made)
        self._places = [len(plan.policies) for plan in made]
        clocks = sum(policy.limits["clock"] for plan in made for policy in plan.policies)  # all decide about a line
        self._patience = PATIENCE + ROUNDS * clocks / 1000
        self._deaths, self._how = 0, ""
        self._workers = [_Worker(number) for number in range(1 if self._shares == "owner" else max(1, jobs))]

    @overload
    def outcomes(self, asked: Iterable[Asked]) -> Iterator[Outcome]: ...

    @overload
    def outcomes(self, asked: Iterable[Question]) -> Iterator[Result]: ...

    def outcomes(self, asked: Iterable[Question]) -> Iterator[Result]:
        """What became of each of *asked*, in any order; events of one session are decided in the order in which they
        are asked. No more than a bounded number of them is taken ahead.

        Raises:
            HostError: if no process can be started.
        """
        coming = iter(asked)
        more = True
        while more or any(worker.busy for worker in self._workers):
            while more and self._has_room():
                taken = list(islice(coming, SOME))
                more = len(taken) == SOME
                for one in taken:
                    self._enqueue(one)
            for worker in self._workers:
                yield from self._sent(worker)
            yield from self._heard()

    def reports(self) -> list[dict[str, Any]]:
        """What the jails of the processes that are ready hold."""
        return [worker.process.report for worker in self._workers if worker.process and worker.process.report]

    def unloaded(self) -> dict[str, str]:
        """Why some policy cannot be asked, by the names of the plans; known as soon as there is an outcome."""
        names = list(self._numbers)
        reports = [report for report in self.reports() if report.get("unloaded")]
        return {names[number]: "; ".join(why) for report in reports for number, why in report["unloaded"]}

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_room(self) -> bool:
        """Whether another question may be taken: somebody has room for it, and nobody too much to do."""
        waiting = [len(worker.queue) for worker in self._workers]
        return min(waiting) < BATCH and sum(waiting) < QUEUED * len(waiting)

    def _enqueue(self, one: Question) -> None:
        if isinstance(one, Line):
            worker = min(self._workers, key=_waiting)
        elif one.states is None and self._shares:
            key = key_of(self._shares, one.event, {})
            worker = self._workers[hash((one.plan, key)) % len(self._workers)]
        else:
            worker = min(self._workers, key=_waiting)
        worker.queue.append(one)

    def _sent(self, worker: _Worker) -> Iterator[Result]:
        """Give *worker* its next batches; the outcomes of what cannot be asked."""
        if self._deaths >= DEATHS:
            while worker.queue:
                yield self._refused(worker.queue.popleft(), self._how)
            return
        while worker.queue and worker.has_room:
            if worker.process is None:
                worker.begin(self._load())
            try:
                worker.ask(self._numbers)
            except ValueError as error:
                yield self._refused(worker.queue.popleft(), f"it cannot be asked: {one_line(str(error), 200)}")

    def _heard(self) -> Iterator[Result]:
        """Wait until somebody says something, or is silent for too long; the outcomes of that."""
        asked = [worker for worker in self._workers if worker.process and worker.flying]
        if not asked:
            return
        with selectors.DefaultSelector() as waiting:
            for worker in asked:
                process = worker.process
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if process and process.unsent else 0)
                waiting.register(process, events, worker)  # type: ignore[arg-type]  # it has a descriptor
            ready = waiting.select(max(GRACE, min(map(self._left, asked))))
        heard = [key.data for key, _ in ready]  # who asks us may take its time for each outcome: look at the clock now
        late = [worker for worker in asked if worker not in heard and self._left(worker) <= 0]
        for key, events in ready:
            if events & selectors.EVENT_WRITE:
                key.data.process.flush()
            if events & selectors.EVENT_READ:
                yield from self._told(key.data)
        for worker in late:
            yield from self._buried(worker, "gave no answer")

    def _left(self, worker: _Worker) -> float:
        """Seconds until *worker* has been silent for too long."""
        if worker.process is None:
            return 0.0
        return (self._patience if worker.process.report else READY) - worker.process.silent

    def _told(self, worker: _Worker) -> Iterator[Result]:
        """What *worker* said."""
        process = worker.process
        if process is None:
            return
        try:
            for said in process.heard():
                if not process.report:
                    _ready(process, said)
                    continue
                yield from self._outcomes(worker, said)
        except EOFError:
            yield from self._buried(worker, "")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            yield from self._buried(worker, "broke the protocol")

    def _outcomes(self, worker: _Worker, said: Any) -> list[Result]:
        """The outcomes that *said* claims. Raises ValueError or its like if an honest process would not say that."""
        outcomes, changes = said
        rows = [(self._memories[plan], _row(row)) for plan, *row in changes]
        made = [self._outcome(one, *answer) for one, answer in worker.answered(outcomes)]
        for memory, row in rows:
            memory.learn([row])
        worker.forget(len(made))
        if made:
            self._deaths = 0
        return made

    def _outcome(self, one: Question, *said: Any) -> Result:
        """What a process claims about *one* question."""
        if len(said) == 1 and type(said[0]) is str:
            return self._refused(one, one_line(said[0], 500))
        if isinstance(one, Line):
            return self._of_line(one, *said)
        if not said and one.expected is not None:
            return Outcome(key=one.key, decision=_SAME, same=True)
        (verdicts,) = said
        return Outcome(key=one.key, decision=forms.decision(one.event, verdicts))

    def _of_line(self, one: Line, *said: Any) -> LineOutcome:
        if not said:
            return LineOutcome(one.key)
        counts, decisions = said
        if decisions is None:
            return LineOutcome(one.key, forms.quiet(counts, self._places))
        try:
            event = payload.event_of(one.line)
        except EventError as error:
            raise ValueError("it was decided, and is no event") from error
        made = [forms.decision(event, verdicts) for verdicts in decisions]
        if len(made) != len(self._places):
            raise ValueError("decisions by other plans")
        return LineOutcome(one.key, None, event, tuple(made))

    def _buried(self, worker: _Worker, why: str) -> list[Result]:
        """End the process of *worker*; whoever was its end has no decision."""
        ready = bool(worker.process and worker.process.report)
        how = worker.end()
        if not ready:
            raise HostError(f"a process to decide in {why or how} before it was ready: run `wasmguard doctor`")
        suspect = worker.suspect
        left = worker.taken_back()
        if suspect is None:
            worker.alone = left
            return []
        self._deaths += 1
        self._how = f"the process {why or how} at it" + (" and was killed" if why else "")
        if self._deaths >= DEATHS:
            self._how = f"no process lived on after {DEATHS} events in a row: this one was not asked"
        worker.queue.popleft()
        worker.alone = max(0, worker.alone - 1)
        return [self._refused(suspect, self._how)]

    def _refused(self, one: Question, why: str) -> Result:
        if isinstance(one, Line):
            return LineOutcome(one.key, fault=why)
        return Outcome(key=one.key, decision=refused(why), fault=why)

    def _load(self) -> bytes:
        remembered = [memory.rows() for memory in self._memories]
        written = [list(pair) for pair in zip(self._written, remembered, strict=True)]
        return forms.frame(packed({"plans": written, "codes": self._codes, "portable": wants_portable()}))


class _Worker:
    """A place in the pool: its process, what waits for it, and what it was asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: deque[Question] = deque()
        self.process: Process | None = None
        self.alone = 0
        """How many questions are to be asked one by one, because a process ended at one of them."""
        self._asked: deque[tuple[int, Question]] = deque()
        self._batches: deque[int] = deque()  # how many of each are without an answer
        self._count = 0

    @property
    def flying(self) -> int:
        """Questions without an answer."""
        return len(self._asked)

    @property
    def busy(self) -> bool:
        return bool(self.queue or self._asked)

    @property
    def has_room(self) -> bool:
        return len(self._batches) < (1 if self.alone else AHEAD)

    @property
    def suspect(self) -> Question | None:
        """The only question that was asked, if it was asked alone on purpose."""
        return self._asked[0][1] if self.alone and len(self._asked) == 1 else None

    def begin(self, load: bytes) -> None:
        """Start its process."""
        self.process = Process(load)

    def ask(self, plans_by_name: Mapping[str, int]) -> None:
        """Send the next batch.

        Raises:
            ValueError: if the first question of the queue cannot be said.
        """
        parts: list[bytes] = []
        size, most = 0, 1 if self.alone else BATCH
        while self.queue and len(parts) < most and size < BYTES:
            one = self.queue[0]
            try:
                if isinstance(one, Line):
                    part = forms.line(self._count, one)
                else:
                    part = forms.question(self._count, plans_by_name[one.plan], one)
            except ValueError:
                if parts:
                    break
                raise
            self.queue.popleft()
            self._asked.append((self._count, one))
            self._count += 1
            parts.append(part)
            size += len(part)
        self._batches.append(len(parts))
        process = self.process
        if process:
            if len(self._batches) == 1:
                process.wake()
            process.send(forms.frame(forms.batch(parts)))

    def answered(self, outcomes: Sequence[Sequence[Any]]) -> Iterator[tuple[Question, list[Any]]]:
        """The oldest questions, each with what *outcomes* say about it: they are answered in their order.

        Raises:
            ValueError: if there is an answer to no question.
        """
        if len(outcomes) > len(self._asked):
            raise ValueError("more answers than questions")
        for (number, one), (other, *answer) in zip(self._asked, outcomes, strict=False):
            if number != other:
                raise ValueError("an answer to another question")
            yield one, answer

    def forget(self, count: int) -> None:
        """So many of the oldest questions have their answers."""
        self.alone = max(0, self.alone - count)
        for _ in range(count):
            self._asked.popleft()
        while count:
            done = min(count, self._batches[0])
            self._batches[0] -= done
            count -= done
            if not self._batches[0]:
                self._batches.popleft()

    def taken_back(self) -> int:
        """Put what was asked and not answered at the head of the queue again; how many that are."""
        left = len(self._asked)
        self.queue.extendleft(one for _, one in reversed(self._asked))
        self._asked.clear()
        self._batches.clear()
        self._count = 0
        return left

    def end(self) -> str:
        """End its process, and say how it ended."""
        process, self.process = self.process, None
        return process.end() if process else ""


def _waiting(worker: _Worker) -> int:
    return len(worker.queue)


def _codes(made: Iterable[Plan]) -> dict[str, bytes]:
    cache = plans.vault()
    return {
        name: cache.read(name)
        for name in {name for plan in made for policy in plan.policies for name in (policy.code, *policy.inert)}
    }


def _shared(made: Iterable[Plan]) -> str:
    """The widest scope in which any policy remembers something; empty if none does."""
    scopes = {policy.grants["scope"] for plan in made for policy in plan.policies if policy.grants["state"]}
    widest = max(scopes, key=_WIDTH.index, default="")
    return "session" if widest == "agent" else widest


def _ready(process: Process, said: Any) -> None:
    if type(said) is not dict or not said:
        raise ValueError("no report")
    if "error" in said:
        raise HostError(f"nothing can be decided again: {one_line(str(said['error']), 300)}: run `wasmguard doctor`")
    process.report = said


def _row(said: list[Any]) -> tuple[str, str, str, bytes, int]:
    policy, scope, key, state, until = said
    if list(map(type, said)) != [str, str, str, bytes, int]:
        raise ValueError("no row of a memory")
    return policy, scope, key, state, until
