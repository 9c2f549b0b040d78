"""A hook whose decision is written down, and said by the dialect: what the client makes of our answers, and no more.

`python deciding.py TABLE` reads an event and looks its name up in the JSON file TABLE, with its tool first
(`PostToolUse:Bash`). What stands there is a verdict: `effect`, `reason`, `context`, `interrupt`, `permissions` and
`fault`; `output` is `withheld`, or a pair of texts of which the second replaces the first. With `once` it is given
until the event says `stop_hook_active`. Beside the table, `TABLE.log` gets every event, one a line.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from wasmguard.agents import claude
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.guest.outputs import withheld


def verdict(event, *, effect="pass", output=None, once=False, **said):
    """The verdict that is written down for *event*."""
    if once and event.fields.get("stop_hook_active"):
        return Verdict(policy="written-down")
    if output == "withheld":
        output = withheld(event.output)
    elif output is not None:
        output = json.loads(json.dumps(event.output).replace(*output))
    return Verdict(policy="written-down", effect=Effect[effect.upper()], output=output, **said)


def decided(event, table):
    """What the dialect says to *event*."""
    written = table.get(f"{event.name}:{event.tool}", table.get(event.name, {}))
    return claude.render(event, settle([verdict(event, **written)]))


def main():
    table = Path(sys.argv[1])
    raw = sys.stdin.buffer.read()
    with Path(f"{table}.log").open("ab") as log:
        log.write(raw.strip() + b"\n")
    answer = decided(claude.parse(raw), json.loads(table.read_bytes()))
    sys.stdout.buffer.write(claude.encode(answer))


if __name__ == "__main__":
    main()
