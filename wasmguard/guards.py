"""Several guards that decide as one, such as a team's and one's own.

1. Their policies are one chain, one guard's after the other's, so that none of them misses what another one rewrote.
2. What any of them denies in its own name is denied.
3. A decision is recorded once, by the first guard whose owner records, under the plans of all who do.
"""

from __future__ import annotations

from wasmguard.enforcement import Enforcement
from wasmguard.errors import ConfigError
from wasmguard.guard import Decides
from wasmguard.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.event import Event
    from wasmguard.guard import Guard
    from wasmguard.policy import Policy


class Guards(Decides):
    """Several guards that decide as one. Whoever closes them closes all."""

    def __init__(self, *guards: Guard) -> None:
        """Raises:
        ConfigError: if two of their policies have the same name.
        """
        self._guards = guards
        self.policies = tuple(policy for guard in guards for policy in guard.policies)
        names = [policy.name for policy in self.policies]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"two guards have a policy `{min(twice)}`: rename one of them")
        recorded = [guard.plan for guard in guards if guard.plan.record["on"]]
        self._recorder = Recorder(recorded[0], tuple(recorded[1:])) if recorded else None
        self._enforcement = Enforcement(" ".join(guard.plan.config for guard in guards))

    def close(self) -> None:
        super().close()
        for guard in self._guards:
            guard.close()
        self._stop_recording()

    def _concerned(self, event: Event) -> tuple[Policy, ...]:
        if self.closed or not self._guards:
            return super()._concerned(event)
        return tuple(policy for guard in self._guards for policy in guard._concerned(event))

    def _refusal(self, event: Event, environ: Mapping[str, str] | None, until: int) -> str:
        return next((why for guard in self._guards if (why := guard._refusal(event, environ, until))), "")
