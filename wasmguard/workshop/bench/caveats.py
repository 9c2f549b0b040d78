"""What a time is not: sentences for whoever would take a refusal for a fast answer.

1. A fault is a decision, and takes its time, often a short one. Where a policy failed it is said how often and why:
   what was measured there is not what the policy takes to answer.
2. What fails only while it is timed is told apart from what always fails: the clock ends nobody where fuel is counted
   (`exact`, rule 3), and a cell can die.
3. An event that the guard refuses by itself, or that a hook refuses for its size, was shown to no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.workshop.bench import inside
from wasmguard.workshop.bench.variant import CHAIN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from wasmguard.workshop.bench.variant import Given, Variant

SHOWN = 3  # names of events in a sentence
WHY = 160  # characters of a fault


def of_policy(entry: Mapping[str, Any], given: Sequence[Given]) -> Iterator[str]:
    """What there is to know about the *entry* of a policy in `policies`, which was asked about the events *given*."""
    failed = {place: why for place, why in enumerate(entry["faults"]) if why}
    if failed:
        whose = f"`{entry['name']}` fails at {_events(failed, given)}: {_first(failed)}"
        yield f"{whose}: there its times are those of a refusal"
    burned = zip(entry["decisions"], entry["fuel"]["events"], entry["faults"], strict=True)
    unasked = [place for place, (said, fuel, why) in enumerate(burned) if said is not None and fuel is None and not why]
    if unasked:
        whose = f"`{entry['name']}` is never asked about {_events(unasked, given)}"
        yield f"{whose}: the guard itself refuses it: there its times are the guard's"


def of_times(
    variants: Sequence[Variant], given: Sequence[Given], policies: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What failed while *variants* were timed about *given*, and did not when their *policies* were looked at."""
    known = {entry["name"]: entry["faults"] for entry in policies}
    told = False
    for variant in variants:
        always = known.get(variant.subject, ())
        new = {
            place: why
            for place, why in sorted(inside.faults(variant).items())
            if not (place < len(always) and always[place])
        }
        if not new or (variant.kind == CHAIN and (told or any(any(faults) for faults in known.values()))):
            continue
        told = True
        whose = f"`{variant.id}` failed at {_events(new, given)} when it was timed: {_first(new)}"
        yield f"{whose}: its times there are partly those of a refusal"


def too_long(given: Sequence[Given], most: int, paths: Collection[str]) -> Iterator[str]:
    """Which of *given* have more than *most* bytes, so that a hook on these *paths* refuses them."""
    long = [place for place, one in enumerate(given) if len(one.raw) > most]
    if long and paths:
        where = ", ".join(f"`{path}`" for path in paths)
        why = f"more than the limit of {most:_} bytes"
        yield f"{_events(long, given)}: {why}: on {where} it is refused before any policy is asked"


def _events(places: Collection[int], given: Sequence[Given]) -> str:
    names = [f"`{given[place].name}`" for place in list(places)[:SHOWN]]
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return f"{len(places)} of {len(given)} events ({', '.join(names)}{more})"


def _first(failed: Mapping[int, str]) -> str:
    return one_line(next(iter(failed.values())), WHY)
