"""Drive the real Claude Agent SDK and its client, offline, against `mock_api`, and say what happened.

    async def ...:
        outcome = await session(root, options, [[{"tool": "Write", "input": {...}}], [{"text": "end"}]])
        outcome.results, outcome.files(), outcome.ended

As `drive_claude`: a run has folders of its own, an environment built from nothing but what the SDK itself adds, and
leaves no process behind. Believe the disk first. `client=True` goes through `ClaudeSDKClient`, else `query`.
"""

import asyncio
import dataclasses
import uuid

from tests.e2e.drive_claude import FOLDERS, MARK, _filled, _swept, clean_environment
from tests.e2e.mock_api import MockAPI

LONGEST = 60  # seconds of one session


@dataclasses.dataclass
class Outcome:
    """What happened in one session."""

    root: object
    results: list = dataclasses.field(default_factory=list)  # (tool, is_error, text) as the model was told
    messages: list = dataclasses.field(default_factory=list)
    ended: object = None  # the ResultMessage
    error: object = None  # what the SDK raised
    requests: list = dataclasses.field(default_factory=list)
    left_over: list = dataclasses.field(default_factory=list)

    def files(self):
        """{relative path: text} of the files below project, data and sandbox."""
        tops = (self.root / name for name in ("project", "data", "sandbox"))
        found = sorted(
            path for top in tops for path in top.rglob("*") if path.is_file() and ".claude" not in path.parts
        )
        return {str(path.relative_to(self.root)): path.read_text(encoding="utf-8") for path in found}

    @property
    def told(self):
        """What the model was told about its calls, in order."""
        return [text for _, _, text in self.results]


def folders(root):
    """Make the folders of a run below *root*."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


async def session(root, options, script, *, scripts=None, client=False, prompt="go on", meanwhile=None, then=None):
    """One session in *root* with *options*.

    With *client*, `meanwhile(client)` is awaited beside it, and *then* is a second prompt.
    """
    import claude_agent_sdk as sdk

    folders(root)
    outcome, mark = Outcome(root), uuid.uuid4().hex
    with MockAPI(_filled({"main": script, **(scripts or {})}, root)) as api:
        environment = {**clean_environment(root, api.url), MARK: mark, **options.env}
        options = dataclasses.replace(options, cwd=root / "project", env=environment)
        prompt = f"{prompt} [[script:main]]"
        try:
            async with asyncio.timeout(LONGEST):
                if client:
                    await _with_client(sdk, options, [prompt, then], outcome, meanwhile)
                else:
                    async for message in sdk.query(prompt=prompt, options=options):
                        _read(sdk, message, outcome)
        except sdk.ClaudeSDKError as error:  # a run that was interrupted ends with one
            outcome.error = error
        finally:
            outcome.left_over = _swept(mark)
        outcome.requests = api.requests
    calls = {}
    for message in outcome.messages:
        for part in getattr(message, "content", None) or ():
            if isinstance(part, sdk.ToolUseBlock):
                calls[part.id] = part.name
            elif isinstance(part, sdk.ToolResultBlock):
                outcome.results.append((calls.get(part.tool_use_id), bool(part.is_error), _text(part.content)))
    return outcome


async def _with_client(sdk, options, prompts, outcome, meanwhile):
    async with sdk.ClaudeSDKClient(options=options) as client:
        beside = asyncio.ensure_future(meanwhile(client)) if meanwhile else None
        for prompt in filter(None, prompts):
            await client.query(prompt)
            async for message in client.receive_response():
                _read(sdk, message, outcome)
        if beside:
            await beside


def _read(sdk, message, outcome):
    if isinstance(getattr(message, "content", None), str):
        return
    outcome.messages.append(message)
    if isinstance(message, sdk.ResultMessage):
        outcome.ended = message


def _text(content):
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(part.get("text", "") for part in content)
