"""An MCP server on standard input and output: tools that say the secret in every way a tool can, and one that asks.

`text`, `many` (blocks and a resource), `picture`, `structured` (which arrives as text) and `fails` say it; `asks` asks
the user a question, and says what was answered.
"""

import json
import sys

SECRET = "sk-live-4242"  # nobody's
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text(said):
    return {"type": "text", "text": said}


RESULTS = {
    "text": {"content": [text(f"one {SECRET}")]},
    "many": {
        "content": [
            text(f"one {SECRET}"),
            text(f"two {SECRET}"),
            {"type": "resource", "resource": {"uri": "file:///r", "text": f"three {SECRET}", "mimeType": "text/plain"}},
        ]
    },
    "picture": {"content": [text(SECRET), {"type": "image", "data": PICTURE, "mimeType": "image/png"}]},
    "structured": {"content": [text("it is below")], "structuredContent": {"key": SECRET}},
    "fails": {"content": [text(f"no {SECRET}")], "isError": True},
}
TOOLS = [{"name": name, "description": "d", "inputSchema": {"type": "object"}} for name in (*RESULTS, "asks")]
QUESTION = {"message": "your key?", "requestedSchema": {"type": "object", "properties": {"key": {"type": "string"}}}}


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main():
    asking = None
    for line in sys.stdin:
        message = json.loads(line)
        method, about = message.get("method"), message.get("params", {})
        if method is None and asking is not None:
            send(id=asking, result={"content": [text(f"answered: {message['result']['action']}")]})
            asking = None
        elif method == "initialize":
            said = {"capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
            send(id=message["id"], result={"protocolVersion": about["protocolVersion"], **said})
        elif method == "tools/list":
            send(id=message["id"], result={"tools": TOOLS})
        elif method == "tools/call" and about["name"] == "asks":
            asking = message["id"]
            send(id="question", method="elicitation/create", params=QUESTION)
        elif method == "tools/call":
            send(id=message["id"], result=RESULTS[about["name"]])
        elif "id" in message and method:
            send(id=message["id"], result={})


if __name__ == "__main__":
    main()
