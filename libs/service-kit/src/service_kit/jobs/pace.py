"""How fast jobs may go: the bus is everybody's."""

from service_kit.database import Transaction

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
