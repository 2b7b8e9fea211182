"""Messages that do not get on: counted per channel, for an alarm, and told to nobody."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Database
from service_kit.rows import Shape

from crm_channels_waha import metrics
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.outbound.holding import hold_of

_EVERY_SECONDS = 15.0
# One that waits is being tried now and again: `sending` is no other state to whoever looks.
_STALLED = """
SELECT channel_id, CASE state WHEN 'unknown' THEN 'unknown' ELSE 'pending' END AS state,
    bulk AND state = 'pending' AS may_be_held, count(*) AS messages FROM outbound_messages
WHERE state IN ('pending', 'sending', 'unknown') AND target_id IS NULL
    AND created_at < now() - make_interval(secs => $1)
GROUP BY 1, 2, 3
"""
_CHANNELS = "SELECT * FROM channels WHERE id = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True)
class _Stalled:
    channel_id: UUID
    state: str
    may_be_held: bool
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
        """Count now. A channel without such messages is not named; what is held is none."""
        async with self._database.system("send") as tx:
            counts = await _COUNTS.find(tx, _STALLED, self._after_seconds)
        holding = await self._holding({one.channel_id for one in counts if one.may_be_held})
        stalled: Counter[tuple[UUID, str]] = Counter()
        for one in counts:
            if not (one.may_be_held and one.channel_id in holding):
                stalled[one.channel_id, one.state] += one.messages
        metrics.WAHA_STALLED.clear()
        for (channel_id, state), messages in stalled.items():
            metrics.WAHA_STALLED.labels(str(channel_id), state).set(messages)

    async def _holding(self, channel_ids: Collection[UUID]) -> set[UUID]:
        """Those of the channels that hold their bulk: it waits because somebody wants it to."""
        if not channel_ids:
            return set()
        async with self._database.system("status") as tx:
            rows = await CHANNELS.find(tx, _CHANNELS, list(channel_ids))
        now = datetime.now(UTC)
        return {row.id for row in rows if hold_of(row, now) is not None}
