"""The small guard as a guest: one text of WebAssembly behind the head of whoever asks it, and what it is asked with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wasmguard.decision import Effect
from wasmguard.event import Event
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.sandbox.assemble import assembled

if TYPE_CHECKING:
    from wasmguard.workshop.bench.variant import Given

HERE = os.path.dirname(os.path.abspath(__file__))
ABI, EXTISM = "abi.wat", "extism.wat"
SETTINGS = encode_settings({})


def module(head: str) -> bytes:
    """The guard as a module for who asks through the functions in the file *head*."""
    return assembled(f"(module\n{_text(head)}{_text('guard.wat')})\n")


def asked(given: Given) -> bytes:
    """The request about an event, encoded anew."""
    event = Event(name=given.fields["hook_event_name"], agent="claude", fields=given.fields)
    return request(encode_event(event), SETTINGS)


def stops(answer: bytes) -> bool:
    """Whether *answer*, decoded and checked, is a deny.

    Raises:
        InvalidAnswer: if it is none.
    """
    return decode_answer(answer).effect is Effect.DENY


def _text(name: str) -> str:
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()
