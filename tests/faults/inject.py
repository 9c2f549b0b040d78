"""Breaks wasmguard at one named point, from outside: the product has no code for this, and no variable asks for it.

`program(fault)` is the text of a hook's process (`python -I -c`) that arms the fault and goes on as `wasmguard` does.

1. A point is a function of the product, or the import of one of its modules. It is replaced when its module is loaded,
   so that everything is still imported when, and in the process where, it always is.
2. The fault strikes in one of the processes of a hook: the `wall`, which reads and prints, the `deciding` one, the
   `cell`, which it forks, and the `compiler`, which is spawned when a configuration is locked.
3. What strikes leaves a mark first, in a file that is mapped into all of them: a jailed cell cannot open or write one.
   A fault that left no mark has shown nothing.
4. Whatever hangs, hangs for a minute at most.

Imported by the hook's process itself, so it imports next to nothing.
"""

import errno
import mmap
import os
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACES = ("wall", "deciding", "cell")  # by how many forks a process is away from the first
SIZE = 24  # bytes of a mark: when the first process began, when the fault struck first, and in which process
LONGEST = 60  # seconds
HEAD = "import os, sys; sys.path.insert(0, {root!r}); from tests.faults.inject import arm; arm({fault!r})"
MAIN = "; from wasmguard.__main__ import main; main()"


class Mark:
    """What a fault leaves behind: three numbers in a file of `SIZE` bytes."""

    def __init__(self, path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, SIZE)
        self._numbers = memoryview(mmap.mmap(descriptor, SIZE)).cast("q")
        os.close(descriptor)

    def begin(self):
        self._numbers[0] = time.monotonic_ns()

    def strike(self):
        if not self.process:
            self._numbers[1], self._numbers[2] = time.monotonic_ns(), os.getpid()

    @property
    def begun(self):
        """When the first process began, in nanoseconds of the monotonic clock."""
        return self._numbers[0]

    @property
    def struck(self):
        """When the fault struck first."""
        return self._numbers[1]

    @property
    def process(self):
        """The process in which it did; 0 if it did not."""
        return self._numbers[2]


def hangs():
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        time.sleep(1)
    os._exit(99)


def is_deaf():
    """Hangs, and neither sleeps nor hears a signal that can be blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        pass
    os._exit(99)


def raises(error):
    def strike():
        raise error

    return strike


def signals(number):
    """Ends or stops this process; see `outside` at `arm`."""
    return lambda: signal.raise_signal(number)


SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV, "SIGSTOP": signal.SIGSTOP}
KINDS = {
    "exception": raises(RuntimeError("injected")),
    "hang": hangs,
    "ENOSPC": raises(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    # what only a sample of points meets:
    "no memory": raises(MemoryError()),
    "exit": raises(SystemExit(0)),
    "interrupt": raises(KeyboardInterrupt()),
    "deaf": is_deaf,
    "gone": lambda: os._exit(0),
    "none": lambda: None,  # for controls: the point is met, and nothing happens
    **{name: signals(number) for name, number in SIGNALS.items()},
}


def program(fault):
    """The text of a hook's process that *fault* (the arguments of `arm`) will strike; its arguments follow."""
    return HEAD.format(root=ROOT, fault=fault) + MAIN


def arm(fault, *, here="wall"):
    """Prepare this process, and those that it starts, for *fault*:

    `mark`    the file of the mark
    `kind`    one of `KINDS`
    `place`   the process that is struck
    `target`  `module:name` of a function, or `import module`
    `when`    `before` the function's work, `after` it, or after `half` of it (for a function that writes)
    `only`    an expression over the function's arguments, `given`, that tells its calls apart
    `values`  further attributes to set: {module: {name: value}}, such as a shorter deadline
    `outside` whether who is struck waits for somebody who sees the mark and sends the signal: a jailed cell may send
              none, not even to itself
    """
    mark = Mark(fault["mark"])
    if here == "wall":
        mark.begin()
    struck = _Place(fault["place"], here)

    def strike():
        mark.strike()
        hangs() if fault["outside"] else KINDS[fault["kind"]]()

    patches = {module: [_setting(values)] for module, values in fault["values"].items()}
    module, _, name = fault["target"].removeprefix("import ").partition(":")
    if fault["place"] == "compiler" and here == "wall":
        patches.setdefault("wasmguard.sandbox.compile", []).append(_carried(fault))
    elif not name:
        return sys.meta_path.insert(0, _Late(patches, module, lambda: struck() and strike()))
    else:
        patches.setdefault(module, []).append(_around(name, fault, struck, strike))
    for loaded in [module for module in patches if module in sys.modules]:
        for patch in patches.pop(loaded):
            patch(sys.modules[loaded])
    return sys.meta_path.insert(0, _Late(patches))


class _Place:
    """Whether this is the process that is to be struck: forks are counted."""

    def __init__(self, wanted, here):
        self._wanted, self._here, self._forks = wanted, here, 0
        os.register_at_fork(after_in_child=self._deeper)

    def _deeper(self):
        self._forks += 1

    def __call__(self):
        here = PLACES[min(self._forks, 2)] if self._here == "wall" else self._here
        return here == self._wanted


class _Late:
    """Patches modules after they were loaded; tells of one that is about to be."""

    def __init__(self, patches, awaited="", told=None):
        self._patches, self._awaited, self._told = patches, awaited, told

    def find_spec(self, name, path=None, target=None):
        if name == self._awaited:
            self._told()
        if name not in self._patches:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(spec for spec in found if spec)
        spec.loader = _Loader(spec.loader, self._patches.pop(name))
        return spec


class _Loader:
    def __init__(self, inner, patches):
        self._inner, self._patches = inner, patches

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        self._inner.exec_module(module)
        for patch in self._patches:
            patch(module)


def _setting(values):
    return lambda module: vars(module).update(values)


def _around(name, fault, struck, strike):
    """Replaces the function *name*, which may be one of a class."""
    owner, _, attribute = name.rpartition(".")
    chosen = eval(f"lambda given: {fault['only'] or True}")

    def patch(module):
        holder = getattr(module, owner) if owner else module
        real = getattr(holder, attribute)

        def broken(*given, **named):
            if fault["when"] == "before":
                if chosen(given) and struck():
                    strike()
                return real(*given, **named)
            if fault["when"] == "half" and chosen(given) and struck():
                real(given[0], given[1][: len(given[1]) // 2])
                return strike()
            result = real(*given, **named)
            if fault["when"] == "after" and chosen(given) and struck():
                strike()
            return result

        setattr(holder, attribute, broken)

    return patch


def _carried(fault):
    """Has the compiler's process armed when it starts, after it knows where to import from."""

    def patch(module):
        armed = f"sys.path.append({ROOT!r}); from tests.faults.inject import arm; arm({fault!r}, here='compiler'); from"
        module._CHILD = module._CHILD.replace("from", armed, 1)

    return patch
