"""Looking up what groups are called."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from service_kit.database import Database
from shared_events.channels.group import ChannelGroupReported
from shared_events.channels.traffic import TrafficChannel
from shared_events.identity import conversation_id

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.groups import repository
from crm_channels_waha.groups.models import GroupLook
from crm_channels_waha.looks import LOOK_SECONDS, Pace
from crm_channels_waha.waha.client import WahaError, WahaRejectedError

log = structlog.get_logger()

_A_SECOND = timedelta(seconds=1)
"""WAHA tells of changes in whole seconds: one that was made while we asked is the newer."""


class Subjects:
    """Looks up what a group is called, and tells it."""

    def __init__(self, database: Database, connections: Connections, pace: Pace) -> None:
        self._database = database
        self._connections = connections
        self._pace = pace

    async def look(self, row: GroupLook) -> None:
        """Look one up."""
        async with self._database.tenant(row.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, (row.tenant_id, row.channel_id))
        if channel is None or not channel.allow_groups:
            return
        asked_at = datetime.now(UTC).replace(microsecond=0) - _A_SECOND
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                subject = await self._connections.waha(channel).group_subject(row.chat_id)
        except WahaRejectedError as error:
            if error.waits_for_session:
                await self._put_off(row, error)
                return
            subject = None  # one we are not in any more
        except (WahaError, OSError) as error:  # of which TimeoutError is one
            await self._put_off(row, error)
            return
        async with self._database.tenant(row.tenant_id) as tx:
            await repository.looked(tx, row)
            if subject is not None:
                told = _report(channel, row.chat_id, subject, asked_at)
                tx.outbox.add(told, conversation_id(row.channel_id, row.chat_id))

    async def _put_off(self, row: GroupLook, error: Exception) -> None:
        log.debug("group_not_seen", channel=str(row.channel_id), error=repr(error))
        pace = self._pace
        async with self._database.tenant(row.tenant_id) as tx:
            pause = pace.pause_after(row.attempts + 1)  # its channel rests for the first
            await repository.put_off(tx, row, pace.pause_seconds, pause)
            if row.attempts >= pace.attempts:
                await repository.looked(tx, row)


def _report(
    channel: ChannelRow, chat_id: str, subject: str, told_at: datetime
) -> ChannelGroupReported:
    shown = TrafficChannel(
        id=channel.id,
        name=channel.name,
        session_timeout_seconds=channel.session_timeout_seconds,
    )
    return ChannelGroupReported(channel=shown, chat_id=chat_id, subject=subject, told_at=told_at)
