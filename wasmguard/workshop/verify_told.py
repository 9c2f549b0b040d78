"""What `wasmguard verify` found, in words: coverage first, then what is wrong.

Everything that came from agents and guests is cleaned already (`wasmguard.workshop.verify`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wasmguard.workshop.columns import beside, counted, length_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.verify import Report, Wrong

SHOWN = 20  # mistakes that are told; `--json` has more


def told(report: Report) -> Iterator[tuple[str, str]]:
    """Styled lines, at most 80 columns wide but for words that are copied."""
    yield from _chain(report)
    if not report.chain_only:
        yield from _decisions(report)
    yield from _mistakes(report)
    if report.head:
        yield "plain", beside("head", report.head)
    if report.good:
        whole = "the chain is whole" if report.chain_only else "nothing is wrong"
        yield "pass", f"{whole} ({length_of(report.seconds)})"
    else:
        yield "wrong", "something is wrong: keep the records as they are, see who could write there"


def as_data(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        **report.as_dict(),
        "good": report.good,
        "broken": [broken.as_dict() for broken in report.broken],
        "wrong": [wrong.as_dict() for wrong in report.wrong],
    }


def _chain(report: Report) -> Iterator[tuple[str, str]]:
    number = int(report.head.partition(":")[0] or 0)  # no head: nothing can be read
    if report.broken:
        yield "wrong", beside("chain", f"broken in {counted(len(report.broken), 'place')}")
        for broken in report.broken[:SHOWN]:
            where = f"record {broken.seq}, " if broken.seq else ""
            yield "wrong", beside("", f"{where}{broken.segment}: {broken.what}")
        yield from _more(len(report.broken))
    else:
        yield "ok", beside("chain", f"whole up to record {number}" if number else "nothing is recorded yet")
    if report.damaged:
        why = "that waited were no record: changed by somebody, or torn by a full disk"
        yield "wrong", beside("damaged", f"{counted(report.damaged, 'byte')} {why}")
    if report.lost:
        yield "note", beside("lost", f"{counted(report.lost, 'decision')} could not be recorded: see `wasmguard log`")
    if report.expected:
        yield "wrong", beside("expected", report.expected)


def _decisions(report: Report) -> Iterator[tuple[str, str]]:
    if not report.decisions:
        yield "ok", beside("decisions", "none")
        return
    share = 100 * report.again / report.decisions
    shown = f"{share:.0f}" if share in (0, 100) else f"{min(max(share, 0.1), 99.9):.1f}"
    yield "ok", beside("decisions", f"{report.again:,} of {report.decisions:,} came out again to the byte ({shown} %)")
    if report.own:
        yield "ok", beside("", f"{report.own:,} the guard's own, without any policy")
    for why, count in sorted(report.not_again.items(), key=lambda item: -item[1]):
        yield "note", beside("", f"{count:,} cannot be made again: {why}")
    for why, count in sorted(report.differing.items(), key=lambda item: -item[1]):
        yield "note", beside("", f"{count:,} came out otherwise: {why}")


def _mistakes(report: Report) -> Iterator[tuple[str, str]]:
    if report.wrongs:
        yield "wrong", beside("wrong", counted(report.wrongs, "decision"))
    for wrong in report.wrong[:SHOWN]:
        yield "wrong", beside("", f"{wrong.id} {_about(wrong)}")
        yield "plain", beside("", wrong.what)
    yield from _more(report.wrongs)


def _about(wrong: Wrong) -> str:
    when = datetime.fromtimestamp(wrong.time / 1000, UTC).astimezone() if 0 <= wrong.time < 10**14 else None
    words = (f"#{wrong.seq}", f"{when:%Y-%m-%d %H:%M:%S}" if when else "", wrong.event, wrong.tool)
    return " ".join(word for word in words if word)


def _more(count: int) -> Iterator[tuple[str, str]]:
    if count > SHOWN:
        yield "plain", beside("", f"and {count - SHOWN:,} more: see --json")
