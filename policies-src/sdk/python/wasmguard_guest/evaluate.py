"""From the bytes of a request to those of an answer, and nothing but an error in between."""

from __future__ import annotations

from wasmguard_guest.answer import Answer
from wasmguard_guest.request import Request

TYPE_CHECKING = False  # see request.py
if TYPE_CHECKING:
    from collections.abc import Callable

    Judge = Callable[[Request], Answer]

_judges: list[Judge] = []


def policy(judge: Judge) -> Judge:
    """Marks the one function that is the policy."""
    if _judges:
        raise TypeError(f"there are two policies, `{_judges[0].__name__}` and `{judge.__name__}`: keep one `@policy`")
    _judges.append(judge)
    return judge


def evaluated(data: bytes) -> bytes:
    """What the policy answers. Everything that goes wrong is an exception, which the host makes a deny."""
    answer = marked()(Request(data))
    if not isinstance(answer, Answer):
        raise TypeError(f"the policy returned {type(answer).__name__} and no Answer: return pass_() for no opinion")
    return answer.encoded()


def marked() -> Judge:
    """The policy."""
    if not _judges:
        raise TypeError("there is no policy: mark a function with `@policy`")
    return _judges[0]
