"""What is wrong with something a service stands on, for who is to cure it (`doctor`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ailment:
    """What was seen, without a secret, and what to do about it."""

    said: str
    cure: str


Examination = Callable[[], Awaitable[list[Ailment]]]
"""Asks one thing; nothing is wrong with it if nothing is returned."""
