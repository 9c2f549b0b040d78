import pytest

from wasmguard.workshop.bench.peers.guards import PEERS, UNMEASURED


def test_each_says_that_it_has_policies_of_its_own():
    assert all(peer.own and peer.spawned and "policies of its own" in peer.about for peer in PEERS)
    assert not {peer.name for peer in PEERS} & UNMEASURED.keys()


@pytest.mark.e2e
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_stops_what_destroys_and_says_the_same_twice(peer, event, tmp_path):
    if why := peer.lacking():
        pytest.skip(why)
    destroys, lists = event("Bash", {"command": "rm -rf /"}), event("Bash", {"command": "ls"})
    with peer.start(str(tmp_path)) as ask:
        assert [ask(destroys), ask(lists), ask(destroys), ask(lists)] == [True, False, True, False]
