"""Self-protection: what the agent may not do, whatever the policies say, because no policy could judge anything then.

1. A tool that is not known to only read may be given no protected path (`wasmguard.protection.paths`): not in any text
   of its input, however deep, under whatever key. A tool that moves or deletes may be given no folder with one either.
2. Texts that are content are no paths: what is written into a file, and whatever has a line feed or more than 4,096
   characters. A README may say where the configuration is.
3. A shell command is read as the shell reads it (`wasmguard.protection.shell`).
4. A change of the agent's settings that switches hooks off, or steers ours, is not applied
   (`wasmguard.protection.settings`).
5. Where this fails itself, the call is refused.
"""

from __future__ import annotations

import os
from time import monotonic

from wasmguard.errors import NotAtOnce
from wasmguard.event import TOOL_GATES
from wasmguard.protection.marks import word_set
from wasmguard.protection.paths import Protected, refusal_to
from wasmguard.protection.timed import Timed, TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.event import Event
    from wasmguard.plan import Plan

READING = word_set(
    "Agent AskUserQuestion BashOutput CronDelete CronList EnterPlanMode ExitPlanMode ExitWorktree Glob Grep KillBash"
    " KillShell LS LSP ListMcpResources ListMcpResourcesTool NotebookRead Read ReadMcpResource ReadMcpResourceTool"
    " SendMessage Skill Task TaskCreate TaskGet TaskList TaskOutput TaskStop TaskUpdate TodoRead TodoWrite ToolSearch"
    " WebFetch WebSearch"
)
"""Tools that write no file that their input names. What they start (an agent, a skill) asks us about each call."""

SHELLS = frozenset({"Bash", "Monitor"})
POWER_SHELLS = frozenset({"PowerShell"})
COMMANDS = frozenset({"command", "cmd", "shell_command"})
"""Keys whose text is a command line, in any tool."""

CONTENT = word_set(
    "content contents old_string new_string new_source old_str new_str old_text new_text oldText newText file_text"
    " insert_text text body description message prompt title query"
)
"""Keys whose text is content, in any tool."""

TAKING = (
    "move",
    "rename",
    "delete",
    "remove",
    "rmdir",
    "trash",
    "unlink",
    "symlink",
    "erase",
    "wipe",
    "purge",
    "mount",
)
"""What is in the name of a tool that takes a folder with all that is in it."""

PLACING = (
    *("HOME", "USERPROFILE", "USER", "TMPDIR", "CLAUDE_CONFIG_DIR", "CLAUDE_PROJECT_DIR"),
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
)
"""Variables of an agent that say where its settings are, and which folders a shell may mean."""

FRESH = 2.0  # seconds that protected paths count before they are looked up again
MOST_AGENTS = 32  # environments whose protected paths are kept
LONGEST_PATH = 4_096  # characters: PATH_MAX of Linux
MOST_TEXTS = 2_000  # texts of one input that can be paths: each costs 10 us to look up
MOST_STEPS = 2**22
"""What all of them may cost, where a path of n folders costs n x (n + 64): with `..` in it each folder is looked at for
1 to 3 us, and one that does not exist may be looked for from the root on, n times. 2,000 paths of 20 folders pass, or
one of 2,000: 0.1 s."""
TOO_LONG = "the call has more paths, or longer ones, than can be looked up: split it"
MOST_VALUES = 200_000  # values of one input


class Protection:
    """The self-protection of one plan. One serves many threads and sessions."""

    def __init__(self, locked: Plan, environ: Mapping[str, str] = os.environ) -> None:
        self._plan, self._environ = locked, environ
        self._paths: dict[tuple[str | None, ...], tuple[float, Protected]] = {}

    @classmethod
    def of(cls, locked: Plan) -> Protection:
        """The protection of the files that *locked* names, and of this user's."""
        return cls(locked)

    def refusal(self, event: Event, environ: Mapping[str, str] | None = None, until: int = 0) -> str:
        """Why *event* may not happen, in one line; empty if nothing speaks against it. *environ* is the environment of
        the agent, by default our own.

        Raises:
            NotAtOnce: if that takes until *until*, in nanoseconds of `perf_counter_ns`; never if that is 0.
        """
        try:
            if event.name in TOOL_GATES:
                tool = event.tool or ""
                if tool in READING:
                    return ""
                return self._tool(tool, event, Timed(self._protected(event, environ), until))
            if event.name == "ConfigChange":
                from wasmguard.protection.settings import refusal

                return refusal(event.fields, self._protected(event, environ), _cwd(event))
        except NotAtOnce:
            raise
        except TooLong:
            return TOO_LONG
        except Exception as error:  # noqa: BLE001  # a bug of ours must not open the door (rule 5)
            return f"self-protection failed: {type(error).__name__}: please report it"
        return ""

    def _protected(self, event: Event, given: Mapping[str, str] | None) -> Protected:
        """The protected paths, as *event* and the environment *given* place the agent's settings. They are looked up
        anew after a while: links on the way may lead elsewhere now."""
        environ, folder = self._environ if given is None else given, _settings_of(event)
        own = environ is self._environ  # which is looked at again with the rest: ten variables would take 9 us
        key, now = (folder, *(() if own else map(environ.get, PLACING))), monotonic()
        until, paths = self._paths.get(key, (0.0, None))
        if paths is None or until < now:
            if len(self._paths) >= MOST_AGENTS:
                self._paths.clear()
            paths = Protected.of(self._plan, environ, folder)
            self._paths[key] = now + FRESH, paths
        return paths

    def _tool(self, tool: str, event: Event, paths: Protected) -> str:
        cwd, takes = _cwd(event), _takes(tool)
        texts = steps = 0
        for key, text in _texts(event.input):
            if key in COMMANDS and (refused := _refused(tool, text, paths, cwd)):
                return refused
            if key in CONTENT or len(text) > LONGEST_PATH or "\n" in text or not _is_local(text):
                continue
            folders = text.count("/") + 1
            texts, steps = texts + 1, steps + folders * (folders + 64)
            if texts > MOST_TEXTS:
                return f"the call has more than {MOST_TEXTS:_} texts that could be paths: split it"
            if steps > MOST_STEPS:
                return TOO_LONG
            if found := paths.found(text, cwd):
                return refusal_to("write", found, paths.why(found))
            if takes and (held := paths.above(text, cwd)):
                return refusal_to("move or delete", text, f"which holds `{held}`")
        return ""


def _settings_of(event: Event) -> str:
    """The folder of the agent's settings, as far as *event* tells: its transcripts are in `projects/` there."""
    given = event.fields.get("transcript_path")
    folder, found, _ = given.rpartition("/projects/") if isinstance(given, str) else ("", "", "")
    return folder if found and folder[:1] == "/" and len(folder) <= LONGEST_PATH else ""


def _refused(tool: str, command: str, paths: Protected, cwd: str) -> str:
    from wasmguard.protection import shell

    judge = shell.power_shell_refusal if tool in POWER_SHELLS else shell.refusal
    return judge(command, paths, cwd)


def _texts(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in *given* with the key it stands under; keys are texts too.

    Raises:
        ValueError: if there are too many values.
    """
    waiting: list[tuple[str, Any]] = [("", given)]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        key, value = waiting.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            for inner, below in value.items():
                if "/" in inner or "." in inner:  # as in `{"files": {"/a/path": "content"}}`
                    yield "", inner
                waiting.append((inner, below))
        elif isinstance(value, (list, tuple)):
            waiting.extend((key, below) for below in value)
    raise ValueError("the input has too many values")


def _is_local(text: str) -> bool:
    """Whether *text* can name a file of this machine: no address of another."""
    return "://" not in text or text[:7].lower() == "file://"


def _takes(tool: str) -> bool:
    name = tool.lower()
    return any(act in name for act in TAKING)


def _cwd(event: Event) -> str:
    """The folder that the agent is in."""
    given = event.fields.get("cwd")
    return given.partition("\0")[0] if isinstance(given, str) and given[:1] == "/" else os.getcwd()
