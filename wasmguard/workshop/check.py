"""`wasmguard check`: the plan in words. Which policy is asked about what, with which grants, and what a failure
does."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wasmguard import plan
from wasmguard.errors import PlanStale, StateError
from wasmguard.event import GATING, OUTPUTS
from wasmguard.lock import prepare
from wasmguard.workshop.columns import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.lock import Locked

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
    for sentence in _memory(outcome.plan):
        yield from _wrapped(sentence, "")
    yield from _wrapped(_state(config), "")


def _policy(number: int, policy: plan.PlannedPolicy, told: Locked) -> Iterator[str]:
    shadow = " (shadow: asked and recorded, never obeyed)" if policy.shadow else ""
    if policy.shadow_of:
        shadow = f" (shadow of {policy.shadow_of}: asked about the same events and recorded, never obeyed)"
    yield f"{number}. {policy.name}{shadow}"
    summary = f": {told.summary}" if told.summary else ""
    yield from _wrapped(f"is {policy.reference} ({policy.kind} module, sha256 {policy.sha256[:12]}…){summary}")
    yield from _wrapped(f"is asked about {_about(policy)}")
    yield from _wrapped(f"sees {', '.join(policy.reads) if policy.reads is not None else 'the whole event'}")
    if told_of := [f"{key} = {_toml(value)}" for key, value in policy.settings.items() if value not in ([], "")]:
        yield from _wrapped(f"runs with {', '.join(told_of)}")
    yield from (line for sentence in _powers(policy.grants, shadow=policy.shadow) for line in _wrapped(sentence))
    limits = policy.limits
    yield from _wrapped(
        f"may use {limits['fuel']:_} fuel, {_time(limits['clock'])}, {_size(limits['memory'])} of memory"
    )
    yield from (line for sentence in _failing(policy) for line in _wrapped(sentence))
    yield from (line for notice in told.notices for line in _wrapped(f"note: {notice}"))


def _failing(policy: plan.PlannedPolicy) -> Iterator[str]:
    """What comes of a policy's failure, by what it is asked about."""
    events = set(policy.events)
    if policy.shadow or not events & (GATING | OUTPUTS):
        yield "if it fails, that is recorded, and nothing else"
        return
    if events & GATING:
        yield "if it fails, " + ("the call is denied" if policy.on_fault == "deny" else "the user is asked")
    if events & OUTPUTS:
        tools = ", ".join("every tool" if tool == "*" else tool for tool in policy.grants["rewrite_output"])
        shown = "output is shown as it is, and the failure is recorded"
        rest = f"; any other tool's, if it wanted to rewrite it, else that {shown}"
        rest = "" if "*" in policy.grants["rewrite_output"] else rest
        yield f"a failing answer withholds the output of {tools}{rest}" if tools else f"if it fails, a tool's {shown}"


def _about(policy: plan.PlannedPolicy) -> str:
    if policy.matchers and "*" not in policy.matchers:
        return ", ".join(
            f"{event} (tools: `{text or '*'}`)" if _has_tool(event) else event
            for event, text in policy.matchers.items()
        )
    tools = "every tool" if policy.tools is None else ", ".join(policy.tools) or "no tool"
    if "*" in policy.matchers:
        tools = f"the tools that match `{policy.matchers['*']}`"
    with_tool = [event for event in policy.events if _has_tool(event)]
    without = [event for event in policy.events if not _has_tool(event)]
    return "; ".join(
        ([f"{', '.join(with_tool)} of {tools}"] if with_tool else []) + [", ".join(without)] * bool(without)
    )


def _has_tool(event: str) -> bool:
    return event.startswith(("PreTool", "PostTool", "Permission"))


def _powers(grants: dict[str, Any] | Any, *, shadow: bool) -> list[str]:
    effects = set(grants["effects"])
    may = ["may allow without asking the user" if "allow" in effects else "may not allow: its `allow` counts as pass"]
    may.append("may ask and deny, as every policy may")
    if shadow:
        may = ["what it answers is recorded, and changes nothing"]
    rewrites = grants["rewrite"]
    may += [f"may rewrite {field}: {_constraint(grant)}" for field, grant in rewrites.items()]
    outputs = grants["rewrite_output"]
    if not rewrites:
        may.append(f"may rewrite {'no input' if outputs else 'nothing'}: a rewrite is a fault")
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


def _memory(made: plan.Plan) -> Iterator[str]:
    """Where policies remember things, if any does."""
    if not _stateful(made):
        return
    kept, most = made.state, f"at most {made.state['entries']:_} keys (sessions, agents or projects) for each policy"
    if kept["store"] == "sqlite":
        yield f"What policies remember is in {_file(made.config)}: {most}."
        return
    yield f"What policies remember is on `{kept['store']}`, under the prefix `{kept['prefix']}`: {most}."
    if kept["store"].startswith("redis:") and not _is_here(kept["store"]):
        yield "note: the password and what is remembered cross the network readable: use `rediss://`"


def _stateful(made: plan.Plan) -> list[plan.PlannedPolicy]:
    return [policy for policy in made.policies if policy.grants["state"]]


def _file(config: str) -> str:
    try:
        from wasmguard.state.sqlite_file import path_of
    except ImportError:  # a Python without SQLite, of which `_state` tells
        return "a file"
    return f"the file {path_of(config)}"


def _is_here(store: str) -> bool:
    """Whether the server's address is a loopback one."""
    host = urlsplit(store).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _state(config: str) -> str:
    try:
        locked = plan.read(config)
    except PlanStale as stale:
        return f"not in force: {stale}"
    try:
        _recall(locked)
    except StateError as error:
        return f"not usable: {error}"
    return "locked: this is what a hook decides under now"


def _recall(locked: plan.Plan) -> None:
    """Look up something that nobody remembers, as a decision would.

    Raises:
        StateError: if the store is gone, damaged or does not answer.
    """
    from wasmguard.state import opened
    from wasmguard.state.interface import Slot

    slots = [
        Slot(policy=p.name, scope=p.grants["scope"], key="", expires=p.grants["expires"], entries=p.grants["entries"])
        for p in _stateful(locked)
    ]
    if not slots:
        return
    store = opened(locked.config, locked.state)
    try:
        turn = store.turn(slots)
        try:
            for slot in slots:
                turn.recall(slot.policy)
        finally:
            turn.end()
    finally:
        store.close()


def _toml(value: Any) -> str:
    """*value* as people write it into the file: JSON is, but for tables."""
    return json.dumps(value, ensure_ascii=False, default=dict)


def _size(number: int) -> str:
    if number % 2**10:
        return f"{number} bytes"
    return f"{number // 2**20} MiB" if number % 2**20 == 0 else f"{number // 2**10} KiB"


def _time(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds % 1000 else f"{milliseconds // 1000} s"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _wrapped(sentence: str, indent: str = "   ") -> list[str]:
    return wrapped(sentence, indent)
