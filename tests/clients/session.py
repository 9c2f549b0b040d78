"""A session of the real client whose callbacks are answered by a test: what an SDK of any language does, bare.

The client speaks JSON lines on its standard input and output (`--input-format stream-json`): it asks `hook_callback`
and `can_use_tool`, and takes the answers as they are. So a test sees what the client makes of the words of an SDK.
"""

import json
import os
import signal
import subprocess
import threading
import uuid

from tests.e2e.drive_claude import FOLDERS, MARK, clean_environment, client
from tests.e2e.mock_api import MockAPI

SECONDS = 90
COMMAND = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
COMMAND += ["--permission-prompt-tool", "stdio"]


class Session:
    """What happened: `asked` (what the client asked and was told), `results` of tools, `ended` of turns."""

    def __init__(self, root, script, *, hooks, hook, can_use_tool, arguments=(), prompts=("go on",)):
        """Run *script* (see `mock_api`) in the folder *root*. *hooks* is what the client is told to ask about; *hook*
        and *can_use_tool* answer. Each of *prompts* is said when the one before is done."""
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        self.root, self.asked, self.results, self.ended = root, [], [], []
        self._hook, self._can_use_tool = hook, can_use_tool
        script = json.loads(json.dumps(script).replace("$DATA", str(root / "data")))
        with MockAPI({"main": script}) as api:
            environment = {**clean_environment(root, api.url), MARK: uuid.uuid4().hex}
            self._process = subprocess.Popen(
                [str(client()), *COMMAND, *arguments],
                cwd=root / "project",
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )
            late = threading.Timer(SECONDS, self._kill)
            late.start()
            try:
                self._talk(hooks, list(prompts))
                self._process.wait(timeout=SECONDS)
            finally:
                late.cancel()
                self._kill()
                self._process.wait(timeout=SECONDS)
                self._process.stdin.close()
                self._process.stdout.close()
            self.requests = api.requests

    def files(self):
        """What is on the disk: name -> text, of the folders that tools write to."""
        folders = (self.root / "data", self.root / "sandbox")
        found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_text(encoding="utf-8") for path in found}

    def _kill(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _say(self, **message):
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _prompt(self, text):
        said = {"role": "user", "content": f"{text} [[script:main]]" if not self.ended else text}
        self._say(type="user", message=said, parent_tool_use_id=None, session_id="")

    def _talk(self, hooks, prompts):
        self._say(type="control_request", request_id="1", request={"subtype": "initialize", "hooks": hooks})
        self._prompt(prompts.pop(0))
        for line in self._process.stdout:
            message = json.loads(line)
            if message["type"] == "control_request":
                self._answer(message["request_id"], message["request"])
            elif message["type"] == "user" and isinstance(message["message"]["content"], list):
                self.results += [block for block in message["message"]["content"] if block["type"] == "tool_result"]
            elif message["type"] == "result":
                self.ended.append(message)
                if not prompts:
                    self._process.stdin.close()
                    return
                self._prompt(prompts.pop(0))

    def _answer(self, number, request):
        if request["subtype"] == "hook_callback":
            answer = self._hook(request["input"], request.get("tool_use_id"))
        else:
            answer = self._can_use_tool({k: v for k, v in request.items() if k != "subtype"})
        self.asked.append((request, answer))
        self._say(type="control_response", response={"subtype": "success", "request_id": number, "response": answer})
