"""What was recorded, for tests to look at."""

from pathlib import Path

from wasmguard import places, recorder, spool


def waiting():
    """The records in the spool, oldest first; they stay there."""
    found = []
    for file in sorted(spool_files()):
        taken = spool.Taken(str(file), spool.key())
        found += [recorder.opened(body) for body in taken.bodies()]
        taken.close()
    return found


def spool_files():
    return [path for path in Path(spool.folder()).glob("spool*") if path.is_file()]


def recorded_in(state, *kinds):
    """The same in the state folder *state*."""
    places.tell(state=str(state))
    try:
        return recorded(*kinds)
    finally:
        places.tell()


def recorded(*kinds):
    """All records, or those of *kinds*, as they are in the chain, oldest first."""
    from wasmguard.records import query
    from wasmguard.records.drain import drained

    drained()
    return [record.body for record in query.records() if not kinds or record.body["kind"] in kinds]
