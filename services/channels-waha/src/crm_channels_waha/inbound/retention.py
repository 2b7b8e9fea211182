"""Raw events are personal and kept for a while only."""

from service_kit.database import Transaction

_BATCH = 5000


async def purge_raw_events(tx: Transaction, *, days: float) -> bool:
    """Delete raw events older than so many days; whether there may be more."""
    deleted = await tx.execute(
        "DELETE FROM raw_events WHERE id IN (SELECT id FROM raw_events"
        " WHERE received_at < now() - make_interval(secs => $1) LIMIT $2)",
        days * 86_400,
        _BATCH,
    )
    return deleted == _BATCH
