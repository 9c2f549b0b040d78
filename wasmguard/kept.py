"""What decisions were made with, kept by digest as long as there may be records of them.

1. A plan that comes into force is kept under its `plan.identity`, sealed like every plan; its modules under their
   SHA-256, which says whether the bytes are still the same.
2. What is kept is written before the plan is in force: no record names what cannot be found.
3. A plan goes when it has not been in force for as long as records are kept, a module when no plan that is kept names
   it.

`wasmguard verify` decides recorded events again with this, whatever became of the files that the owner named.
"""

from __future__ import annotations

import os
from time import time

from wasmguard import places, plan
from wasmguard.errors import CacheError, HostError, why_of
from wasmguard.sandbox.cache import Vault, private_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.plan import Plan

PLAN, MODULE = ".plan", ".wasm"
DAY = 86_400  # seconds


def folder() -> str:
    """Where all that is."""
    return os.path.join(places.state_dir(), "kept")


def keep(made: Plan, modules: Mapping[str, bytes], before: Plan | None = None) -> None:
    """Keep the plan *made* with its *modules*, by SHA-256; the plan *before* it is in force no longer.

    Raises:
        HostError: if that cannot be written.
    """
    private_folder(folder())
    for sha256, module in modules.items():
        if module_of(sha256) is None:
            _write(_path(sha256 + MODULE), module)
    _vault().write(plan.identity(made) + PLAN, plan.written(made))
    if before is not None and (path := _path(plan.identity(before) + PLAN)) and os.path.lexists(path):
        os.utime(path)  # it counts from today
    _sweep(made)


def plan_of(identity: str) -> Plan | None:
    """The plan that records call *identity*; None if it is not kept, or was changed."""
    if not identity.isalnum():
        return None
    try:
        return plan.read_again(_vault().read(identity + PLAN))
    except (CacheError, ValueError, LookupError):
        return None


def module_of(sha256: str) -> str | None:
    """The file that holds the module with this digest; None if it is not kept, or was changed."""
    import hashlib

    path = _path(sha256 + MODULE)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # nobody's pipe holds us up
            found = hashlib.sha256(file.read(plan.LARGEST_MODULE + 1) or b"").hexdigest()
    except OSError:
        return None
    return path if found == sha256 else None


def _vault() -> Vault:
    return Vault(folder(), places.state_dir())


def _path(name: str) -> str:
    return os.path.join(folder(), name)


def _write(path: str, data: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(file, "wb") as stream:
                stream.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise HostError(f"cannot write `{path}`: {why_of(error)}: make room there") from None


def _sweep(made: Plan) -> None:
    """What no record can name any more goes (rule 3). What cannot be removed stays: it only takes room."""
    days = made.record["keep"] + 1
    in_force = {plan.identity(made), *(plan.identity(known) for known in plan.in_force())}
    named = {policy.sha256 for policy in made.policies}
    names = os.listdir(folder())
    for name in names:
        identity, end = os.path.splitext(name)
        if end != PLAN:
            continue
        if identity not in in_force and _unlink_old(_path(name), days):
            continue
        known = plan_of(identity)
        named.update(policy.sha256 for policy in (known.policies if known else ()))
    for name in names:
        sha256, end = os.path.splitext(name)
        if end == MODULE and sha256 not in named:
            _unlink_old(_path(name), days=1)  # somebody may be locking a plan that names it


def _unlink_old(path: str, days: int) -> bool:
    """Whether *path* was older than *days*, and is gone now."""
    try:
        if os.lstat(path).st_mtime < time() - days * DAY:
            os.unlink(path)
            return True
    except OSError:
        return False
    return False
