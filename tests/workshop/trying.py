"""What tests of what `wasmguard test`, `run` and `inspect` do have in common."""

MANIFEST = """\
abi = 1
name = "{name}"
version = "0.1.0"
summary = "Tried"
events = ["PreToolUse"]
{more}
"""


def asks(**given):
    """The lines of `[asks]`."""
    return "[asks]\n" + "\n".join(f"{key} = {value}" for key, value in given.items())
