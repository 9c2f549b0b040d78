"""The hostile suite against a host without a guard: what a first version accepts, and what ends or hangs it.

    python benchmarks/naive.py [GROUP ...] [--survived]

The naive host is what one writes first: wasmtime with its defaults, fuel and a memory limit, its WASI linked, one
instance that is kept, `Memory.read` and `msgpack.unpackb`, and the answer is believed. Each case gets a process of its
own and `PATIENCE` seconds.

* accepted: the answer of a guest that must be refused, stopped, cut down or cleaned went through.
* crashed, hung: the host went down with its guest.
* survived: it ended as it must here too (`--survived` names them). Controls should; of the others, many are refused by
  wasmtime's own defaults, and are kept because defaults change.

Exit 1 if nothing at all is accepted: then the suite, or this host, is broken.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 10  # seconds
ENDINGS = ("accepted", "crashed", "hung", "survived")
FUEL, MEMORY = 20_000_000, 16 << 20


def naive(module: bytes, given: dict) -> dict:  # type: ignore[type-arg]
    """What the naive host makes of the last of several events."""
    import msgpack
    import wasmtime

    config = wasmtime.Config()
    config.consume_fuel = True
    engine = wasmtime.Engine(config)
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    linker.define_wasi()
    store.set_wasi(wasmtime.WasiConfig())
    store.set_limits(memory_size=MEMORY)
    store.set_fuel(FUEL)
    exports = linker.instantiate(store, wasmtime.Module(engine, module)).exports(store)
    if "_initialize" in exports:
        exports["_initialize"](store)
    request = msgpack.packb(given["request"])
    answer: dict = {}  # type: ignore[type-arg]
    for _ in range(given["times"]):
        store.set_fuel(FUEL)
        start = exports["wasmguard_alloc"](store, len(request))
        exports["memory"].write(store, request, start)
        packed = exports["wasmguard_evaluate"](store, start, len(request))
        begin, size = packed >> 32, packed & 0xFFFFFFFF
        answer = msgpack.unpackb(exports["memory"].read(store, begin, begin + size), strict_map_key=False)
    said = {key: answer.get(key, "") for key in ("effect", "reason", "context")}
    tool_input = given["request"]["event"].get("tool_input") or {}
    changes = {**tool_input, **answer.get("rewrite", {})}
    return {**said, "notes": answer.get("notes", []), "rewrite": changes if changes != tool_input else None}


def ending(case, folder: str) -> str:  # type: ignore[no-untyped-def]
    """How *case* ends with the naive host."""
    from wasmguard.hostile.proving import event_of, tool_of

    root = os.path.join(folder, tool_of(case))
    settings = {"answer": spelled(case.answer(root))} if case.answer else {}
    request = {"abi": 1, "event": event_of(case), "settings": settings, "state": None}
    path = f"{root}.wasm"
    with open(path, "wb") as file:
        file.write(case.wasm)
    given = json.dumps({"module": path, "request": request, "times": min(case.times, 3)})
    command = [sys.executable, os.path.abspath(__file__), "--one"]
    try:
        done = subprocess.run(command, input=given.encode(), capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        os.unlink(path)
    if done.returncode:
        return "survived" if done.returncode == 1 else "crashed"  # an exception of Python's is a refusal
    return judged(case, json.loads(done.stdout), root)


def spelled(answer: bytes) -> str:
    """*answer* as the parrot reads it."""
    return answer.hex()


def expects_a_fault(case) -> bool:  # type: ignore[no-untyped-def]
    from wasmguard.hostile.case import Answered

    return not isinstance(case.must, Answered)


def judged(case, said: dict, root: str) -> str:  # type: ignore[type-arg,no-untyped-def]
    """Whether an answer that came through is one that may."""
    from wasmguard.hostile.case import ROOT, Bounded

    if isinstance(case.must, Bounded):
        return "survived"
    if expects_a_fault(case):
        return "survived" if said["effect"] == "deny" else "accepted"
    must, rewrite = case.must, None
    if must.rewrite is not None:
        changes = {k: v.replace(ROOT, root) if isinstance(v, str) else v for k, v in must.rewrite.items()}
        rewrite = {**case.input, **changes}
    wanted = (must.effect.name.lower(), must.reason, must.context, rewrite)
    return (
        "survived"
        if (said["effect"] or "pass", said["reason"], said["context"], said["rewrite"]) == wanted
        else "accepted"
    )


def main(arguments: list[str]) -> int:
    from wasmguard.hostile.suite import GROUPS

    named = [group for group in arguments if group in GROUPS] or list(GROUPS)
    total: Counter[str] = Counter()
    survived = []
    print(f"{'group':12}{'cases':>7}" + "".join(f"{word:>10}" for word in ENDINGS))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for group in named:
            cases = GROUPS[group]
            ends = list(pool.map(lambda case: ending(case, folder), cases))
            counted = Counter(ends)
            total += counted
            survived += [f"{group}-{case.name}" for case, end in zip(cases, ends, strict=True) if end == "survived"]
            print(f"{group:12}{len(cases):>7}" + "".join(f"{counted[word]:>10}" for word in ENDINGS), flush=True)
    print(f"{'all':12}{total.total():>7}" + "".join(f"{total[word]:>10}" for word in ENDINGS))
    if "--survived" in arguments:
        print(*survived, sep="\n")
    return 0 if total["accepted"] else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--one"]:
        given = json.load(sys.stdin)
        with open(given["module"], "rb") as file:
            print(json.dumps(naive(file.read(), given)))
        sys.exit(0)
    sys.exit(main(sys.argv[1:]))
