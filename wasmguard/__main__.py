"""Where `wasmguard` and `python -m wasmguard` begin: a hook goes its own short way, everything else to the front
desk."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:2] == ["serve"] and not {"--help", "-h"} & set(sys.argv[2:]):
        _hook(sys.argv[2:])
    from wasmguard.cli import main as front_desk

    front_desk()


def _hook(arguments: list[str]) -> None:
    """Answer one event. Even an installation that cannot be imported blocks: exit code 2."""
    try:
        if not sys.flags.isolated:  # `-m` without `-I`: nobody may plant modules in the folder that the agent is in
            sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]
        from wasmguard.serve import hook

        hook.main(arguments)
    finally:  # `hook.main` never returns
        try:
            os.write(2, b"wasmguard: its installation is broken: reinstall it\n")
        finally:
            os._exit(2)


if __name__ == "__main__":
    main()
