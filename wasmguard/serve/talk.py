"""A conversation with one client, without its socket: bytes in, questions out, answers in, bytes out.

1. A question is whole or it is none. Its payload may come in any pieces; each byte is copied a fixed number of times.
2. What cannot be a question ends the talk, and is not answered: who speaks like that could not read an answer either.
3. A client may send questions ahead. They are taken one at a time, each after the one before was answered.
4. Nothing here raises, waits or looks at a clock: what a client sends decides nothing but its own talk.

`FrameTalk` speaks the frames of `wasmguard.link`; the conversation over HTTP has the same methods.
"""

from __future__ import annotations

from wasmguard import link
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Talk(Protocol):
        """What the worker knows of a conversation."""

        out: bytearray
        """What is to be sent; whoever sends it takes it away."""
        over: bool
        """Nothing more is heard: close when `out` is sent."""
        need: int
        """Bytes of a payload that was announced and is not there yet; 0 if none was."""

        @property
        def begun(self) -> bool:
            """Whether a part of a question is there, and the rest is not."""

        def received(self, data: bytes) -> None:
            """Hear *data*. Never raises."""

        def question(self) -> Question | None:
            """The next whole question. Each has to be answered before the next is taken."""

        def answer(self, question: Question, code: int, answer: bytes, complaint: bytes) -> None:
            """Say the answer to *question*."""


METRICS, PERMISSION, SCHEMA = 4, 5, 6
"""Kinds of questions beside those of `link`, which nobody asks in frames: for Prometheus; whether a tool may run, in
the form of SDK callbacks (`wasmguard.agents.sdk`); and what such questions and answers look like."""


class Question(Value):
    """One question of a client."""

    kind: int
    """`link.EVENT`, `link.STATUS`, `link.STOP`, `METRICS`, `PERMISSION` or `SCHEMA`."""
    payload: bytes
    """The event, or the call that may run or not."""
    context: Mapping[str, str]
    """Variables of the agent's environment, see `link.CONTEXT`."""
    ours: bool = True
    """Whether it comes from a client of our version, and is meant for us."""
    last: bool = False
    """Whether the talk ends with its answer."""


class FrameTalk:
    """A conversation in the frames of `wasmguard.link`."""

    def __init__(self, path: str) -> None:
        """Events are for a daemon that listens at *path*; see rule 6 there."""
        self._path = path
        self.out, self.over, self.need = bytearray(), False, 0
        self._in = bytearray()
        self._end = 0  # of the question that is coming, as soon as its head is there
        self._kind, self._ours = 0, False

    @property
    def begun(self) -> bool:
        """Whether a part of a question is there, and the rest is not."""
        return bool(self._in) and (not self._end or self.need > 0)

    def received(self, data: bytes) -> None:
        """Hear *data*. Never raises."""
        if not self.over:
            self._in += data  # grows by an eighth at a time: pieces cost what they are long
            self._look()

    def question(self) -> Question | None:
        """The next whole question. Each has to be answered before the next is taken."""
        if self.over or not self._end or self.need:
            return None
        try:
            context, payload = self._payload()
        except ValueError:
            self._garbage()
            return None
        ours = self._ours and (self._kind != link.EVENT or context.pop(link.SOCKET, "") == self._path)
        question = Question(kind=self._kind, payload=payload, context=context, ours=ours)
        del self._in[: self._end]
        self._end = 0
        self._look()
        return question

    def answer(self, question: Question, code: int, answer: bytes, complaint: bytes) -> None:
        """Say the answer to *question*."""
        self.out += link.answered(code, answer, complaint)
        self.over = self.over or question.last

    def _look(self) -> None:
        """Read the head of the next question if it is there, and say how much is missing."""
        if not self._end:
            if len(self._in) < link.QUESTION:
                if not link.MAGIC.startswith(self._in[: len(link.MAGIC)]):
                    self._garbage()
                return
            try:
                self._kind, self._ours, length = link.asked(bytes(self._in[: link.QUESTION]))
            except ValueError:
                self._garbage()
                return
            self._end = link.QUESTION + length
        self.need = max(0, self._end - len(self._in))

    def _payload(self) -> tuple[dict[str, str], bytes]:
        """Context and event, each copied once.

        Raises:
            ValueError: if they are none.
        """
        begin = link.QUESTION
        if self._kind != link.EVENT or not self._ours:  # another version may say it in another way
            return {}, b""
        length = int.from_bytes(self._in[begin : begin + 4], "big")
        if length > link.LARGEST_CONTEXT or begin + 4 + length > self._end:
            raise ValueError("no context")
        event = begin + 4 + length
        context, _ = link.without_context(bytes(self._in[begin:event]))
        with memoryview(self._in) as view:
            return context, bytes(view[event : self._end])

    def _garbage(self) -> None:
        self.over, self.need, self._end = True, 0, 0
        self._in.clear()
