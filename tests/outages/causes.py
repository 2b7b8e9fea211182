"""What goes wrong, for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aio_pika
import asyncpg
from crm_fakes.waha import WahaSimulator
from e2e.crm import Channel, Tenant
from e2e.stack import Platform

EVERY_SECONDS = 0.5


@asynccontextmanager
async def without(platform: Platform, *names: str) -> AsyncIterator[None]:
    """These pieces are stopped."""
    await platform.all_at_once("stop", *names)
    try:
        yield
    finally:
        await platform.all_at_once("start", *names)
        await platform.healthy()


@asynccontextmanager
async def again_and_again(
    act: Callable[[], Awaitable[object]], every: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Something is done every so many seconds, as traffic does."""
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await act()
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), every)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(go_on())
        try:
            yield
        finally:
            over.set()


@asynccontextmanager
async def all_of(*causes: Any) -> AsyncIterator[None]:
    """Several things at once, which have nothing to do with each other."""
    async with AsyncExitStack() as stack:
        for cause in causes:
            await stack.enter_async_context(cause)
        yield


@asynccontextmanager
async def broker(platform: Platform) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """A channel to the broker, as its administrator."""
    async with await aio_pika.connect(platform.state["amqp_url"]) as connection:
        yield await connection.channel()


@asynccontextmanager
async def database(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database, as its administrator."""
    connection = await asyncpg.connect(platform.state["database_url"])
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def changed(platform: Platform, breaks: str, mends: str) -> AsyncIterator[None]:
    """Somebody has changed something in the database that was not theirs to change."""
    async with database(platform) as connection:
        await connection.execute(breaks)
        try:
            yield
        finally:
            await connection.execute(mends)


@asynccontextmanager
async def held(platform: Platform, statement: str) -> AsyncIterator[None]:
    """A transaction or session that does nothing more holds locks."""
    async with database(platform) as connection, connection.transaction():
        await connection.execute(statement)
        yield


def writes(waha: WahaSimulator, channel: Channel) -> Callable[[], Awaitable[object]]:
    """A customer writes."""
    return lambda: waha.receive_text(channel.waha_session, "5511933330001", "oi")


async def answer(tenant: Tenant, channel: Channel, text: str) -> None:
    """Write to the one contact that wrote to this channel."""
    message = (await tenant.messages(channel_id=channel.id))[0]
    reply = {"contact_id": message["contact_id"], "channel_id": channel.id, "content": text}
    await tenant.post("/messages/send", reply)
