"""Restrictions: for a while WhatsApp lets an account write to nobody new (docs/waha.md)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from shared_events.channels.channel import (
    Channel,
    ChannelRestricted,
    ChannelRestriction,
    ChannelRestrictionLifted,
)

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS
from crm_channels_waha.channels.waking import wake
from crm_channels_waha.waha.meaning import Restriction

FIRST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(days=1)
"""Of restrictions whose end nobody names; each that follows within the longest is twice as long."""
_LOOK_EVERY_SECONDS = 5.0

_BEGIN = """
UPDATE channels SET restricted_since = $3, restricted_until = $4, restriction_reason = $5,
    restriction_lifted_at = NULL WHERE tenant_id = $1 AND id = $2 RETURNING *
"""
_LIFT = """
UPDATE channels SET restriction_lifted_at = now()
WHERE tenant_id = $1 AND id = $2 AND restricted_until IS NOT NULL
    AND restriction_lifted_at IS NULL AND restricted_until <= coalesce($3, restricted_until)
RETURNING *
"""
_ENDED = """
SELECT * FROM channels WHERE restricted_until IS NOT NULL AND restriction_lifted_at IS NULL
    AND restricted_until <= now() ORDER BY restricted_until LIMIT 100
"""


def of(row: ChannelRow, now: datetime) -> ChannelRestriction | None:
    """The restriction a channel is under, if it is."""
    since, until = row.restricted_since, row.restricted_until
    if since is None or until is None or until <= now or row.restriction_lifted_at is not None:
        return None
    return ChannelRestriction(reason=row.restriction_reason or "", since=since, until=until)


def ends_at(row: ChannelRow, told: Restriction, now: datetime) -> datetime | None:
    """Until when a channel is restricted by what it is told of; None where that is no news.

    What was told before the last one was lifted, or ended by now, is none, nor that one goes on
    whose end is known. An end that nobody names is guessed, each time later.
    """
    lifted_at = row.restriction_lifted_at
    if told.at is not None and lifted_at is not None and told.at <= lifted_at:
        return None
    if told.until is not None:
        return told.until if told.until > now else None
    if of(row, now) is not None:
        return None
    return now + _pause(row, now)


def _pause(row: ChannelRow, now: datetime) -> timedelta:
    since, until = row.restricted_since, row.restricted_until
    if since is None or until is None or now - until > LONGEST_PAUSE:
        return FIRST_PAUSE
    return max(FIRST_PAUSE, min(2 * (until - since), LONGEST_PAUSE))


class Restrictions:
    """Writes what becomes of them, tells of it, and wakes the channel's sender.

    `show` makes the resource of a channel. Rows are locked by the caller.
    """

    def __init__(self, show: Callable[[ChannelRow], Channel]) -> None:
        self._show = show

    async def told(
        self, tx: Transaction, row: ChannelRow, told: Restriction, cause: Cause | None = None
    ) -> ChannelRow:
        """Apply what is told of one, unless it is no news; returns the row as it is then."""
        if not told.is_active:
            return await self.lift(tx, row, cause)
        now = datetime.now(UTC)
        until = ends_at(row, told, now)
        known = of(row, now)
        if until is None or (known is not None and known.until == until):
            return row
        since = known.since if known else now
        written = await CHANNELS.first(tx, _BEGIN, row.tenant_id, row.id, since, until, told.reason)
        return await self._tell(tx, row, written, ChannelRestricted, cause)

    async def lift(
        self, tx: Transaction, row: ChannelRow, cause: Cause | None = None
    ) -> ChannelRow:
        """WhatsApp lets it write to anybody again, or it is another account."""
        written = await CHANNELS.first(tx, _LIFT, row.tenant_id, row.id, None)
        return await self._tell(tx, row, written, ChannelRestrictionLifted, cause)

    async def watch(self, database: Database) -> None:
        """Lift what has ended, every few seconds, for ever."""
        while True:
            await self.lift_ended(database)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def lift_ended(self, database: Database) -> None:
        """Say of those whose end has come that they are over; in any number of replicas once."""
        async with database.system("status") as tx:
            ended = await CHANNELS.find(tx, _ENDED)
        for row in ended:
            async with database.tenant(row.tenant_id) as tx:
                now = datetime.now(UTC)
                written = await CHANNELS.first(tx, _LIFT, row.tenant_id, row.id, now)
                await self._tell(tx, row, written, ChannelRestrictionLifted, None)

    async def _tell(
        self,
        tx: Transaction,
        before: ChannelRow,
        written: ChannelRow | None,
        news: type[ChannelRestricted] | type[ChannelRestrictionLifted],
        cause: Cause | None,
    ) -> ChannelRow:
        if written is None:
            return before
        if written.deleted_at is None:
            event = news(channel=self._show(written))
            tx.outbox.add(event, written.id, tenant_id=written.tenant_id, cause=cause)
            await wake(tx, [written.id])
        return written
