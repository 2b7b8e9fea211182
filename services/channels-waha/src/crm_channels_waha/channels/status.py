"""What WAHA's word for its session means for a channel (docs/waha.md, "Sessions")."""

import asyncio
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from shared_events.channels.channel import ChannelStatus, ChannelStatusChanged

from crm_channels_waha.channels import repository
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import CHANNELS, ChannelKey
from crm_channels_waha.channels.restrictions import Restrictions
from crm_channels_waha.hearing import repository as hearing
from crm_channels_waha.waha.meaning import Restriction, SessionReport
from crm_channels_waha.waha.session import WahaSession

KEY_REFUSED = "waha_key_refused"
"""The status_reason that holds a channel's sends back until WAHA takes its key again."""

DEAF = "deaf"
"""The status_reason of a channel whose session works and tells us nothing."""

_LOOK_EVERY_SECONDS = 5.0

_MEANING: dict[str, ChannelStatus] = {
    "STOPPED": "stopped",
    "SCAN_QR_CODE": "pairing",
    "WORKING": "connected",
    "FAILED": "failed",
}

_HEARING = frozenset({"connected", "degraded"})
"""Leaving these, a channel begins to miss what is said."""

_APPLY = """
UPDATE channels SET
    status = $3, status_reason = $4, phone = coalesce($5, phone), engine = coalesce($6, engine),
    waha_status = coalesce($7, waha_status), waha_status_at = coalesce($8, waha_status_at),
    updated_at = now()
WHERE tenant_id = $1 AND id = $2
RETURNING *
"""
# What is deleted is left out afterwards, or the index of all that is not might be read instead.
_STUCK = """
WITH stuck AS MATERIALIZED (
    SELECT * FROM channels
    WHERE waha_status = 'STARTING' AND status = 'connected'
        AND updated_at < now() - make_interval(secs => $1))
SELECT * FROM stuck WHERE deleted_at IS NULL LIMIT 100
"""


class StatusBook:
    """Writes what becomes of a channel; tells the world only when our own word for it changes.

    `version` stays: it counts what people changed, and a blip must not fail their If-Match.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.restrictions = Restrictions(connections.resource)

    async def report(
        self,
        tx: Transaction,
        channel: ChannelKey,
        report: SessionReport,
        cause: Cause | None = None,
    ) -> ChannelRow | None:
        """Apply what WAHA says, unless something newer is known; returns the row if it exists."""
        row = await repository.find_if_any(tx, channel, lock=True)
        if row is None or _is_old_news(report, row):
            return row
        return await self._apply(tx, row, report, cause)

    async def answered(
        self, tx: Transaction, asked: ChannelRow, session: WahaSession
    ) -> ChannelRow | None:
        """Apply what WAHA answered; `asked` is the row as it was when WAHA was asked.

        An answer carries no time. Whatever was reported meanwhile is at least as new.
        """
        row = await repository.find_if_any(tx, (asked.tenant_id, asked.id), lock=True)
        if row is None or row.waha_status_at != asked.waha_status_at:
            return row
        report = SessionReport(
            session.status or "", None, session.engine, session.phone, session.restriction
        )
        return await self._apply(tx, row, report, None)

    async def _apply(
        self,
        tx: Transaction,
        row: ChannelRow,
        report: SessionReport,
        cause: Cause | None,
    ) -> ChannelRow | None:
        status = meaning(report.waha_status) or row.status
        reason = None
        if status == row.status and status != "connected":
            reason = row.status_reason
        written = await self._write(tx, row, status, reason, report, cause)
        if written is None or report.restriction is None:
            return written
        return await self.restrictions.told(tx, written, report.restriction, cause)

    async def restricted(
        self,
        tx: Transaction,
        channel: ChannelKey,
        told: Restriction,
        cause: Cause | None = None,
    ) -> None:
        """Apply what the fate of a message tells of its account."""
        row = await repository.find_if_any(tx, channel, lock=True)
        if row is not None:
            await self.restrictions.told(tx, row, told, cause)

    async def declare(
        self, tx: Transaction, channel_id: UUID, status: ChannelStatus, reason: str | None
    ) -> ChannelRow | None:
        """Set our own word for the state of a channel of the transaction's tenant."""
        row = await repository.find_if_any(tx, (tx.tenant_id, channel_id), lock=True)
        if row is None:
            return None
        return await self._write(tx, row, status, reason, None, None)

    async def _write(
        self,
        tx: Transaction,
        row: ChannelRow,
        status: str,
        reason: str | None,
        report: SessionReport | None,
        cause: Cause | None,
    ) -> ChannelRow | None:
        written = await CHANNELS.first(
            tx,
            _APPLY,
            row.tenant_id,
            row.id,
            status,
            reason,
            report.phone if report else None,
            report.engine if report else None,
            report.waha_status if report else None,
            report.at if report else None,
        )
        if written is not None:
            await _note_hearing(tx, row, written)
            if row.phone not in (None, written.phone):
                written = await self.restrictions.lift(tx, written, cause)
        if written is not None and status != row.status:
            tx.outbox.add(
                ChannelStatusChanged(
                    channel=self._connections.resource(written),
                    previous_status=row.status,
                    waha_status=written.waha_status or "",
                ),
                row.id,
                tenant_id=row.tenant_id,
                cause=cause,
            )
        return written

    async def watch(self, database: Database, after_seconds: float) -> None:
        """Degrade what is stuck, every few seconds, for ever."""
        while True:
            await self.degrade_stuck(database, after_seconds)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def degrade_stuck(self, database: Database, after_seconds: float) -> None:
        """Say that connected channels are degraded which have been STARTING for so long.

        Short blips WORKING -> STARTING -> WORKING are normal and nobody hears of them.
        """
        async with database.system("status") as tx:
            stuck = await CHANNELS.find(tx, _STUCK, after_seconds)
        for row in stuck:
            async with database.tenant(row.tenant_id) as tx:
                current = await repository.find_if_any(tx, (row.tenant_id, row.id), lock=True)
                if current and (current.status, current.waha_status) == (
                    "connected",
                    "STARTING",
                ):
                    await self.declare(tx, row.id, "degraded", "waha_reconnecting")


async def _note_hearing(tx: Transaction, before: ChannelRow, after: ChannelRow) -> None:
    """What one number missed is read when it is back; another number begins anew."""
    key = after.tenant_id, after.id
    if before.phone not in (None, after.phone):
        await hearing.forget(tx, key)
    if after.status == "connected":
        await hearing.listen(tx, key)
    elif before.status in _HEARING and after.status != before.status:
        await hearing.leave_gap(tx, key)


def meaning(waha_status: str) -> ChannelStatus | None:
    """Our word for WAHA's, or None for what changes nothing: STARTING and words yet unknown."""
    if waha_status.startswith("PASSKEY_"):
        return "pairing"
    return _MEANING.get(waha_status)


def _is_old_news(report: SessionReport, row: ChannelRow) -> bool:
    known_at = row.waha_status_at
    if report.at is None or known_at is None or report.at > known_at:
        return False
    # Within one millisecond the way up (STARTING, SCAN_QR_CODE) comes before where it leads.
    on_the_way = meaning(report.waha_status) in (None, "pairing")
    return report.at < known_at or (on_the_way and row.waha_status in _MEANING)
