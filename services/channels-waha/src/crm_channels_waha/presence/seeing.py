"""Showing people that they were read, where a channel does so (docs/waha.md, "Seen and typing").

Nobody is owed it: what is lost with a process, or while WAHA is away, the next reading shows too.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.messaging.conversation import ConversationRead

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.waha.client import WahaError

log = structlog.get_logger()

_FRESH = timedelta(minutes=5)
_MOST_WAITING = 100


class Seeing:
    """Remembers what is to be shown, and shows it behind the event: a channel one chat at a time,
    so that one whose WAHA hangs makes nobody else wait."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections
        self._waiting: dict[ChannelKey, dict[str, None]] = {}
        self._come = asyncio.Event()

    async def on_conversation_read(
        self, tx: Transaction, events: Sequence[Event[ConversationRead]]
    ) -> None:
        """Take those that were read just now; of too many of a channel, the newest."""
        del tx
        since = datetime.now(UTC) - _FRESH
        for event in events:
            if event.data.chat_id is None or event.body.occurred_at < since:
                continue
            chats = self._waiting.setdefault((event.tenant_id, event.data.channel_id), {})
            chats[event.data.chat_id] = None
            if len(chats) > _MOST_WAITING:
                del chats[next(iter(chats))]
        self._come.set()

    async def run(self) -> None:
        """Show what was read, for ever."""
        busy: set[ChannelKey] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._come.wait()
                self._come.clear()
                for key in self._waiting.keys() - busy:
                    busy.add(key)
                    group.create_task(self._show_all(key, busy))

    async def _show_all(self, key: ChannelKey, busy: set[ChannelKey]) -> None:
        try:
            while chats := self._waiting.get(key):
                chat_id = next(iter(chats))
                del chats[chat_id]
                await self._show(key, chat_id)
            self._waiting.pop(key, None)
        finally:
            busy.discard(key)

    async def _show(self, key: ChannelKey, chat_id: str) -> None:
        async with self._database.tenant(key[0], read_only=True) as tx:
            channel = await channels.find_if_any(tx, key)
        if channel is None or not channel.send_seen:
            return
        try:
            await self._connections.waha(channel).send_seen(chat_id)
        except WahaError as error:
            log.debug("seen_not_shown", channel_id=str(channel.id), error=repr(error))
