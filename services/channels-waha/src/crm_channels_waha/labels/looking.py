"""Reading a channel's labels from WAHA: those that were there before we listened.

WAHA tells of a label when it changes; on a chat it may be nothing but an id.
"""

import asyncio
from datetime import UTC, datetime

import structlog
from service_kit.database import Database

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.labels import repository
from crm_channels_waha.labels.models import LabelLook
from crm_channels_waha.labels.noting import News, learn
from crm_channels_waha.looks import LOOK_SECONDS
from crm_channels_waha.waha.client import WahaError, WahaRejectedError
from crm_channels_waha.waha.meaning import LabelTold

log = structlog.get_logger()

_BATCH = 20
_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 60.0
_MAX_ATTEMPTS = 6  # the last about a day after the first


class LabelReading:
    """Reads the labels of channels that have some nobody told us of, best effort."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def run(self) -> None:
        """Read what is due, for ever; a full batch is followed by the next at once."""
        while True:
            if await self.read() < _BATCH:
                await asyncio.sleep(_POLL_SECONDS)

    async def read(self) -> int:
        """Read the labels of some channels; returns of how many."""
        async with self._database.system("labels") as tx:
            due = await repository.claim(tx, limit=_BATCH, pause_seconds=_PAUSE_SECONDS)
        for look in due:
            await self._read(look)
        return len(due)

    async def _read(self, look: LabelLook) -> None:
        key = look.tenant_id, look.channel_id
        async with self._database.tenant(look.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, key)
        if channel is None:
            return
        asked_at = datetime.now(UTC)  # what is told while we ask is the newer
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await self._connections.waha(channel).labels()
        except (WahaError, OSError) as error:  # of which TimeoutError is one
            log.debug("labels_not_read", channel_id=str(channel.id), error=repr(error))
            over = isinstance(error, WahaRejectedError) and not error.waits_for_session
            if over or look.attempts >= _MAX_ATTEMPTS:
                async with self._database.tenant(look.tenant_id) as tx:
                    await repository.looked(tx, key)
            return
        async with self._database.tenant(look.tenant_id) as tx:
            news = [News(key, one.id, LabelTold(one, asked_at)) for one in found]
            await learn(tx, news, {key: channel.name})
            await repository.looked(tx, key)
