"""Showing people that they were read, where a channel does so (docs/waha.md, "Seen and typing").

Nobody is owed it: what is lost with a process, or while WAHA is away, the next reading shows too.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.messaging.conversation import ConversationRead

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.waha.client import WahaError

log = structlog.get_logger()

_FRESH = timedelta(minutes=5)
_MOST_WAITING = 1000
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class _Reading:
    tenant_id: str
    channel_id: UUID
    chat_id: str


class Seeing:
    """Remembers who is to be shown something, and shows it behind the event."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections
        self._waiting: dict[_Reading, None] = {}
        self._come = asyncio.Event()

    async def on_conversation_read(
        self, tx: Transaction, events: Sequence[Event[ConversationRead]]
    ) -> None:
        """Take those that were read just now; of too many, the newest."""
        del tx
        since = datetime.now(UTC) - _FRESH
        for event in events:
            if event.data.chat_id is None or event.body.occurred_at < since:
                continue
            self._waiting[_Reading(event.tenant_id, event.data.channel_id, event.data.chat_id)] = (
                None
            )
        while len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._come.set()

    async def run(self) -> None:
        """Show what was read, for ever."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._waiting:
                some = list(self._waiting)[:_AT_ONCE]
                for reading in some:
                    del self._waiting[reading]
                await asyncio.gather(*map(self._show, some))

    async def _show(self, reading: _Reading) -> None:
        async with self._database.tenant(reading.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, (reading.tenant_id, reading.channel_id))
        if channel is None or not channel.send_seen:
            return
        try:
            await self._connections.waha(channel).send_seen(reading.chat_id)
        except WahaError as error:
            log.debug("seen_not_shown", channel_id=str(channel.id), error=repr(error))
