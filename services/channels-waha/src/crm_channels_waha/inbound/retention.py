"""Raw events are personal and kept for a while only."""

import asyncio

from service_kit.database import Database

_EVERY_SECONDS = 3600.0
_BATCH = 5000


async def purge_raw_events(database: Database, days: float) -> None:
    """Delete raw events older than so many days, every hour, for ever."""
    while True:
        deleted = _BATCH
        while deleted == _BATCH:
            async with database.system("purge") as tx:
                deleted = await tx.execute(
                    "DELETE FROM raw_events WHERE id IN (SELECT id FROM raw_events"
                    " WHERE received_at < now() - make_interval(secs => $1) LIMIT $2)",
                    days * 86_400,
                    _BATCH,
                )
        await asyncio.sleep(_EVERY_SECONDS)
