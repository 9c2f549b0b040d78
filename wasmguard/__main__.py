"""Where `wasmguard` and `python -m wasmguard` begin: a hook goes its own short way, everything else to the front
desk."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

AGENT = "claude-code"
ELSEWHERE = frozenset(("--daemon", "--help", "-h"))
"""With one of these, `serve` is no hook."""
INTERRUPTED = 130  # 128 + SIGINT, as a shell would say


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:2] == ["serve"] and ELSEWHERE.isdisjoint(sys.argv[2:]):
        _hook(sys.argv[2:])
    try:
        _close_the_path()
        try:
            from wasmguard.cli import main as front_desk
        except ImportError as error:
            _without_front_desk(sys.argv[1:], str(error.name))
        front_desk()
    except KeyboardInterrupt:  # before the front desk opened
        sys.exit(INTERRUPTED)


def _hook(arguments: list[str]) -> None:
    """Answer one event. Even an installation that cannot be imported blocks: exit code 2."""
    try:
        _close_the_path()
        from wasmguard.serve import hook

        hook.main(arguments)
    finally:  # `hook.main` never returns
        try:
            os.write(2, b"wasmguard: its installation is broken: reinstall it\n")
        finally:
            os._exit(2)


def _without_front_desk(arguments: list[str], missing: str) -> NoReturn:
    """`wasmguard uninstall` works when nothing else does, so that no broken installation locks anybody out."""
    if arguments not in (["uninstall", AGENT], ["uninstall", AGENT, "--dry-run"]):
        why = f"its installation is broken: cannot import `{missing}`: reinstall it"
        sys.exit(f"wasmguard: {why}; until then, `wasmguard uninstall {AGENT}` takes it out of the agent")
    from wasmguard.errors import WasmguardError
    from wasmguard.workshop.uninstall import uninstall

    try:
        for _, line in uninstall(AGENT, dry_run=len(arguments) > 2).lines:
            print(line)
    except WasmguardError as error:
        sys.exit(f"wasmguard: {error}")
    sys.exit(0)


def _close_the_path() -> None:
    """`-m` without `-I`: nobody may plant modules in the folder that the agent, or its owner, is in."""
    if not sys.flags.isolated:
        try:
            here = os.getcwd()
        except OSError:  # the folder is gone, and nothing can be in it
            here = ""
        sys.path[:] = [folder for folder in sys.path if folder not in ("", here)]


if __name__ == "__main__":
    main()
