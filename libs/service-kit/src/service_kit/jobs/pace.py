"""How fast jobs may go: the process, the database and the bus are everybody's."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from service_kit.database import Transaction

Item = TypeVar("Item")

SLICE = 25
"""Of rows: a millisecond or two of the process' time, which an answer may come to wait for."""
LOOK_SECONDS = 0.01
PROMPT_SECONDS = 0.003
"""Who is called so little after the time had the process, and the processor, for himself."""
MOST_SECONDS = 2.0

# Of one company: the table's policy sees to it that nobody else's are counted.
_WAITING = """
SELECT count(*) FROM (
    SELECT FROM outbox_events
    WHERE tenant_id = $1 AND processed_at IS NULL AND failed_at IS NULL LIMIT $2) AS waiting
"""


async def is_behind(tx: Transaction, most: int) -> bool:
    """Whether so many events of the company wait for the relay: who makes more of them waits."""
    waiting: int = await tx.fetchval(_WAITING, tx.tenant_id, most)
    return waiting >= most


async def slices(items: Sequence[Item]) -> AsyncIterator[Sequence[Item]]:
    """The items, some at a time; between them whoever is to be answered is.

    A thread would not do as well: whoever is called meanwhile gets its turn after 5 ms only.
    """
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
        await asyncio.sleep(0)


async def give_way(seconds: float) -> None:
    """Let others go first, after work that took so many seconds.

    A moment when nobody is in the way: who sleeps for a short time and is called in time had no
    company. Among others it is as long as the work took, so that half of the time is theirs.
    """
    until = time.monotonic() + min(seconds, MOST_SECONDS)
    is_late = True
    while is_late:
        began = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        ended = time.monotonic()
        is_late = ended - began > LOOK_SECONDS + PROMPT_SECONDS and ended < until
