"""Which partition of a split queue a message goes to (docs/adr/0034).

Who publishes counts a slot from what the order is kept within, and says it in a header. Every split
queue gives all slots to its partitions, each to one, the same way at any time and on any broker.
"""

import zlib
from functools import cache
from typing import Any
from uuid import UUID

SLOT = "slot"
"""The header."""

SLOTS = 64
"""No queue can have more partitions. Each costs the broker a comparison for every message."""


def slot_of(key: UUID | str) -> int:
    """The slot of what the order is kept within: an aggregate, a channel (CRC-32 of its text)."""
    return zlib.crc32(str(key).encode()) % SLOTS


def of_slot(slot: int) -> dict[str, Any]:
    """The arguments of a binding from a headers exchange that takes this slot's messages."""
    return {"x-match": "all", SLOT: slot}


@cache
def owners(partitions: int) -> tuple[tuple[int, ...], ...]:
    """Of each slot the partition that has it, the last named, after those that had it before.

    Before, when there were fewer: a new partition takes its share from those that have most, and
    nothing else moves, so that more partitions break the order of the fewest keys once.
    """
    history = [[0] for _ in range(SLOTS)]
    for new in range(1, partitions):
        for _ in range(SLOTS // (new + 1)):
            slots = _slots_by_owner(history)
            fullest = max(range(new), key=lambda one: len(slots[one]))
            history[slots[fullest][-1]].append(new)
    return tuple(map(tuple, history))


def _slots_by_owner(history: list[list[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for slot, held_by in enumerate(history):
        found.setdefault(held_by[-1], []).append(slot)
    return found
