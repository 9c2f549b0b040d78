"""`shadow_of`: another version of a policy, asked beside it and never obeyed.

1. It is the version of one obeyed policy in the same file, whose name it gives.
2. What it does not say itself it takes from that policy, key by key, and never half of a key: `events`, the tools
   (`tools`, `matcher` and `matchers` are one), `settings`, `grants`, `limits` with `timeout`, `on_fault`.
3. A module without a manifest stands under the manifest of that policy; and if nobody but that manifest says what the
   policy is asked about, it says so for the other version too. Else the two could not be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasmguard.config_tables import PolicyConfig
from wasmguard.guest.manifest import Manifest
from wasmguard.toml_errors import Problem, closest

_ALONE = ("settings", "grants", "on_fault")
_TOOLS = frozenset({"tools", "matcher", "matchers"})


def astray(policies: Sequence[PolicyConfig]) -> list[Problem]:
    """What is wrong with the names that *policies* are versions of."""
    obeyed = [policy.name for policy in policies if policy.shadow_of is None]
    return [
        (("policy", at, "shadow_of"), _sentence(policy, policies, obeyed))
        for at, policy in enumerate(policies)
        if policy.shadow_of is not None and (policy.shadow_of not in obeyed or _base(policy, policies).shadow)
    ]


def completed(policies: Sequence[PolicyConfig]) -> tuple[PolicyConfig, ...]:
    """*policies*, each version with what it takes from its policy (rule 2)."""
    return tuple(policy if policy.shadow_of is None else _completed(policy, policies) for policy in policies)


def under(policy: PolicyConfig, own: Manifest | None, base: Manifest | None) -> tuple[PolicyConfig, Manifest | None]:
    """The version *policy* and its manifest, *own* or else that of its policy, *base* (rule 3)."""
    taken: dict[str, Any] = {}
    if not policy.events and not policy.matchers:
        taken["events"] = base.events if base else ("PreToolUse",)
    if policy.tools is None and policy.matcher is None and not policy.matchers:
        taken["tools"] = (base.tools if base else None) or ("*",)
    return policy.model_copy(update=taken), own or base


def _base(policy: PolicyConfig, policies: Sequence[PolicyConfig]) -> PolicyConfig:
    return next(other for other in policies if other.name == policy.shadow_of)


def _completed(policy: PolicyConfig, policies: Sequence[PolicyConfig]) -> PolicyConfig:
    base, said = _base(policy, policies), policy.model_fields_set
    taken = {key: getattr(base, key) for key in _ALONE if key not in said}
    if not said & _TOOLS:
        taken |= {"tools": base.tools, "matcher": base.matcher, "matchers": _narrowed(base, policy)}
    if not said & {"events", "matchers"}:
        taken["events"] = base.events or (tuple(base.matchers) if base.matchers else None)
    if "limits" not in said:
        taken["limits"] = base.limits
    if "timeout" not in said and not policy.limits.model_fields_set & {"clock", "profile"}:
        taken["timeout"] = base.timeout
    return policy.model_copy(update={**taken, "shadow": True})


def _narrowed(base: PolicyConfig, policy: PolicyConfig) -> dict[str, str] | None:
    """The matchers of *base* for those events that *policy* is asked about."""
    matchers = base.matchers or {}
    return {event: text for event, text in matchers.items() if not policy.events or event in policy.events} or None


def _sentence(policy: PolicyConfig, policies: Sequence[PolicyConfig], obeyed: Sequence[str]) -> str:
    name = policy.shadow_of or ""
    if name == policy.name:
        return "the policy itself: write the name of the policy that it is another version of"
    if any(other.name == name for other in policies):
        return f"`{name}` is a shadow itself: write the name of a policy that is obeyed"
    return f"no policy is called `{name}`: {closest(name, [other for other in obeyed if other != policy.name])}"
