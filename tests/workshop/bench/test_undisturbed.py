"""What is done undisturbed is done whole, and the signal comes afterwards."""

import os
import signal
import threading

import pytest

from wasmguard.workshop.bench.undisturbed import undisturbed


@pytest.fixture
def another_thread():
    """Somebody else to whom the kernel may give a signal."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("another_thread")
def test_ctrl_c_waits_until_it_is_done_and_comes_then():
    done = []

    def work():
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.extend(range(1_000))

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(done) == 1_000


def test_whoever_handled_a_signal_handles_it_again():
    before = signal.getsignal(signal.SIGTERM)
    with undisturbed():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_nothing_is_changed():
    def run():
        with undisturbed():
            seen.append(signal.getsignal(signal.SIGINT))

    seen, before = [], signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert seen == [before]
