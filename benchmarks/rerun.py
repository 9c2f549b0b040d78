"""How fast recorded events are decided again: `wasmguard verify`, and the pool below it and `wasmguard replay`.

    taskset -c 0,1 python benchmarks/rerun.py [DECISIONS]

Decisions a second of builtin policies about one Write event of 400 bytes, and processor time for each decision on both
sides. `thread`: in this process, nothing around it, what the machine gives today. `pool`: events made here, decided in
jailed processes, outcomes settled here. `replay`: all of `wasmguard replay` but the start of Python, from a file of
lines and from records. `verify`: all of `wasmguard verify` over a database of that many records, with its chain. Per
core is by processor time, so it holds whatever else runs. The bars: verify 5,000 a second and core, replay 15,000 on
two cores; starting the processes is in it, so take 100,000.
"""

import json
import os
import sys
import tempfile
from time import perf_counter, time_ns

MOVED = 'settings.root = "{folder}"\ngrants.rewrite."Write.file_path" = {{ within = "{folder}" }}\n'
POLICIES = {"tool-gate": "", "path-redirect": MOVED}
FIELDS = {
    "hook_event_name": "PreToolUse",
    "session_id": "4bef8f8b-ce88-4ead-a908-16158175668b",
    "cwd": "/home/dev",
    "tool_name": "Write",
    "tool_use_id": "toolu_01",
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    cores = len(os.sched_getaffinity(0))
    print(f"{count:,} decisions, {cores} cores")
    print(f"{'policy':15}{'what':17}{'a second':>10}{'us here':>9}{'us there':>10}{'a second and core':>19}")
    for name, more in POLICIES.items():
        with tempfile.TemporaryDirectory() as folder:
            os.environ.update(HOME=folder, XDG_CACHE_HOME=folder, XDG_STATE_HOME=folder)
            config = os.path.join(folder, "wasmguard.toml")
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'[record]\ninputs = "full"\n[[policy]]\nname = "{name}"\nmodule = "builtin:{name}"\n')
                file.write(more.format(folder=os.path.realpath(folder)))
            for what, measure in MEASURES.items():
                tell(name, what, count, measure(config, count))


def events(count):
    from wasmguard.event import Event

    begun = time_ns() // 1_000_000  # what is older than records are kept would be given up
    for number in range(count):
        given = {"file_path": f"/home/dev/project/src/module_{number}.py", "content": "x = 1\n" * 25}
        fields = {**FIELDS, "tool_input": given}
        yield Event(name="PreToolUse", agent="claude", fields=fields, time=begun + number, checked=True)


def thread(config, count):
    from wasmguard import plan
    from wasmguard.lock import lock
    from wasmguard.workshop.rerun.deciding import Deciding

    made = lock(config, repin=False).plan
    deciding = Deciding(made, plan.cells(made, slots=2, isolation="thread"))
    for event in events(100):
        deciding.decision(event, None)
    return timed(lambda: [deciding.decision(event, None) and None for event in events(count)])


def one(config, count, jobs=1):
    from wasmguard import plan
    from wasmguard.workshop.rerun.asked import Asked
    from wasmguard.workshop.rerun.pool import Pool

    def asked(number):
        return (Asked(key=key, plan="p", event=event) for key, event in enumerate(events(number)))

    def closed():
        for outcome in pool.outcomes(asked(count)):
            assert not outcome.fault, outcome.fault
        pool.close()

    pool = Pool({"p": plan.read(config)}, jobs)
    for _ in pool.outcomes(asked(256)):  # all are started
        pass
    return timed(closed)


def two(config, count):
    return one(config, count, jobs=2)


def verify(config, count):
    from wasmguard.guard import Guard
    from wasmguard.records.drain import drained
    from wasmguard.workshop.verify import verified

    with Guard.load(config, isolation="thread") as guard:
        for event in events(count):
            guard.decide(event)
    drained()
    return timed(lambda: same(verified(), count))


def lines(config, count):
    path = os.path.join(os.path.dirname(config), "events.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(event.fields) + "\n" for event in events(count))
    return replayed(config, path, count)


def records(config, count):  # those of `verify`
    return replayed(config, "records", count)


def replayed(config, source, count):
    from wasmguard.workshop.replay.progress import Progress
    from wasmguard.workshop.replay.session import Wanted, run

    def done():
        document = run(Wanted(sources=(source,), config=config, jobs=2), Progress())
        assert document["events"]["compared"] == count, document

    return timed(done)


def same(report, count):
    assert report.good, report
    assert report.again == count, report


def timed(work):
    """Seconds, and seconds of processor time here and in processes that have ended meanwhile."""
    before, begun = os.times(), perf_counter()
    work()
    took, after = perf_counter() - begun, os.times()
    here = after.user + after.system - before.user - before.system
    there = after.children_user + after.children_system - before.children_user - before.children_system
    return took, here, there


def tell(name, what, count, times):
    took, here, there = times
    each = f"{here / count * 1e6:9.0f}{there / count * 1e6:10.0f}{count / (here + there):19,.0f}"
    print(f"{name:15}{what:17}{count / took:10,.0f}{each}", flush=True)


MEASURES = {
    "thread": thread,
    "pool, 1 job": one,
    "pool, 2 jobs": two,
    "replay, lines": lines,
    "verify": verify,
    "replay, records": records,
}


if __name__ == "__main__":
    main()
