"""WAHA servers as operators see them: all that channels use, whosever they are."""

import asyncio
from collections import Counter

from service_kit.ailments import Ailment
from service_kit.database import Database
from service_kit.resealing import Turned

from crm_channels_waha.channels import repository
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.waha.client import (
    WahaAwayError,
    WahaError,
    WahaForbiddenError,
)


class Servers:
    """Asks them as their channels do, with the key of one."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self._database = database
        self._connections = connections

    async def register(self, change: bool) -> Turned:
        """Have each session that knows a webhook of ours know the one of today.

        WAHA restarts a session for it, which takes seconds; what is said meanwhile comes behind.
        """
        found = Turned()
        for row in await self._channels():
            try:
                if await self._is_current(row, change=change):
                    found.current += 1
                else:
                    found.turned += 1
            except WahaError:
                found.left.append(row.id)
        return found

    async def examine(self) -> list[Ailment]:
        """Which of them do not answer. A key that one refuses is its company's to put right."""
        rows = await self._channels()
        channels = Counter(row.waha_base_url for row in rows)
        one_each = {row.waha_base_url: row for row in rows}
        found = await asyncio.gather(
            *(self._ailment(row, channels[url]) for url, row in sorted(one_each.items()))
        )
        return [ailment for ailment in found if ailment is not None]

    async def _ailment(self, row: ChannelRow, channels: int) -> Ailment | None:
        said = f"{row.waha_base_url} of {channels} channels"
        try:
            await self._connections.waha(row).describe()
        except WahaForbiddenError:
            return Ailment(f"{said} is no public address", "name it in WAHA_ALLOWED_NETWORKS")
        except WahaAwayError as error:
            cure = "start it, or look at the network between; its messages wait meanwhile"
            return Ailment(f"{said}: {error}", cure)
        except WahaError:
            return None
        return None

    async def _channels(self) -> list[ChannelRow]:
        async with self._database.system("status") as tx:
            return await repository.registered(tx)

    async def _is_current(self, row: ChannelRow, *, change: bool) -> bool:
        waha = self._connections.waha(row)
        session = await waha.describe()
        if session is None:
            return True
        config = self._connections.subscription(row).applied_to(session.config)
        if config == session.config:
            return True
        if change:
            await waha.configure(config)
        return False
