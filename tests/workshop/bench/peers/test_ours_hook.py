import pytest

from tests.workshop.bench.peers.asking import EVENTS
from wasmguard.workshop.bench.peers.ours_hook import PEERS

EACH = [  # CI's end-to-end part has the native client, and skips nothing
    pytest.param(peer, id=peer.name, marks=[pytest.mark.e2e] if "native" in peer.name else []) for peer in PEERS
]


@pytest.mark.parametrize("peer", EACH)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer, EVENTS[:2] + EVENTS[6:8])


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_is_a_process_for_each_event(peer):
    assert peer.spawned
