"""What is said of a machine, with machines made of text."""

import json
import os
from types import SimpleNamespace

import pytest

from wasmguard.workshop.bench import machine

X86 = "processor\t: 0\nmodel name\t: A Fast One\nflags\t\t: fpu sse2{}\n\nprocessor\t: 1\nmodel name\t: Another\n"
QUIET = {"/proc/cpuinfo": X86.format(""), "/proc/stat": "cpu 0 0 0 0 0 0 0 0 0 0\n"}
GOVERNOR = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"


@pytest.fixture
def box(monkeypatch):
    """A machine of two cores; returns a function that says what its files hold, its load and our own seconds."""

    def made(files=QUIET, *, load=(0.1, 0.1, 0.1), ours=0.0, usable=2):
        monkeypatch.setattr(machine, "_text", lambda path: files.get(path, "").strip())
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(usable)), raising=False)
        monkeypatch.setattr(os, "getloadavg", lambda: load)
        spent = SimpleNamespace(user=ours / 2, system=0.0, children_user=ours / 2, children_system=0.0)
        monkeypatch.setattr(os, "times", lambda: spent)

    return made


def ticks(**seconds):
    """`/proc/stat` after so many seconds of each kind."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    told = (str(int(seconds.get(name, 0) * os.sysconf("SC_CLK_TCK"))) for name in names)
    return f"cpu  {' '.join(told)} 77 88\ncpu0 1 2 3\n"


def test_this_machine_is_stated_as_plain_data():
    before = machine.stated()
    together = {**before, **machine.changed(before)}
    assert json.loads(json.dumps(together)) == together
    assert together.keys() == {
        "processor", "cores", "usable", "memory", "governor", "virtual", "kernel", "python", "wasmtime",
        "load_before", "load_after", "busy", "stolen", "warnings",
    }  # fmt: skip
    assert 1 <= together["usable"] <= together["cores"]


def test_a_quiet_machine_brings_no_warning(box):
    box(QUIET | {GOVERNOR.format(0): "performance\n", GOVERNOR.format(1): "performance\n"})
    before = machine.stated()
    assert (before["processor"], before["governor"], before["virtual"]) == ("A Fast One", "performance", False)
    box(QUIET | {"/proc/stat": ticks(user=1, idle=9)}, ours=0.9)
    assert machine.changed(before) == {"load_after": [0.1, 0.1, 0.1], "busy": 0.01, "stolen": 0.0, "warnings": []}


def test_what_is_not_known_is_none_and_nothing_fails(box, monkeypatch):
    box({})
    monkeypatch.delattr(os, "getloadavg")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "sysconf", lambda _name: (_ for _ in ()).throw(ValueError("unrecognized")))
    before = machine.stated()
    after = machine.changed(before)
    assert (before["governor"], before["virtual"], before["memory"], before["load_before"]) == (None, None, None, [])
    assert (after["busy"], after["stolen"], after["load_after"], after["warnings"]) == (None, None, [], [])
    assert before["usable"] == before["cores"] == 2
    assert before["processor"]


def test_what_we_and_our_children_used_is_not_what_others_used(box):
    box(QUIET, ours=5.0)
    before = machine.stated()
    box(QUIET | {"/proc/stat": ticks(user=6, nice=1, system=1, idle=7, iowait=1, irq=1, softirq=1, steal=2)}, ours=9.0)
    after = machine.changed(before)
    assert after["busy"] == 0.3  # 10 of 20 seconds are busy, 4 of them are ours
    assert after["stolen"] == 0.1
    assert [warning.split(":")[0] for warning in after["warnings"]] == [
        "others used 30 % of all cores' time during the run",
        "the host gave 10.0 % of the cores' time to other machines",
    ]


def test_warnings_of_before_the_run_are_kept_after_it(box):
    box({**QUIET, "/proc/cpuinfo": X86.format(" hypervisor")})
    before = machine.stated()
    assert before["virtual"] is True
    assert before["warnings"]
    assert machine.changed(before)["warnings"] == before["warnings"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({GOVERNOR.format(0): "performance", GOVERNOR.format(1): "powersave"}, "`performance, powersave`"),
        ({"/sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, "boost"),
        ({"/sys/devices/system/cpu/cpufreq/boost": "1"}, "boost"),
        ({"/proc/cpuinfo": X86.format(" hypervisor")}, "virtual machine"),
        ({"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "50000 100000"}, "at most 0.5 cores"),
        (
            {
                "/proc/self/cgroup": "3:cpuset:/\n2:cpu,cpuacct:/x\n",
                "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "150000",
                "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000",
            },
            "at most 1.5 cores",
        ),
    ],
)
def test_what_makes_times_doubtful_is_said_before_the_run(box, files, words):
    box({**QUIET, **files})
    (warning,) = machine.stated()["warnings"]
    assert words in warning
    assert "\n" not in warning


@pytest.mark.parametrize("told", ["max 100000", "", "x y", "100000 0", "-1 100000"])
def test_no_quota_is_no_warning(box, told):
    box({**QUIET, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": told})
    assert machine.stated()["warnings"] == []


def test_the_narrowest_quota_around_us_counts_and_makes_cores_unusable(box):
    groups = {"/sys/fs/cgroup/a/b/cpu.max": "150000 100000", "/sys/fs/cgroup/cpu.max": "100000 100000"}
    box({**QUIET, "/proc/self/cgroup": "0::/a/b\n", **groups})
    before = machine.stated()
    assert before["usable"] == 1
    assert "at most 1 cores" in before["warnings"][0]


def test_a_load_above_the_usable_cores_is_said(box):
    box(QUIET, load=(1.5, 9.0, 9.0), usable=1)
    assert machine.stated()["warnings"] == [
        "the load was 1.5 before the run, and 1 core is usable: others are waiting for them too"
    ]
    box(QUIET, load=(1.5, 9.0, 9.0), usable=2)
    assert machine.stated()["warnings"] == []
