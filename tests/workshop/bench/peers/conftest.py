"""What tests of the peers have in common."""

import pytest

from tests.workshop.bench.peers.asking import EVENTS, begun, given
from wasmguard.workshop.bench.peers.peer import denied


@pytest.fixture
def carries_out(tmp_path, own_home):
    """Whether a peer says about each event what the small guard says."""

    def compare(peer, events=EVENTS):
        with begun(peer, tmp_path / "peer") as ask:
            return [ask(event) for event in events] == [denied(event.fields) for event in events]

    return compare


@pytest.fixture
def event():
    return given
