"""Rows of a document with times that were made up."""

STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 1.0, 0.99, 1.01] * 3


def row(subject, kind, time, floor="", *, spread=STEADY, path="cell"):
    quiet = [round(time * share, 3) for share in spread]
    by_event = [{"event": event, "n": 50, "min": min(quiet), "median": time} for event in (0, 1)]
    about = {"id": f"{path}/{subject}", "path": path, "subject": subject, "kind": kind, "floor": floor}
    return about | {"quiet_of_rounds": quiet, "by_event": by_event}


def rows(time=100.0, floor=50.0, spread=STEADY):
    return [row("null policy", "floor", floor), row("gate", "policy", time, "cell/null policy", spread=spread)]
