import os

import pytest

from wasmguard.guard import Guard
from wasmguard.workshop.bench.peers.ours import PEERS, locked


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_home_of_the_run_stays_what_it_is(peer, tmp_path, own_home):
    before = dict(os.environ)
    with peer.start(str(tmp_path)):
        assert dict(os.environ) == before


def test_it_is_the_policy_that_denies_and_not_a_fault_of_it(tmp_path, own_home, event):
    with Guard.load(locked(str(tmp_path)), isolation="thread") as guard:
        decision = guard.decide(event("Bash", {"command": "rm -rf build"}).fields)
    assert not decision.faulted
    assert "not here: the small guard" in decision.reason
