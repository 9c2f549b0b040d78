"""A recorded decision, as it was: its verdicts from the record, and the decision they settle into.

The verdicts are the whole story (`wasmguard.decision`), but for what a record says beside them:

1. Rewrites that led there and back again are no rewrite: then the record has no `rewrote`.
2. An output that nobody could judge is withheld by the guard, and no verdict says so: then the record has `output`.
3. With `inputs = "digest"` rewrites are not kept, and nobody can tell which ALLOW they voided: the effect is the
   recorded one.

With `inputs = "redacted"` or `"cut"` it is the same decision about what the record still knows of the inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect, Verdict, settle
from wasmguard.errors import HostError
from wasmguard.guest.outputs import NOTICE, withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wasmguard.decision import Decision

    Kept = Callable[[str], bytes | None]

EFFECTS = {effect.name.lower(): effect for effect in Effect}
OTHERWISE = frozenset({"effect", "permissions", "notes", "given", "state", "answer", "microseconds"})
"""What a record says in other words than a verdict."""


def decision(body: Mapping[str, Any], blob: Kept | None = None) -> Decision:
    """The decision that is recorded in *body*; *blob* as in `verdicts`.

    Raises:
        HostError: if *body* is no record of a decision, or a blob is gone.
    """
    settled = settle(verdicts(body, blob))
    if body.get("inputs") == "digest":
        settled = _with_effect(settled, _effect(body))
    if settled.rewrite is not None and not body.get("rewrote"):
        settled = settled.replaced(rewrite=None)
    if settled.output is None and body.get("output"):
        settled = settled.replaced(output=_withheld(body))
    return settled


def verdicts(body: Mapping[str, Any], blob: Kept | None = None) -> list[Verdict]:
    """What was said about the event in *body*, oldest first. *blob* finds what policies remembered by its SHA-256
    (`wasmguard.records.query.blob`); without it, verdicts tell nothing of that.

    Raises:
        HostError: if *body* is no record of a decision, or a blob is gone.
    """
    try:
        return [_verdict(said, blob) for said in body.get("verdicts") or ()]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _odd(body, type(error).__name__) from None


def _verdict(said: Mapping[str, Any], blob: Kept | None) -> Verdict:
    fields = {name: said[name] for name in Verdict._fields if name in said and name not in OTHERWISE}
    for name in ("permissions", "notes"):
        if name in said:
            fields[name] = tuple(said[name])
    for name in ("given", "state") if blob is not None else ():
        if said.get(name) is not None:
            fields[name] = _remembered(said[name], blob)
    return Verdict(
        effect=EFFECTS[said.get("effect", "pass")],
        microseconds=said.get("us", 0.0),
        answer=bytes.fromhex(said.get("answer", "")),
        **fields,
    )


def _remembered(digest: str, blob: Kept | None) -> bytes:
    kept = blob(digest) if blob is not None else None
    if kept is None:
        raise HostError(
            f"what a policy remembered is not kept any more: `{digest[:16]}` is gone: run `wasmguard verify --chain`"
        )
    return kept


def _with_effect(settled: Decision, effect: Effect) -> Decision:
    if settled.effect is effect:
        return settled
    carried = tuple(verdict for verdict in settled.verdicts if verdict.effect is effect and not verdict.shadow)
    return settled.replaced(effect=effect, because=() if effect is Effect.PASS else carried)


def _effect(body: Mapping[str, Any]) -> Effect:
    effect = EFFECTS.get(body.get("effect", ""))
    if effect is None:
        raise _odd(body, "no effect")
    return effect


def _withheld(body: Mapping[str, Any]) -> Any:
    """What the guard puts in place of an output that nobody could judge, see `wasmguard.guard.Decides.unjudged`."""
    fields = body.get("fields")
    if not isinstance(fields, dict) or body.get("inputs") != "full":
        return NOTICE
    try:
        return withheld(fields.get("tool_response"), body.get("tool"))
    except RecursionError:
        return NOTICE


def _odd(body: Mapping[str, Any], why: str) -> HostError:
    return HostError(
        f"record `{body.get('id', '?')}` is no decision that can be understood: {why}: run `wasmguard verify --chain`"
    )
