"""The machine that was measured on, what else it did meanwhile, and what of that makes times doubtful.

What cannot be known here is None: a Linux without /sys, a container, another system. Nothing of this fails a run.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from math import ceil
from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSY, STOLEN = 0.2, 0.01  # shares of the cores' time, above which there is a warning
CPU = "/sys/devices/system/cpu"
FAST = {"performance"}  # the governor that does not change the clock while it is measured


class _Spent(Value):
    """Time of all cores since the machine started, in seconds; and ours."""

    all: float
    busy: float
    stolen: float
    """By the host of a virtual machine, for others."""
    ours: float
    """Of this process, and of its children that have ended."""


class Stated(dict[str, Any]):
    """What is known before a run: plain data for the document. `spent` is for `changed`, and not in it."""

    spent: _Spent | None = None


def stated() -> Stated:
    """The machine before a run: `machine` of the document, but for what `changed` adds."""
    described = _cpuinfo()
    usable, quota = _usable(), _quota()
    found = Stated(
        processor=_processor(described),
        cores=os.cpu_count() or 1,
        usable=usable if quota is None else max(1, min(usable, ceil(quota))),
        memory=_memory(),
        governor=_governor(),
        virtual=_virtual(described),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        wasmtime=_wasmtime(),
        load_before=_load(),
    )
    found["warnings"] = _warnings(found, quota)
    found.spent = _spent()
    return found


def changed(before: Mapping[str, Any]) -> dict[str, Any]:
    """What happened since `stated` returned *before*: the load, what others used and took; and all warnings."""
    was, now = getattr(before, "spent", None), _spent()
    busy = stolen = None
    if was is not None and now is not None and now.all > was.all:
        busy, stolen = _others(was, now)
    warnings = [*before["warnings"]]
    if busy is not None and busy > BUSY:
        warnings.append(
            f"others used {busy * 100:.0f} % of all cores' time during the run: times are those of a busy machine"
        )
    if stolen is not None and stolen > STOLEN:
        warnings.append(
            f"the host gave {stolen * 100:.1f} % of the cores' time to other machines: times are too long by some of it"
        )
    return {"load_after": _load(), "busy": busy, "stolen": stolen, "warnings": warnings}


def _others(was: _Spent, now: _Spent) -> tuple[float, float]:
    """Shares of all cores' time between the two: what others used, and what was stolen."""
    every = now.all - was.all
    others = (now.busy - was.busy) - (now.ours - was.ours)
    return round(min(max(others / every, 0.0), 1.0), 4), round(max(now.stolen - was.stolen, 0.0) / every, 4)


def _warnings(found: Mapping[str, Any], quota: float | None) -> list[str]:
    warnings = []
    if found["governor"] is not None and not set(found["governor"].split(", ")) <= FAST:
        warnings.append(f"the governor is `{found['governor']}`: the clock changes with the load; set `performance`")
    if _boosts():
        warnings.append("the cores may boost: the clock changes with heat and with what other cores do")
    if found["virtual"]:
        warnings.append("this is a virtual machine: its host decides when its cores run, and does not tell")
    if quota is not None:
        warnings.append(
            f"at most {quota:g} cores' time may be used: who is over it is stopped for a while, amid a call"
        )
    if found["load_before"] and found["load_before"][0] > found["usable"]:
        load, usable = found["load_before"][0], found["usable"]
        cores = "1 core is" if usable == 1 else f"{usable} cores are"
        warnings.append(f"the load was {load:.1f} before the run, and {cores} usable: others are waiting for them too")
    return warnings


def _text(path: str) -> str:
    """What a file of the system says; empty if there is none, or we may not know."""
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""


def _cpuinfo() -> dict[str, str]:
    """What is said about the first core."""
    first = _text("/proc/cpuinfo").split("\n\n", maxsplit=1)[0]
    parts = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in parts}


def _processor(described: Mapping[str, str]) -> str:
    named = described.get("model name") or _text("/proc/device-tree/model").strip("\0") or platform.processor()
    return one_line(named or platform.machine() or "unknown", 100)


def _virtual(described: Mapping[str, str]) -> bool | None:
    """Whether a hypervisor runs us. x86 has a flag for it; others may say so in /sys."""
    if "flags" in described:
        return "hypervisor" in described["flags"].split()
    return True if _text("/sys/hypervisor/type") else None


def _usable() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _governor() -> str | None:
    """How the kernel sets the clock: the governors of all cores."""
    found = {_text(f"{CPU}/cpu{core}/cpufreq/scaling_governor") for core in range(os.cpu_count() or 1)} - {""}
    return ", ".join(sorted(found)) or None


def _boosts() -> bool:
    """Whether cores may run faster than their nominal clock, as far as that is known."""
    return _text(f"{CPU}/intel_pstate/no_turbo") == "0" or _text(f"{CPU}/cpufreq/boost") == "1"


def _quota() -> float | None:
    """How many cores' time our control group, or one around it, may use: cgroup v2, else v1."""
    found = []
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            told = (_text(f"/sys/fs/cgroup{path}/cpu.max").split() for path in _around(group))
        elif "cpu" in controllers.split(","):
            each = (f"/sys/fs/cgroup/{controllers}{path}/cpu.cfs_" for path in _around(group))
            told = ([_text(f"{one}quota_us"), _text(f"{one}period_us")] for one in each)
        else:
            continue
        for numbers in told:
            with suppress(ValueError, ZeroDivisionError):  # `max`, nothing, or -1: no quota
                quota, period = map(int, numbers)
                found += [quota / period] if quota > 0 else []
    return min(found, default=None)


def _around(group: str) -> list[str]:
    """A control group and those that it is in: `/a/b` is in `/a`, and that in the root, which is written as nothing."""
    parts = [part for part in group.split("/") if part]
    return ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]


def _memory() -> int | None:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _wasmtime() -> str:
    with suppress(PackageNotFoundError):
        return version("wasmtime")
    return "unknown"


def _load() -> list[float]:
    with suppress(OSError, AttributeError):
        return [round(value, 2) for value in os.getloadavg()]
    return []


def _spent() -> _Spent | None:
    """None where the system does not count what its cores do."""
    head = _text("/proc/stat").partition("\n")[0].split()
    with suppress(ValueError, OSError, AttributeError):
        # user nice system idle iowait irq softirq steal: proc_stat(5); what guests of ours use is in `user` already
        user, nice, system, idle, waiting, irq, soft, stolen = (
            int(one) / os.sysconf("SC_CLK_TCK") for one in head[1:9]
        )
        busy, times = user + nice + system + irq + soft, os.times()
        ours = times.user + times.system + times.children_user + times.children_system
        return _Spent(all=busy + idle + waiting + stolen, busy=busy, stolen=stolen, ours=ours)
    return None
