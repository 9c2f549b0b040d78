"""Turns of a store, as tests take them. Child processes import this too, so it is light."""

import multiprocessing

from wasmguard.state.interface import Slot

CONFIG = "/etc/of/a/test/wasmguard.toml"
FORK = multiprocessing.get_context("fork")


def slot(policy="budget", key="s1", scope="session", expires=3600, entries=100):
    return Slot(policy=policy, scope=scope, key=key, expires=expires, entries=entries)


class turn_of:
    """`with turn_of(store, slot()) as turn:`"""

    def __init__(self, store, *slots, alone=False):
        self.turn = store.turn(slots or [slot()], alone=alone)

    def __enter__(self):
        return self.turn

    def __exit__(self, *_):
        self.turn.end()


def recall(store, where=None):
    where = where or slot()
    with turn_of(store, where) as turn:
        return turn.recall(where.policy)


def remember(store, state, where=None, *, alone=False):
    where = where or slot()
    with turn_of(store, where, alone=alone) as turn:
        turn.recall(where.policy)
        return turn.commit({where.policy: state})


def count(store, times, *, races=3):
    """Add one, *times* times, as the guard does: whoever has lost some races goes alone."""
    for _ in range(times):
        lost = 0
        while True:
            with turn_of(store, alone=lost >= races) as turn:
                before = int.from_bytes(turn.recall("budget") or b"", "big")
                if turn.commit({"budget": (before + 1).to_bytes(8, "big")}):
                    break
            lost += 1


def sum_of(store):
    return int.from_bytes(recall(store) or b"", "big")


def count_and_leave(store, times):
    count(store, times)
    store.close()


def forked(act):
    """What *act* returns in a forked process that ends with it."""
    here, there = FORK.Pipe(duplex=False)

    def told():
        there.send(act())

    child = FORK.Process(target=told)
    child.start()
    try:
        assert here.poll(60), "the child says nothing"
        return here.recv()
    finally:
        child.kill()
        child.join(60)
