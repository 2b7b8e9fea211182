"""Messages that do not get on: counted per channel, for an alarm, and told to nobody."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from service_kit.database import Database
from service_kit.rows import Shape

from crm_channels_waha import metrics
from crm_channels_waha.outbound.holding import Holds, holds_by_channel

_EVERY_SECONDS = 15.0
# One that waits is being tried now and again: `sending` is no other state to whoever looks.
_STALLED = """
SELECT channel_id, CASE state WHEN 'unknown' THEN 'unknown' ELSE 'pending' END AS state,
    CASE WHEN state <> 'pending' THEN NULL WHEN bulk THEN 'bulk' WHEN NOT proved THEN 'strangers'
        END AS kind,
    count(*) AS messages FROM outbound_messages
WHERE state IN ('pending', 'sending', 'unknown') AND target_id IS NULL
    AND created_at < now() - make_interval(secs => $1)
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class _Stalled:
    channel_id: UUID
    state: str
    kind: Literal["bulk", "strangers"] | None
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
        async with self._database.system("status") as tx:
            may_hold = {one.channel_id for one in counts if one.kind is not None}
            holds = await holds_by_channel(tx, may_hold)
        stalled: Counter[tuple[UUID, str]] = Counter()
        for one in counts:
            if not _is_held(one, holds):
                stalled[one.channel_id, one.state] += one.messages
        metrics.WAHA_STALLED.clear()
        for (channel_id, state), messages in stalled.items():
            metrics.WAHA_STALLED.labels(str(channel_id), state).set(messages)


def _is_held(one: _Stalled, holds: dict[UUID, Holds]) -> bool:
    if one.kind is None or one.channel_id not in holds:
        return False
    return getattr(holds[one.channel_id], one.kind) is not None
