"""`wasmguard check`: the plan in words. Which policy is asked about what, with which grants, and what a failure
does."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from wasmguard import plan
from wasmguard.errors import PlanStale
from wasmguard.lock import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.lock import Locked

WIDTH = 80  # columns
_OURS = {
    True: "Before any policy: no tool may write the guard's own files or the agent's settings that switch hooks off.",
    False: "`self_protection = false`: tools may write the guard's own files, and switch it off.",
}
_WHERE = {
    "process": "Policies run in jailed processes of their own (`wasmguard doctor` tells what this machine gives).",
    "thread": '`isolation = "thread"`: policies run in the process that decides, behind WebAssembly alone.',
}


def explained(config: str) -> Iterator[str]:
    """The configuration file *config*, line by line as sentences.

    Raises:
        WasmguardError: if it could not be locked as it is now.
    """
    outcome = prepare(config, repin=False)
    policies = outcome.plan.policies
    yield f"{outcome.plan.config}: {_count(len(policies), 'policy', 'policies')}, asked in this order"
    for number, (policy, told) in enumerate(zip(policies, outcome.policies, strict=True), 1):
        yield ""
        yield from _policy(number, policy, told)
    yield ""
    yield from _wrapped("A call that was rewritten is judged again by every policy that saw another input.", "")
    yield from _wrapped(f"An event of more than {_size(outcome.plan.event)} is denied.", "")
    yield from _wrapped(_OURS[outcome.plan.self_protection], "")
    yield from _wrapped(_WHERE[outcome.plan.isolation], "")
    yield from _wrapped(_state(config), "")


def _policy(number: int, policy: plan.PlannedPolicy, told: Locked) -> Iterator[str]:
    shadow = " (shadow: asked and recorded, never obeyed)" if policy.shadow else ""
    yield f"{number}. {policy.name}{shadow}"
    summary = f": {told.summary}" if told.summary else ""
    yield from _wrapped(f"is {policy.reference} ({policy.kind} module, sha256 {policy.sha256[:12]}…){summary}")
    yield from _wrapped(f"is asked about {_about(policy)}")
    yield from _wrapped(f"sees {', '.join(policy.reads) if policy.reads is not None else 'the whole event'}")
    if told_of := [f"{key} = {_toml(value)}" for key, value in policy.settings.items() if value not in ([], "")]:
        yield from _wrapped(f"runs with {', '.join(told_of)}")
    yield from (line for sentence in _powers(policy.grants) for line in _wrapped(sentence))
    limits = policy.limits
    yield from _wrapped(f"may use {limits['fuel']:_} fuel, {limits['clock']} ms, {_size(limits['memory'])} of memory")
    failing = "the call is denied" if policy.on_fault == "deny" else "the user is asked"
    yield from _wrapped(f"if it fails, {failing}")
    yield from (line for notice in told.notices for line in _wrapped(f"note: {notice}"))


def _about(policy: plan.PlannedPolicy) -> str:
    if policy.matchers and "*" not in policy.matchers:
        return ", ".join(f"{event} (tools: `{text or '*'}`)" for event, text in policy.matchers.items())
    tools = "every tool" if policy.tools is None else ", ".join(policy.tools) or "no tool"
    if "*" in policy.matchers:
        tools = f"the tools that match `{policy.matchers['*']}`"
    about = any(event.startswith(("PreTool", "PostTool", "Permission")) for event in policy.events)
    return ", ".join(policy.events) + (f" of {tools}" if about else "")


def _powers(grants: dict[str, Any] | Any) -> list[str]:
    effects = set(grants["effects"])
    may = ["may allow without asking the user" if "allow" in effects else "may not allow: its `allow` counts as pass"]
    may.append("may ask and deny, as every policy may")
    rewrites = grants["rewrite"]
    may += [f"may rewrite {field}: {_constraint(grant)}" for field, grant in rewrites.items()]
    if not rewrites:
        may.append("may rewrite nothing: a rewrite is a fault")
    outputs = grants["rewrite_output"]
    may += [f"may rewrite at most {_size(most)} of the output of {tool}" for tool, most in outputs.items()]
    if grants["state"]:
        days = grants["expires"] / 86_400
        about = {"session": "each session", "agent": "each agent", "project": "each project", "owner": "you"}
        kept = f"{days:g} days" if days >= 1 else f"{grants['expires']} s"
        may.append(f"may remember {_size(grants['state'])} about {about[grants['scope']]}, for {kept}")
    if grants.get("permissions"):
        may.append(f"may change permissions in {', '.join(grants['permissions'])}")
    return may


def _constraint(grant: dict[str, Any]) -> str:
    if "within" in grant:
        return f"a path within {grant['within']}"
    shown = ", without showing it to anybody" if grant.get("silent") else ""
    if "max" in grant:
        return f"any value of at most {_size(grant['max'])}{shown}"
    return f"one of {', '.join(map(repr, grant['one_of']))}{shown}"


def _state(config: str) -> str:
    try:
        plan.read(config)
    except PlanStale as stale:
        return f"not in force: {stale}"
    return "locked: this is what a hook decides under now"


def _toml(value: Any) -> str:
    """*value* as people write it into the file: JSON is, but for tables."""
    return json.dumps(value, ensure_ascii=False, default=dict)


def _size(number: int) -> str:
    if number % 2**10:
        return f"{number} bytes"
    return f"{number // 2**20} MiB" if number % 2**20 == 0 else f"{number // 2**10} KiB"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _wrapped(sentence: str, indent: str = "   ") -> list[str]:
    return textwrap.wrap(
        sentence,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,  # a path is one word, and is copied
    )
