import pytest

from wasmguard.workshop.bench.peers.extism import PEERS


@pytest.mark.e2e
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer)


@pytest.mark.e2e
def test_what_an_earlier_event_left_in_a_kept_instance_does_not_count(event, tmp_path):
    warm = next(peer for peer in PEERS if peer.name == "extism, warm")
    if why := warm.lacking():
        pytest.skip(why)
    denied, silent = event("Bash", {"command": "rm -rf /"}), event("Bash", {"description": "no command"})
    with warm.start(str(tmp_path)) as ask:
        assert [ask(denied), ask(silent), ask(denied)] == [True, False, True]
