"""What can go wrong, as one tree: below the root, the branches say whose fault it is.

    WasmguardError
    ├── UsageError              the person at the terminal: a wrong argument, a missing file
    ├── ConfigError             the owner: `wasmguard.toml` cannot be used; names file, line and key
    ├── BuildError              a compiler is missing, or refuses a policy's source; `said` is its own words
    ├── BundleError             the policy's author: its files cannot be used
    │   ├── ModuleRefused       the module fails the load scan, the ABI check or the compiler
    │   └── ModuleChanged       the bytes are not the ones that were locked
    ├── EventError              the agent: the event cannot be understood
    ├── GuestFault              the guest, while it was asked; always a verdict of at least ASK, never looser
    │   ├── OutOfFuel
    │   ├── OutOfTime
    │   ├── OutOfMemory         its memory or table does not fit the limit at the start
    │   ├── StackOverflow
    │   ├── Trapped             any other trap
    │   ├── CellDied            the process that ran it died, or was killed at its deadline
    │   ├── InvalidAnswer       what it returned is no answer: pointers, msgpack, schema
    │   ├── Ungranted           it used what its owner did not grant
    │   └── OutsideGrant        it used a grant, and broke the grant's constraint
    └── HostError               us, or the machine: a file we own cannot be read or written
        ├── CacheError          a compiled module or a plan is missing, foreign or was tampered with
        ├── StateError          what a policy remembers cannot be read or written, or is gone
        └── PlanStale           the plan does not belong to the configuration as it is now

Decide by class, never by text. Messages are one line, lower case, without a full stop: the user's word in backticks,
the cause after a colon, then what to do.
"""


class WasmguardError(Exception):
    """Everything that wasmguard raises on purpose."""


class UsageError(WasmguardError):
    """The command line asks for something that is not there."""


class ConfigError(WasmguardError):
    """`wasmguard.toml` cannot be used. One message a line; each names file, line and key."""


class BuildError(WasmguardError):
    """A policy cannot be built."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said  # by the compiler: many lines, not ours


class BundleError(WasmguardError):
    """A policy's folder, module or manifest cannot be used."""


class ModuleRefused(BundleError):
    """The module may not be loaded: header, structure, imports, exports or compile limits."""


class ModuleChanged(BundleError):
    """The module's bytes are not the bytes that were locked."""


class EventError(WasmguardError):
    """The agent's event cannot be understood."""


class GuestFault(WasmguardError):
    """The policy could not answer, or gave an answer that does not count."""

    fuel: int | None = None
    """What the guest had burned by then; None where nobody could measure it."""


class OutOfFuel(GuestFault):
    """The guest executed more than its fuel limit."""


class OutOfTime(GuestFault):
    """The guest ran longer than its clock limit. Not reproducible, unlike fuel."""


class OutOfMemory(GuestFault):
    """The guest's memory or tables do not fit the limit from the start."""


class StackOverflow(GuestFault):
    """The guest recursed deeper than its stack limit."""


class Trapped(GuestFault):
    """The guest ended itself: unreachable code, an access outside its memory, a division by zero."""


class CellDied(GuestFault):
    """The process that ran the guest died, said nonsense, or was not done by its deadline."""


class InvalidAnswer(GuestFault):
    """What the guest returned is not an answer of its ABI."""


class Ungranted(GuestFault):
    """The answer uses something that the owner did not grant."""


class OutsideGrant(GuestFault):
    """The answer uses a grant but breaks its constraint."""


class HostError(WasmguardError):
    """A fault of ours or of the machine."""


class CacheError(HostError):
    """A file in the private cache is missing, foreign, or not what was written there."""


class StateError(HostError):
    """What a policy remembers cannot be read or written, or is gone: a fault of that policy, never an amnesty."""


class PlanStale(HostError):
    """The plan was made from another configuration, engine or module file than there is now."""


class NotAtOnce(Exception):
    """No error: how to say that a decision would take longer than an event loop may wait: it belongs in a thread."""


def why_of(error: OSError) -> str:
    """What the system says is wrong, as the cause in a message: `no space left on device`."""
    return (error.strerror or type(error).__name__).lower()
