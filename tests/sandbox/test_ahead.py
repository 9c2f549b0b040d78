"""The cell that is forked before anything else: used or not, it is gone when the process that forked it has left.

In processes of their own: a cell is forked by one that knows nothing.
"""

import subprocess
import sys

from tests.serve.host import HERE

AHEAD = f"{HERE}; import os; from wasmguard.sandbox import ahead; ahead.fork_ahead()"


def said(program):
    done = subprocess.run([sys.executable, "-IBc", program], capture_output=True, check=True, text=True, timeout=30)
    return done.stdout.split()


def test_one_that_is_not_needed_is_ended():
    program = f"""{AHEAD}
ahead.end_spare()
print(ahead.taken())
try:
    os.wait()
except ChildProcessError:
    print("nobody")
"""
    assert said(program) == ["None", "nobody"]


def test_one_that_is_taken_is_taken_once_and_leaves_when_its_channel_ends():
    program = f"""{AHEAD}
pid, channel = ahead.taken()
print(ahead.taken(), channel.getblocking())
channel.close()
print(os.waitpid(pid, 0)[1])
"""
    assert said(program) == ["None", "False", "0"]


def test_nothing_can_be_said_on_the_standard_streams_of_a_cell():
    """What it inherited is closed, but for its channel."""
    program = f"""{HERE}; import os; from wasmguard.sandbox import ahead, inmate
def live(*_, **__):
    standard = [os.readlink(f"/proc/self/fd/{{number}}") for number in (0, 1, 2)]
    os.write(3, repr((set(standard), sorted(map(int, os.listdir("/proc/self/fd")))[:-1])).encode())
    os._exit(0)
inmate.live = live
ahead.fork_ahead()
pid, channel = ahead.taken()
os.waitpid(pid, 0)
print(channel.recv(1000).decode())
"""
    assert "".join(said(program)) == "({'/dev/null'},[0,1,2,3])"
