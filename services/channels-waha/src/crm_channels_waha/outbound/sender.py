"""Which channels this process sends for: one sender per channel, across all replicas."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from service_kit.database import Database
from service_kit.rows import Shape

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.channels.waking import WAKE
from crm_channels_waha.numbers.looking_up import Numbers
from crm_channels_waha.outbound.channel_sender import ChannelSender, Pace

log = structlog.get_logger()

_POLL_SECONDS = 1.0
_QUERY_SECONDS = 5.0
_OPEN_CHANNELS = """
SELECT DISTINCT tenant_id, channel_id FROM outbound_messages
WHERE state IN ('pending', 'sending', 'unknown')
"""
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('channels_waha/send/' || $1, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('channels_waha/send/' || $1, 0))"


@dataclass(frozen=True, slots=True)
class _Owing:
    tenant_id: str
    channel_id: UUID


_OWING = Shape(_Owing)


@dataclass(frozen=True, slots=True)
class _Running:
    sender: ChannelSender
    task: asyncio.Task[None]


class Sender:
    """Owns channels by advisory locks on one connection; losing it loses them all at once."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        status: StatusBook,
        numbers: Numbers,
        pace: Pace,
    ) -> None:
        self._database = database
        self._connections = connections
        self._status = status
        self._numbers = numbers
        self._pace = pace
        self._running: dict[UUID, _Running] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Send for every channel nobody else sends for; raises when the connection is lost."""
        connection = await self._database.dedicated("sender")
        try:
            await connection.execute("SET app.scope = 'send'")
            await connection.add_listener(WAKE, self._notified)
            connection.add_termination_listener(lambda *_: self._wake.set())
            while True:
                self._wake.clear()
                async with asyncio.timeout(_QUERY_SECONDS):
                    await self._release_finished(connection)
                    await self._take_open_channels(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()
        finally:
            await self._stop_senders()
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    def _notified(self, *notification: object) -> None:
        """A message was entered or settled: its channel's sender looks again."""
        channel_id = UUID(str(notification[-1]))
        running = self._running.get(channel_id)
        if running is not None:
            running.sender.wake.set()
            if not running.task.done():
                return
        self._wake.set()

    async def _take_open_channels(self, connection: asyncpg.Connection) -> None:
        for record in await connection.fetch(_OPEN_CHANNELS):
            owing = _OWING.value(record)
            if owing.channel_id in self._running:
                continue
            if await connection.fetchval(_LOCK, str(owing.channel_id)):
                self._start(owing.tenant_id, owing.channel_id)

    def _start(self, tenant_id: str, channel_id: UUID) -> None:
        sender = ChannelSender(
            tenant_id,
            channel_id,
            database=self._database,
            connections=self._connections,
            status=self._status,
            numbers=self._numbers,
            pace=self._pace,
        )
        task = asyncio.create_task(sender.run(), name=f"sender-{channel_id}")
        self._running[channel_id] = _Running(sender, task)

    async def _release_finished(self, connection: asyncpg.Connection) -> None:
        for channel_id, running in list(self._running.items()):
            if not running.task.done():
                continue
            if error := running.task.exception():
                log.warning(
                    "channel_sender_restarts", channel_id=str(channel_id), error=repr(error)
                )
            del self._running[channel_id]
            await connection.execute(_UNLOCK, str(channel_id))

    async def _stop_senders(self) -> None:
        running, self._running = list(self._running.values()), {}
        for one in running:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in running), return_exceptions=True)
