"""What starts the client without hooks, an SDK's callbacks included, although nothing fails.

In its simple mode Claude Code 2.1.330 takes the callbacks that it is given, and never calls them. Measured: `--bare`
does that, and so does `CLAUDE_CODE_SIMPLE`, be it in the environment, in the user's settings or in those of the
options, but not in a project's. `disableAllHooks` and `--safe-mode` do not concern callbacks. So

1. arguments that bring it, or that would stand behind ours on the command line, are refused;
2. the settings of the options set the variable to nothing. They go before the environment and all other settings but an
   administrator's; a settings file named there is read once, now.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wasmguard.errors import ConfigError
from wasmguard.text import one_line
from wasmguard.wire import read_strictly, written

if TYPE_CHECKING:
    from typing import Any

    from claude_agent_sdk import ClaudeAgentOptions

SIMPLE = "CLAUDE_CODE_SIMPLE"

_REFUSED = {
    "bare": "it starts the client without hooks: leave it out",
    "settings": "it would replace ours: use the option `settings`",
    "permission-prompt-tool": "it would answer in our place: leave it out",
}


def hooked(base: ClaudeAgentOptions) -> str:
    """The `settings` of *base*, with which the client calls its hooks.

    Raises:
        ConfigError: if it would not, or if the settings cannot be read.
    """
    for argument in base.extra_args:
        name = argument.partition("=")[0].strip().lstrip("-")
        if name in _REFUSED:
            raise ConfigError(f"the options have the extra argument `{one_line(argument, 60)}`: {_REFUSED[name]}")
    settings = _settings(base)
    environment = settings.get("env", {})
    if type(environment) is not dict:
        raise ConfigError("`env` in the settings of the options is no object: the client would drop all of them")
    return written({**settings, "env": {**environment, SIMPLE: ""}})


def _settings(base: ClaudeAgentOptions) -> dict[str, Any]:
    """The settings of *base* as they are read by the SDK: an object as text, or a file below its `cwd`."""
    given = (base.settings or "").strip()
    if not given:
        return {}
    try:
        if not (given.startswith("{") and given.endswith("}")):
            given = (Path(base.cwd or "") / given).read_text(encoding="utf-8-sig")
        settings = read_strictly(given)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"the settings of the options cannot be read: {one_line(str(error), 200)}") from None
    if type(settings) is not dict:
        raise ConfigError("the settings of the options are no JSON object")
    return settings
