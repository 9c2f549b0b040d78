import pytest

from tests.workshop.bench.peers.asking import EVENTS
from wasmguard.workshop.bench.peers.ours_hook import PEERS


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer, EVENTS[:2] + EVENTS[6:8])


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_is_a_process_for_each_event(peer):
    assert peer.spawned
