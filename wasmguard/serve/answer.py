"""What a hook process decides, behind the wall of `serve.hook`.

Each function returns an exit code, the answer for standard output and a complaint for standard error. The exit code is
0 where the answer says everything, and 2 where the event's name is not known: then only 2 is sure to block.
"""

from __future__ import annotations

from time import time_ns

from wasmguard import audit, plan, switch
from wasmguard.errors import EventError, PlanStale, WasmguardError
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.serve.options import parsed, settled
from wasmguard.text import lines, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.event import Event
    from wasmguard.guard import Decides, Guard
    from wasmguard.plan import Plan, PlannedPolicy
    from wasmguard.sandbox.isolation import Cells
    from wasmguard.serve.hidden import Rewrites

    Reply = tuple[int, bytes, bytes]

ANSWERED, BLOCKED = 0, 2  # as in `serve.hook`, which imports nothing of ours and is imported by nobody here
WITHOUT = "; to work without the guard, run `wasmguard uninstall claude-code` in a terminal"
"""Behind what denies every call until somebody does something."""
PASSED = b"{}\n"  # no opinion, in every event: what the agent gets while its owner has turned the guard off
_guards: list[Guard] = []  # those that have decided
SLOTS = 1  # one guest at a time: no pool, whose making costs more than its one instance saves


def decided(arguments: Sequence[str], raw: bytes) -> Reply:
    """The answer to the event *raw* under the configuration that *arguments* name.

    What takes long is imported after the cell has begun to load its guests.
    """
    guard = config = None
    try:
        config = settled(parsed(arguments))
        if switch.off_until() is not None:
            return ANSWERED, PASSED, b""
        guard = _guard(config, raw)
        _guards.append(guard)
        from wasmguard.agents import claude

        event = parsed_event(raw, guard.plan.event)
        return ANSWERED, claude.encode(claude.render(event, guard.decide(event))), b""
    except EventError as error:
        why = str(error)
    except WasmguardError as error:
        why = f"{error}{WITHOUT}"
    except ImportError as error:
        why = f"its installation is broken: cannot import `{error.name}`: reinstall it{WITHOUT}"
    except Exception as error:  # noqa: BLE001  # a bug of ours, or no memory left, is no reason to be silent
        bug = f"{type(error).__name__}: {one_line(str(error), 200)}"
        why = f"internal error: {bug}: please report it{WITHOUT}"
    return _refused(config, raw, why) if guard is None else unjudged(guard, raw, why)


def unjudged(guard: Decides, raw: bytes, why: str) -> Reply:
    """The answer to an event that *guard* cannot be asked about, such as one that is too large."""
    return refusal(raw, why, guard.may_rewrite_output)


def refused(arguments: Sequence[str], raw: bytes, why: str) -> Reply:
    """The answer to the event *raw* if who was to decide is gone, because of *why*."""
    try:
        config = settled(parsed(arguments))
    except (WasmguardError, OSError, ValueError):  # not all: a signal may come meanwhile, and is heard
        config = None
    return _refused(config, raw, why)


def leave() -> None:
    """End what decided. That takes as long as ten decisions, so it is done when the answer is on its way."""
    while _guards:
        _guards.pop().close()


def refusal(raw: bytes, why: str, rewrites: Rewrites) -> Reply:
    """The answer to an event that cannot be decided: deny in the event's own form if it can stop anything, and the
    output in it is withheld if a policy might have rewritten it, by what *rewrites* says."""
    from wasmguard.agents import claude
    from wasmguard.event import GATING, OUTPUTS, STOPPING
    from wasmguard.serve import hidden

    name, why = claude.name_of(raw), lines(f"wasmguard: {why}", 4_000)
    audit.quietly("refused", event=name, why=_without_secrets(why), bytes=len(raw))
    if name in OUTPUTS:
        return ANSWERED, claude.encode(hidden.answer(name, raw, why, rewrites)), b""
    answer = claude.encode(claude.refusal(name, why))
    if name is None:
        return BLOCKED, answer, f"{why}\n".encode("utf-8", "replace")
    heard = name in GATING and name not in STOPPING
    return ANSWERED, answer, f"{why}\n".encode("utf-8", "replace") if heard else b""


def _without_secrets(why: str) -> str:
    """*why*, which may quote a few words of the event."""
    from wasmguard import redact

    if not redact.needs(why.encode("utf-8", "surrogatepass")):
        return why
    return str(redact.redacted(why)[0])


def _refused(config: str | None, raw: bytes, why: str) -> Reply:
    from wasmguard.serve import hidden

    return refusal(raw, why, hidden.planned(config))


def _guard(config: str, raw: bytes) -> Guard:
    """The guard, its policies on their way into a cell."""
    begun = _begun(config, raw)
    from wasmguard.guard import Guard
    from wasmguard.recorder import HOOK

    guard = Guard(*begun, eager=False) if begun else Guard.load(config, slots=SLOTS)
    guard.asked_by(HOOK)
    return guard


def _begun(config: str, raw: bytes) -> tuple[Plan, Cells] | None:
    """The plan, and a cell that loads the policies which are likely to be asked; None without a plan in force."""
    try:
        locked = plan.read(config)
    except PlanStale:
        return None
    cells = plan.cells(locked, slots=SLOTS)
    for policy in locked.policies if cells.isolation == PROCESS else ():
        if _may_concern(policy, raw):
            plan.guest(policy, cells)
    cells.begin()
    return locked, cells


def _may_concern(policy: PlannedPolicy, raw: bytes) -> bool:
    """Whether *policy* is likely to be asked about the event in *raw*, which nobody has parsed yet.

    A wrong guess costs time: a guest that was not loaded is loaded by a second cell.
    """
    from wasmguard.event import OTHER_NAMES

    tools = policy.tools if policy.tools is not None else ("*",)  # with a matcher there are none: any tool may be meant
    others = (name for name, known in OTHER_NAMES.items() for tool in tools if _among(tool, known))
    return any(name.encode() in raw for name in policy.events) and any(
        tool.removesuffix("*").encode("utf-8", "surrogatepass") in raw for tool in (*tools, *others)
    )


def _among(pattern: str, names: Sequence[str]) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for name in names)


def parsed_event(raw: bytes, most: int) -> Event:
    """The event in *raw*, which has at most *most* bytes.

    Raises:
        EventError: if it is none.
    """
    from wasmguard.agents import claude

    if not raw or raw.isspace():
        raise EventError("there is no event on standard input: send one JSON object, as an agent does")
    if len(raw) > most:
        raise EventError(f"the event has {len(raw):_} bytes, more than the limit of {most:_}: raise `limits.event`")
    return claude.parse(raw, time=time_ns() // 1_000_000)
