"""`wasmguard status` and `wasmguard stop`: what the daemon of a configuration tells, and how it is ended.

1. A configuration's daemon is looked for where it listens by default, and where installed hooks look for it.
2. What is told is what the daemon says. Only which policies nobody asks is found out here: a policy is `not routed` as
   far as no hook that `wasmguard install` wrote, into settings or a plugin, sends the events that it judges.
3. Records are looked at as they are: nothing is moved for it. That they cannot be read is told, like anything else.
4. No daemon is no fault of the guard: hooks decide by themselves. It is an answer, though, and the answer is no.
"""

from __future__ import annotations

import os
from time import monotonic, sleep, time
from typing import TYPE_CHECKING

from wasmguard import installed, link, plan, switch, wire
from wasmguard.errors import HostError
from wasmguard.records import query
from wasmguard.text import one_line
from wasmguard.workshop import plugins
from wasmguard.workshop.columns import beside, clock, counted, day, latency, length_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Line = tuple[str, str]  # style and text, see `cli_desk.STYLES`

PATIENCE = 3.0  # seconds for each step of asking
ENDING = 5.0  # seconds for the daemon to end
DIGEST = 12  # characters of a digest that are shown
NOTE = "failed"  # the ending of the file beside the socket that says why no daemon could begin, as in `serve.start`
LARGEST = 4_096  # bytes


def status(config: str) -> dict[str, Any]:
    """What the daemon of the configuration file *config* tells about itself, as data.

    To what the daemon says (`serve.worker`, `serve.board`), this adds `also` (sockets of other daemons of *config*),
    `off_until` (Unix seconds, None if the guard is on), `installed` (whether any hook is), in each policy `unrouted`
    (those of its events that no installed hook sends), and `records`: what `records.query.state` says, or `error`, and
    `on`, whether *config* has decisions recorded.

    Raises:
        HostError: if there is no daemon, or it does not answer.
    """
    answered = [(path, said) for path in _sockets(config) if (said := _asked(path)) is not None]
    if not answered:
        raise HostError(_nobody(config))
    (_, said), *others = answered
    sent = _sent(config)
    for policy in said["policies"]:
        policy["unrouted"] = [event for event in policy["events"] if event not in sent]
    also = [path for path, _ in others]
    ours = {"also": also, "off_until": switch.off_until(), "installed": bool(sent)}
    return {**said, **ours, "records": _recorded(config)}


def lines(said: dict[str, Any]) -> Iterator[Line]:
    """What `status` returned, for people: at most 80 columns where words allow it."""
    yield "title", f"wasmguard {said['version']}: a daemon answers, process {said['master']}"
    if said["off_until"]:
        until = clock(said["off_until"] * 1000)
        yield "note", beside("guard", f"off until {until}: nothing is judged; `wasmguard on` ends that")
    yield from _daemon(said)
    yield "plain", ""
    yield "title", "policies"
    yield from _policies(said)
    yield "plain", ""
    yield "title", "events"
    yield from _events(said)
    yield "plain", ""
    yield "title", "records"
    yield from _records(said["records"])


def stop(config: str) -> str:
    """End the daemon of the configuration file *config*. Returns what to tell.

    Raises:
        HostError: if there is none, or it has not ended after some seconds.
    """
    answered = [(path, said) for path in _sockets(config) if (said := _asked(path)) is not None]
    if not answered:
        raise HostError(_nobody(config))
    for path, said in answered:
        link.ask(path, link.STOP, seconds=PATIENCE)
        until = monotonic() + ENDING
        while not _gone(path, said["master"]):
            if monotonic() > until:
                pid = said["master"]
                raise HostError(
                    f"the daemon, process {pid}, has not ended after {ENDING:.0f} s: wait for it, or `kill -9 {pid}`"
                )
            sleep(0.01)
    pids = " and ".join(str(said["master"]) for _, said in answered)
    return f"the daemon, process {pids}, has ended: hooks decide by themselves, and the next one starts another"


def _sockets(config: str) -> list[str]:
    """Rule 1."""
    return list(dict.fromkeys([link.socket_of(config), *(entry.socket for entry in _entries(config) if entry.socket)]))


def _entries(config: str) -> list[installed.Entry]:
    """The hooks that are installed for *config*."""
    return [entry for entry in installed.entries() if os.path.abspath(entry.config) == os.path.abspath(config)]


def _sent(config: str) -> set[str]:
    """The events that installed hooks send to the policies of *config*."""
    try:
        in_plugins = plugins.hooks_in(os.getcwd())
    except OSError:  # the current folder was deleted
        in_plugins = []
    sent = {event for entry in _entries(config) for event in entry.events}
    ours = [hook for hook in in_plugins if os.path.abspath(hook.config) == os.path.abspath(config)]
    return sent | {event for hook in ours for event in hook.events}


def _recorded(config: str) -> dict[str, Any]:
    """What there is of records."""
    made = plan.last(config)
    on = made is None or bool(made.record["on"])
    try:
        return {"on": on, **query.state()}
    except HostError as error:
        return {"on": on, "error": str(error)}


def _asked(path: str) -> dict[str, Any] | None:
    """What the daemon at *path* says; None if there is none.

    Raises:
        HostError: if there is one that does not answer, or it is somebody else's.
    """
    if not os.path.lexists(path):
        return None
    try:
        code, answer, _ = link.ask(path, link.STATUS, seconds=PATIENCE)
        said = wire.read(answer.decode())
    except HostError:
        if not _locked(path):  # it was killed: its socket is still there
            return None
        raise
    except ValueError:
        raise HostError(f"the daemon at `{path}` answers nonsense: end it and start it again") from None
    if code != link.ANSWERED or type(said) is not dict or "master" not in said:
        raise HostError(f"the daemon at `{path}` is of a version that does not tell: end it and start it again")
    return said


def _nobody(config: str) -> str:
    """What to say where no daemon is, and why the last one could not begin."""
    if until := switch.off_until():
        ends = clock(until * 1000)
        return f"there is no daemon, and the guard is off until {ends}: `wasmguard on` ends that"
    for path in _sockets(config):
        try:
            with open(f"{path}.{NOTE}", encoding="utf-8", errors="replace") as file:
                why = one_line(file.read(LARGEST).strip(), 400).strip(".")
                ago = length_of(max(0.0, time() - os.fstat(file.fileno()).st_mtime))
        except OSError:
            continue
        if why:
            return f"there is no daemon: the last one, {ago} ago, could not begin: {why}"
    return (
        "there is no daemon: hooks decide by themselves, and the next one starts it; so does `wasmguard serve --daemon`"
    )


def _gone(path: str, pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    return not _locked(path)


def _locked(path: str) -> bool:
    """Whether a daemon holds the lock of the socket *path*."""
    import fcntl

    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not take each other for a daemon
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _daemon(said: dict[str, Any]) -> Iterator[Line]:
    begun = f"{day(said['since'])} {clock(said['since'])}"
    yield "plain", beside("since", f"{begun} ({length_of(said['seconds'])})")
    yield "plain", beside("socket", said["socket"])
    for path in said["also"]:
        yield "note", beside("also", f"{path}: another daemon of the same configuration")
    if said["http"]:
        yield "plain", beside("http", f"http://{said['http']}")
    after = f"after {length_of(said['ends_after'])} without an event" if said["ends_after"] else "when it is told to"
    others = counted(max(0, said["clients"] - 1), "other client")
    yield "plain", beside("ends", f"{after}; idle for {length_of(said['idle'])}, {others}")
    yield "plain", beside("configuration", said["config"])
    yield "plain", beside("plan", said["digest"][:DIGEST])
    if (last := _last_reload(said)) is None:
        yield "plain", beside("last reload", "none: the configuration has not changed")
    elif last["error"]:
        yield "wrong", beside("last reload", f"{_ago(last)}: failed, {last['old'][:DIGEST]} stays: {last['error']}")
    else:
        yield "plain", beside("last reload", f"{_ago(last)}: {last['old'][:DIGEST]} -> {last['new'][:DIGEST]}")


def _last_reload(said: dict[str, Any]) -> dict[str, Any] | None:
    """What came of the last change: the master's word, unless a worker could not follow it later."""
    followed, worker = said["followed"], said["reload"]
    if followed and (followed["error"] or not worker or not worker["error"] or worker["time"] < followed["time"]):
        return dict(followed)
    return dict(worker) if worker else None


def _policies(said: dict[str, Any]) -> Iterator[Line]:
    if not said["installed"]:
        yield "note", beside("", "no hook is installed that asks them: run `wasmguard install claude-code`")
    for policy in said["policies"]:
        tools = f" of {', '.join(policy['tools'])}" if policy["tools"] else ""
        asked = f"{', '.join(policy['events'])}{tools}"
        unrouted = policy["unrouted"] if said["installed"] else []
        if unrouted:
            partly = "partly " if len(unrouted) < len(policy["events"]) else ""
            never = f"{partly}not routed: no installed hook sends {', '.join(unrouted)}"
            yield "note", beside(policy["name"], never)
        if policy["shadow"]:
            what = f"shadow of {policy['shadow_of']}" if policy.get("shadow_of") else "shadowed"
            yield "note", beside(policy["name"], f"{what}: asked and recorded, never obeyed: {asked}")
        elif not unrouted:
            yield "plain", beside(policy["name"], f"loaded: {asked}")


def _events(said: dict[str, Any]) -> Iterator[Line]:
    parts = ", ".join(f"{said[name]:,} {name}" for name in ("passed", "allowed", "asked", "denied"))
    yield "plain", beside("decided", f"{said['events']:,}: {parts}; {said['rewritten']:,} rewritten")
    yield "note" if said["faulted"] else "plain", beside("faults", f"{said['faulted']:,}")
    if last := said["last"]:
        by = f" by `{last['policy']}`" if last["policy"] else ""
        why = f": {one_line(last['reason'], 200)}" if last["reason"] else ""
        did = f"{last['event']} {last['tool']}".rstrip()
        yield (
            "plain",
            beside("last", f"{_ago(last)}: {did}: {'rewritten, ' * last['rewrote']}{last['effect']}{by}{why}"),
        )
    if said["p50_us"] is not None:
        half, most = latency(said["p50_us"]), latency(said["p99_us"])
        yield "plain", beside("times", f"half took at most {half} (p50), 99 % at most {most} (p99)")
    cells = sum(len(worker["cells"]) for worker in said["workers"])
    memory = {"master": 0, "workers": len(said["workers"]), "cells": cells}
    sizes = [
        f"{many or ''} {who}".strip() + f" {said['memory_kib'][who] / 1024:.1f} MiB" for who, many in memory.items()
    ]
    yield "plain", beside("memory", f"{', '.join(sizes)} resident, shared pages counted each time")
    if said["restarts"]:
        yield "note", beside("restarts", f"{counted(said['restarts'], 'worker')} ended unasked and took its place anew")


def _records(said: dict[str, Any]) -> Iterator[Line]:
    if not said["on"]:
        yield "note", beside("off", "this configuration has no decision recorded: see `[record]` in it")
    if "error" in said:
        yield "wrong", beside("unreadable", said["error"])
        return
    if said["records"]:
        since = f"{day(said['first'])} {clock(said['first'])}"
        yield "plain", beside("kept", f"{counted(said['records'], 'record')} since {since}, {_size(said['bytes'])}")
    else:
        yield "plain", beside("kept", "none yet")
    if said["waiting"]:
        yield "plain", beside("waiting", f"{_size(said['waiting'])} to be moved there, within seconds")
    if said["lost"]:
        yield "wrong", beside("lost", f"{counted(said['lost'], 'record')}: `wasmguard log` says when")


def _size(number: int) -> str:
    return f"{number / 1024:,.1f} KiB" if number < 2**20 else f"{number / 2**20:,.1f} MiB"


def _ago(note: dict[str, Any]) -> str:
    return f"{length_of(max(0.0, time() - note['time'] / 1000))} ago"
