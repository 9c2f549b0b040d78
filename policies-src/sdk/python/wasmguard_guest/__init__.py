"""What a policy in Python stands on. README.md is the whole of it on one page.

from wasmguard_guest import Answer, Request, deny, pass_, policy

@policy
def judge(request: Request) -> Answer:
    if request.tool_name == "Bash":
        return deny("no shell here")
    return pass_()
"""

from wasmguard_guest.answer import Answer, allow, ask, deny, pass_, rewrite
from wasmguard_guest.evaluate import policy
from wasmguard_guest.paths import normal, within
from wasmguard_guest.reader import Malformed
from wasmguard_guest.request import Request

__all__ = [
    "Answer",
    "Malformed",
    "Request",
    "allow",
    "ask",
    "deny",
    "normal",
    "pass_",
    "policy",
    "rewrite",
    "within",
]
