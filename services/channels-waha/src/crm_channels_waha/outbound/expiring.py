"""Messages that were not sent in time fail, whatever holds back their chat or their channel."""

import asyncio

from service_kit.database import Database

from crm_channels_waha.channels.waking import wake
from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.ledger import MESSAGES

EXPIRED = "expired"
REASON = "It was not sent before its expires_at."
_EVERY_SECONDS = 1.0
_BATCH = 500
_EXPIRE = """
UPDATE outbound_messages SET state = 'failed', reason = $1, next_attempt_at = NULL,
    updated_at = now()
WHERE seq IN (SELECT seq FROM outbound_messages
    WHERE state = 'pending' AND expires_at <= now()
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


class Expiry:
    """Looks for what has expired, in every replica: each is failed and told of once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Fail what expires, forever."""
        while True:
            while await self.once() == _BATCH:
                pass  # there may be more
            await asyncio.sleep(_EVERY_SECONDS)

    async def once(self) -> int:
        """Fail what has expired, of whatever companies; returns how many."""
        async with self._database.system("send") as tx:
            rows = await MESSAGES.find(tx, _EXPIRE, f"{EXPIRED}: {REASON}", _BATCH)
            if not rows:
                return 0
            await tx.act_for(*sorted({row.tenant_id for row in rows}))
            for row in rows:
                ledger.tell_failed(tx, row, EXPIRED, REASON)
            await wake(tx, {row.channel_id for row in rows})
        return len(rows)
