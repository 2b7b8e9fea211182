"""Messages that do not get on: counted per channel, for an alarm, and told to nobody."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Database
from service_kit.rows import Shape

from crm_channels_waha import metrics

_EVERY_SECONDS = 15.0
# One that waits is being tried now and again: `sending` is no other state to whoever looks.
_STALLED = """
SELECT channel_id, CASE state WHEN 'unknown' THEN 'unknown' ELSE 'pending' END AS state,
    count(*) AS messages FROM outbound_messages
WHERE state IN ('pending', 'sending', 'unknown') AND target_id IS NULL
    AND created_at < now() - make_interval(secs => $1)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class _Stalled:
    channel_id: UUID
    state: str
    messages: int


_COUNTS = Shape(_Stalled)


class StallAlarm:
    """Counts what WhatsApp has not got for so long, in every replica alike."""

    def __init__(self, database: Database, after_seconds: float) -> None:
        self._database = database
        self._after_seconds = after_seconds

    async def run(self) -> None:
        """Count forever."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY_SECONDS)

    async def once(self) -> None:
        """Count now. A channel without such messages is not named."""
        async with self._database.system("send") as tx:
            counts = await _COUNTS.find(tx, _STALLED, self._after_seconds)
        metrics.WAHA_STALLED.clear()
        for one in counts:
            metrics.WAHA_STALLED.labels(str(one.channel_id), one.state).set(one.messages)
