"""A consumer of the scratch queue, and what it has done."""

from collections.abc import Awaitable, Callable

from service_kit.database import Database
from service_kit.incoming import EventDecoder, EventHandler
from shared_events.channels.channel import ChannelDeleted

from crm_scratch.bus import Bus
from crm_scratch.things import QUEUE, TENANT


def deleted_to(handler: EventHandler[ChannelDeleted]) -> EventDecoder:
    """What QUEUE brings, to this handler."""
    decoder = EventDecoder(QUEUE)
    decoder.on(ChannelDeleted, handler)
    decoder.check()
    return decoder


async def names(database: Database, tenant_id: str = TENANT) -> list[str]:
    async with database.tenant(tenant_id) as tx:
        return [row["name"] for row in await tx.fetch("SELECT name FROM things")]


def stored(database: Database, count: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return len(await names(database)) == count

    return check


def settled(bus: Bus, queue: str = QUEUE.name) -> Callable[[], Awaitable[bool]]:
    """Nothing waits in the queue any more (a delivery in hand is not seen by this)."""

    async def check() -> bool:
        return await bus.depth(queue) == 0

    return check


async def inbox_rows(database: Database) -> int:
    async with database.system("look") as tx:
        return int(await tx.fetchval("SELECT count(*) FROM processed_events"))
