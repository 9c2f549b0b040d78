import pytest

from wasmguard.workshop.bench.peers.callback import PEERS, callback


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_carries_out_the_small_guard(peer, carries_out):
    assert carries_out(peer)


def test_it_answers_as_a_hook_of_the_sdk_does():
    assert callback({"tool_name": "Read", "tool_input": {}}) == {}
    said = callback({"tool_name": "Bash", "tool_input": {"command": "rm -rf x"}})["hookSpecificOutput"]
    assert (said["hookEventName"], said["permissionDecision"]) == ("PreToolUse", "deny")
