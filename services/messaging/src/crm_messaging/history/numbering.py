"""Which places history gets in a conversation. Nothing here does I/O.

What is older than all that is there gets numbers below the first, so that nothing moves. What was
said in between gets the place its time belongs to, and what is behind it moves up: so no two of
those that were there pass each other, and there is no gap (docs/adr/0024-history.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Shift:
    """Messages from the place `first` on, and before the place `end`, move up by so many."""

    first: int
    end: int
    by: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """The place of each message, what moves for them, and how many are new behind the first."""

    places: tuple[int, ...]
    shifts: tuple[Shift, ...]
    inserted: int
    read: int
    """How many of them stand before what was read last."""


def number(
    befores: Sequence[int | None],
    *,
    head: int | None,
    tail: int,
    read_seq: int,
    recovered: bool = False,
) -> Numbers:
    """Places for messages that are given oldest first.

    `befores` are the places of the first message that is not older than each, None where all are.
    `head` is the place of the first message there is, None where there is none, `tail` the last's.
    What was `recovered` is no history, and never stands in front of the first number.
    """
    fronts = len(befores) if head is None else sum(before == head for before in befores)
    fronts = 0 if recovered else fronts
    first = tail + 1 if head is None else head
    places = [first - fronts + n for n in range(fronts)]
    inserted = [tail + 1 if before is None else before for before in befores[fronts:]]
    places += [before + n for n, before in enumerate(inserted)]
    starts = sorted(set(inserted))
    shifts = [
        Shift(start, end, sum(before <= start for before in inserted))
        for start, end in pairwise([*starts, tail + 1])
        if start < end
    ]
    read = sum(before <= read_seq for before in inserted)
    return Numbers(tuple(places), tuple(shifts), len(inserted), read)
