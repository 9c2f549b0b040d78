"""What an owner should know about a policy that was locked: grants that are strong, missing or useless.

None of it is an error: the policy does what its owner wrote. Each notice says what will come of that.
"""

from __future__ import annotations

from wasmguard.config_tables import known_event
from wasmguard.event import GATING
from wasmguard.guest.grants import Max, OneOf
from wasmguard.limits import ROOMY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.config_tables import PolicyConfig
    from wasmguard.guest.grants import Constraint, Grants
    from wasmguard.guest.manifest import Asks, Manifest
    from wasmguard.limits import Limits

SHELLS = frozenset({"Bash.command", "Monitor.command", "PowerShell.command"})
STRONG = SHELLS | {"Write.content", "WebFetch.url", "Agent.prompt", "Workflow.script", "CronCreate.prompt"}


def notices_of(policy: PolicyConfig, manifest: Manifest | None, grants: Grants, limits: Limits) -> list[str]:
    """What the owner should know about *policy* with what it was given, one sentence each."""
    notices = [_strength(key, constraint) for key, constraint in grants.rewrite.items()]
    if manifest and manifest.limits == "roomy" and (limits.fuel < ROOMY.fuel or limits.instances < ROOMY.instances):
        notices.append('it asks for more than the default limits: `limits.profile = "roomy"` gives them')
    notices += _missing(manifest.asks, grants) if manifest else ()
    notices += [flaw for event in manifest.events if (flaw := _slip(event))] if manifest else ()
    for event in policy.events or policy.matchers or ():
        if manifest and event not in manifest.events:
            notices.append(f"it does not say that it can judge `{event}`")
        if event not in GATING:
            notices.append(f"`{event}` is only observed: nothing it says there stops anything")
    return [notice for notice in notices if notice]


def _slip(event: str) -> str:
    """What is wrong with an event that a manifest names, if that looks like a slip: it is never sent."""
    try:
        known_event(event)
    except ValueError as error:
        return f"it says that it judges an {error}"
    return ""


def _strength(key: str, constraint: Constraint) -> str:
    """What a grant to rewrite amounts to, if it is a strong one."""
    if key in SHELLS and constraint.silent:
        return f"it may rewrite `{key}` without anybody seeing it"
    return f"it may rewrite `{key}`: a strong grant" if key in STRONG or isinstance(constraint, Max | OneOf) else ""


def _missing(asks: Asks, grants: Grants) -> Iterator[str]:
    """What a policy asks for and was not granted."""
    for key in asks.rewrite:
        if key not in grants.rewrite:
            yield f'it asks for `grants.rewrite."{key}"`: without it such a rewrite is a fault, which denies'
    for tool in asks.rewrite_output:
        if grants.most_output(tool) is None:
            yield f'it asks for `grants.rewrite_output."{tool}"`: without it such a rewrite is a fault'
    for destination in asks.permissions:
        if destination not in grants.permissions:
            yield f'it asks for `grants.permissions = ["{destination}"]`: without it such an update is a fault'
    if asks.state and grants.state < asks.state.max:
        yield f"it asks for `grants.state = {asks.state.max}`: with less, to remember is a fault"
