"""A tool's output that nobody could judge, and what the model gets to see of it. The one place that says so.

The tool has run, and without an answer its output is shown. So an event that is unreadable, too large, or met by a
guard that is broken must not be answered with silence where a policy takes secrets out of outputs: else a secret would
only have to come in an output that is strange enough, or with a signal to the hook.

1. Where no policy might have rewritten that output it stays what it is without us: `{}`.
2. Else it is withheld (`guest.outputs`). The event is read as the client reads it (`claude.unread`): what we refuse is
   still an output to the client. An event without a tool's name counts as one of every tool.
3. What cannot be read even so, or not be said again, ends the run before the model reads anything (`claude.ended`).
4. Which policies there are the guard knows. If there is none, the plan that was written last says it (`planned`),
   whether it counts or not: an owner without such policies loses no output to a broken configuration.
5. If there is no such plan either (never locked, tampered with, of another version), nobody knows: the output is
   withheld. The same goes for a broken installation (`serve.hook`), which denies every other call of a tool anyway.
"""

from __future__ import annotations

from wasmguard import plan
from wasmguard.agents import claude
from wasmguard.decision import refused
from wasmguard.errors import WasmguardError
from wasmguard.event import Event
from wasmguard.guest.outputs import withheld

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wasmguard.plan import PlannedPolicy

    Rewrites = Callable[[Event], bool]


def answer(name: str, payload: bytes | Mapping[str, Any], why: str, rewrites: Rewrites) -> dict[str, Any]:
    """The answer to the event *name* in *payload*, which could not be judged because of *why*. *rewrites* says whether
    some policy might have rewritten the output of an event. Never raises."""
    try:
        if not rewrites(Event(name=name, agent=claude.name, fields={})):  # of no tool; it need not be read then
            return claude.refusal(name, why)
        event = claude.unread(payload, name)
        if not rewrites(event):
            return claude.refusal(name, why)
        said = claude.render(event, refused(why).replaced(output=withheld(event.output, event.tool)))
        claude.encode(said)
    except Exception:  # noqa: BLE001  # depth, memory, time, a mapping of anybody's own kind: it must not be shown
        return claude.ended(why)
    return said


def nobody_knows(_: Event) -> bool:
    """Whether a policy might rewrite the output of an event, if nobody knows the policies (rule 5)."""
    return True


def planned(config: str | None) -> Rewrites:
    """The same by the plan of the configuration file *config* that was written last (rule 4)."""
    try:
        last = None if config is None else plan.last(config)
    except (WasmguardError, OSError, ValueError, KeyError, TypeError):  # not all: a signal may come, and must be heard
        last = None
    if last is None:
        return nobody_knows
    policies = last.policies
    return lambda event: any(_rewrites(policy, event) for policy in policies)


def _rewrites(policy: PlannedPolicy, event: Event) -> bool:
    from wasmguard.guest.grants import Grants

    if policy.shadow or event.name not in policy.events:
        return False
    grants = Grants.from_data(policy.grants)
    return grants.most_output(event.tool) is not None if event.tool else bool(grants.rewrite_output)
