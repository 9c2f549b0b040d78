import pytest

from wasmguard.workshop.bench.peers.cedar import PEERS


@pytest.mark.e2e
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer)
