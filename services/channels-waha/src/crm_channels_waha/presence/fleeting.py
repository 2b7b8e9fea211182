"""What is done now or never, behind the events that ask for it.

Nobody is owed it: it is lost with a process, and dropped while WAHA is away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from service_kit.database import Database

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.waha.client import Waha, WahaError

log = structlog.get_logger()

_MOST_WAITING = 100

Thing = TypeVar("Thing")


class Fleeting(Generic[Thing]):
    """Remembers what is to be done, and does it: a channel one thing at a time.

    So one whose WAHA hangs makes nobody else wait.
    """

    def __init__(
        self,
        database: Database,
        connections: Connections,
        *,
        is_wanted: Callable[[ChannelRow], bool],
        do: Callable[[Waha, Thing], Awaitable[None]],
    ) -> None:
        self._database = database
        self._connections = connections
        self._is_wanted = is_wanted
        self._do = do
        self._waiting: dict[ChannelKey, dict[Thing, None]] = {}
        self._come = asyncio.Event()

    def add(self, key: ChannelKey, thing: Thing) -> None:
        """Have it done, once; of too many of a channel, the newest."""
        things = self._waiting.setdefault(key, {})
        things[thing] = None
        if len(things) > _MOST_WAITING:
            del things[next(iter(things))]
        self._come.set()

    async def run(self) -> None:
        """Do what comes, for ever."""
        busy: set[ChannelKey] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._come.wait()
                self._come.clear()
                for key in self._waiting.keys() - busy:
                    busy.add(key)
                    group.create_task(self._do_all(key, busy))

    async def _do_all(self, key: ChannelKey, busy: set[ChannelKey]) -> None:
        try:
            while things := self._waiting.get(key):
                thing = next(iter(things))
                del things[thing]
                await self._do_one(key, thing)
            self._waiting.pop(key, None)
        finally:
            busy.discard(key)

    async def _do_one(self, key: ChannelKey, thing: Thing) -> None:
        async with self._database.tenant(key[0], read_only=True) as tx:
            channel = await channels.find_if_any(tx, key)
        if channel is None or not self._is_wanted(channel):
            return
        try:
            await self._do(self._connections.waha(channel), thing)
        except WahaError as error:
            log.debug("not_done", channel_id=str(channel.id), error=repr(error))
