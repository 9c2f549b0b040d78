"""What is done undisturbed is done whole, and the signal comes afterwards."""

import os
import signal
import threading

import pytest

from wasmguard.workshop import undisturbed as undisturbed_module
from wasmguard.workshop.undisturbed import passing_folder, undisturbed


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


def test_ctrl_c_while_the_folder_goes_waits_until_it_is_gone(monkeypatch):
    gone = []
    remove = undisturbed_module.shutil.rmtree

    def interrupted(path, **given):
        os.kill(os.getpid(), signal.SIGINT)
        remove(path, **given)
        gone.append(not os.path.lexists(path))

    monkeypatch.setattr(undisturbed_module.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), passing_folder("x-"):
        pass
    assert gone == [True]


def test_a_folder_that_somebody_still_writes_into_goes_when_they_are_done(monkeypatch):
    writes = iter([True, True])
    remove = undisturbed_module.shutil.rmtree

    def removed(path, **given):
        remove(path, **given)
        if next(writes, False):
            os.makedirs(os.path.join(path, "late"))

    monkeypatch.setattr(undisturbed_module.shutil, "rmtree", removed)
    with passing_folder("x-") as folder:
        pass
    assert not os.path.lexists(folder)
