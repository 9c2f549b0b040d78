"""Growth of resident memory over many decisions, half of them rewritten, some of them faults.

python benchmarks/memory.py [EVENTS]
"""

import os
import sys
import tempfile

from given import EVENT, guard_of


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    inside = EVENT | {"tool_input": {"file_path": "/sandbox/a", "content": "x"}}
    ungranted = EVENT | {"tool_name": "Edit", "tool_input": {"file_path": "/a", "old_string": "x", "new_string": "y"}}
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
        guard = guard_of(folder, "path-redirect", 'grants.rewrite."Write.file_path" = { within = "/sandbox" }')
        for number in range(20_000):
            guard.decide(EVENT if number % 2 else inside)
        before = resident()
        for number in range(events):
            guard.decide(ungranted if number % 100 == 0 else EVENT if number % 2 else inside)
            if number % (events // 10) == 0:
                print(f"{number:>9_} decisions: {(resident() - before) / 2**20:+.2f} MiB", flush=True)
        print(f"{events:>9_} decisions: resident memory grew by {(resident() - before) / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
