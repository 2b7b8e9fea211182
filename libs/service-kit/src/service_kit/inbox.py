"""The inbox: each event takes effect once per consumer.

The row is inserted first, in the transaction of the effect: a second delivery finds it and does
nothing, a failed effect takes its row away with it. Check-then-mark doubles; this does not.
"""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction

_CLAIM = """
INSERT INTO processed_events (event_id, consumer_name)
SELECT e, $2 FROM unnest($1::uuid[]) AS e
ON CONFLICT (event_id, consumer_name) DO NOTHING
RETURNING event_id
"""


async def claim(tx: Transaction, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the events this consumer has not seen; the others were already applied."""
    # Sorted, so that two that were given the same events never wait for each other in a circle.
    rows = await tx.fetch(_CLAIM, sorted(set(event_ids)), consumer)
    return {row["event_id"] for row in rows}


async def release(tx: Transaction, consumer: str, event_id: UUID) -> None:
    """Take a claim back: what it was for was not done."""
    await tx.execute(
        "DELETE FROM processed_events WHERE event_id = $1 AND consumer_name = $2",
        event_id,
        consumer,
    )
