"""The two sides of a replay, as plans: what was, and what might be.

1. A configuration is copied into a folder that passes, and prepared there as `wasmguard lock` would do it, and refused
   for the same reasons. Nothing of the owner's is locked, pinned or changed; compiled code is kept in a cache beside
   that of the owner's policies.
2. With `--module NAME=FILE` that policy has another module in the copy: without the pin of the old one, and with the
   manifest of the old one if it brings none, because that says what it is asked about.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from wasmguard import places
from wasmguard.errors import ConfigError, UsageError
from wasmguard.guest.bundle import MANIFEST, MODULE, open_bundle
from wasmguard.guest.sections import MANIFEST_SECTION, custom
from wasmguard.limits import HARD_MAX
from wasmguard.lock import prepare
from wasmguard.sandbox.cache import digest
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.wire import written
from wasmguard.workshop.bench.chosen import chosen
from wasmguard.workshop.subject import located
from wasmguard.workshop.trial import spelled
from wasmguard.workshop.undisturbed import passing_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmguard.guest.bundle import Bundle
    from wasmguard.plan import Plan

BEFORE, AFTER = "before", "after"
KEPT = 48  # files of compiled code
SHOWN = 200  # characters of a name
PASSING = frozenset({"config", "digest", "made", "record", "path", "stamp", "reference", "code", "inert"})
"""What a plan holds that says where and when it was made, not what it decides."""


class Wanted(Value):
    """One side."""

    config: str
    """The configuration, absolute."""
    modules: Mapping[str, str] = {}
    """Other modules, by the policies that have them, as a person named them."""


@contextmanager
def opened(sides: Mapping[str, Wanted]) -> Iterator[dict[str, Plan]]:
    """The plans of *sides*, by their names, usable meanwhile.

    Raises:
        UsageError: if a policy or a file that somebody named is not there.
        ConfigError: if a configuration cannot be used.
        BundleError: if a policy's files cannot be.
        HostError: if the machine does not let us.
    """
    with passing_folder("wasmguard-replay-") as folder, _own_cache():
        yield {name: _made(os.path.join(folder, name), wanted) for name, wanted in sides.items()}


def identity(plan: Plan) -> str:
    """A digest of what *plan* decides: two with the same one decide the same."""
    return digest(written(_lasting(plan)).encode())


def _lasting(value: Any) -> dict[str, Any]:
    kept = {name: inner for name, inner in value.as_dict().items() if name not in PASSING}
    if "policies" in kept:
        kept["policies"] = [_lasting(policy) for policy in kept["policies"]]
    return kept


def _made(folder: str, wanted: Wanted) -> Plan:
    os.mkdir(folder, 0o700)
    copied, copied_from = chosen((), wanted.config, ""), str(wanted.config)
    tables = {table["name"]: table for table in copied.policies}
    for number, (name, file) in enumerate(wanted.modules.items()):
        if name not in tables:
            raise _unknown(name, wanted.config, tables)
        tables[name] = _other(tables[name], file, os.path.join(folder, f"{number}"))
    path = os.path.join(folder, "wasmguard.toml")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file_of:
        file_of.write(spelled(tables.values(), **copied.top))
    try:
        return prepare(path, repin=False).plan
    except ConfigError as error:  # the copy, and the numbers of its lines, are gone when the owner reads this
        raise ConfigError(re.sub(rf"{re.escape(path)}(:\d+)?", lambda _: copied_from, str(error))) from None


def _other(table: Mapping[str, Any], file: str, folder: str) -> dict[str, Any]:
    """The policy of *table* with the module in *file*; what has to be written is written into *folder*."""
    new = open_bundle(located(file).reference, "/", HARD_MAX.module)
    old = open_bundle(table["module"], "/", HARD_MAX.module)
    made = {key: value for key, value in table.items() if key != "sha256"}
    if new.manifest is not None or old.manifest is None:
        return made | {"module": new.reference}
    os.mkdir(folder, 0o700)
    for name, data in ((MODULE, new.module), (MANIFEST, _manifest_of(old))):
        with open(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file_of:
            file_of.write(data)
    return made | {"module": folder}


def _manifest_of(bundle: Bundle) -> bytes:
    """The manifest of *bundle* as it is written."""
    inside = custom(bundle.module, MANIFEST_SECTION)
    if inside is not None:
        return inside
    with open(os.path.join(os.path.dirname(bundle.path), MANIFEST), "rb") as file:
        return file.read()


def _unknown(name: str, config: str, known: Mapping[str, Any]) -> UsageError:
    shown = one_line(name, SHOWN)
    alike: Sequence[str] = get_close_matches(shown, list(known), 1)
    instead = f"did you mean `{alike[0]}`?" if alike else f"write one of {', '.join(f'`{one}`' for one in known)}"
    return UsageError(f"`--module {shown}=…`: no policy of that name in `{config}`: {instead}")


@contextmanager
def _own_cache() -> Iterator[None]:
    """A cache of their own for modules that may never be locked; the newest are kept."""
    folder = os.path.join(places.cache_dir(), "replayed")
    places.tell(cache=folder)
    try:
        yield
    finally:
        places.tell()
        with suppress(OSError):  # another replay may be doing the same
            files = sorted(os.scandir(os.path.join(folder, "vault")), key=lambda entry: -entry.stat().st_mtime_ns)
            for entry in files[KEPT:]:
                os.unlink(entry)
