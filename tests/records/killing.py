"""Writers and drainers that are killed at any moment: `python tests/records/killing.py FOLDER KILLS`.

Prints, as JSON, how many records the writers were told are kept, how many of them are missing or twice in the
database, and what is broken in it.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress

from wasmguard import places, spool
from wasmguard.guest.codec import packed
from wasmguard.records import chain
from wasmguard.records.drain import drained
from wasmguard.records.segment import numbers, path_of

KEPT = {"segment": 2**17, "size": 2**40, "keep": 36_500}  # small segments, of which none is given up
WRITERS, DRAINERS = 3, 3


def writer(folder, number):
    """Append, and say so afterwards; every second writer keeps the spool open, as a daemon does."""
    told = os.open(os.path.join(folder, f"told.{os.getpid()}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    append = spool.append if number % 2 else spool.Spool().append
    while True:
        id_ = (time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(4)
        append(packed({"v": 1, "id": id_, "time": 1, "kind": "on", "text": "x" * random.randrange(400)}))
        os.write(told, id_)
        time.sleep(0.001)


def drainer(_folder, _number):
    while True:
        drained(KEPT, wait=0.02)


def born(work, folder, number):
    child = os.fork()
    if child:
        return child
    try:
        work(folder, number)
    except BaseException as error:  # noqa: BLE001  # told below
        with open(os.path.join(folder, f"failed.{os.getpid()}"), "w") as file:
            file.write(f"{type(error).__name__}: {error}")
    os._exit(1)


def killed(folder, kills):
    roles = [(writer, n) for n in range(WRITERS)] + [(drainer, n) for n in range(DRAINERS)]
    children = [born(work, folder, number) for work, number in roles]
    for _ in range(kills):
        time.sleep(random.uniform(0, 0.05))
        place = random.choice((*range(len(roles)), *range(WRITERS, len(roles))))
        os.kill(children[place], signal.SIGKILL)
        os.waitpid(children[place], 0)
        children[place] = born(roles[place][0], folder, roles[place][1])
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def seen(folder):
    told, found, failed = set(), [], []
    for name in os.listdir(folder):
        if not name.startswith(("told.", "failed.")):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            if name.startswith("told."):
                data = file.read()
                told |= {data[at : at + 10] for at in range(0, len(data) - 9, 10)}
            else:
                failed.append(file.read().decode())
    where = spool.folder()
    for number in numbers(where):
        with closing(sqlite3.connect(path_of(where, number))) as opened:
            found += [row[0] for row in opened.execute("SELECT id FROM lines")]
    return {
        "told": len(told),
        "missing": len(told - set(found)),
        "twice": len(found) - len(set(found)),
        "segments": len(numbers(where)),
        "broken": [flaw.what for flaw in chain.checked()],
        "failed": failed,
    }


if __name__ == "__main__":
    places.tell(state=sys.argv[1])
    spool.key()
    killed(sys.argv[1], int(sys.argv[2]))
    drained(KEPT, wait=30)
    print(json.dumps(seen(sys.argv[1])))
