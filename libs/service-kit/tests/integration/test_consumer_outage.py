import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from crm_scratch import eventually
from crm_scratch.bus import Bus, deleted
from crm_scratch.consuming import inbox_rows, stored
from crm_scratch.things import QUEUE, store_deleted
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.channels.channel import ChannelDeleted


class TestDatabaseOutage:
    async def test_waits_and_dead_letters_nothing(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        attempts: list[Any] = []

        async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            attempts.extend(event.headers.get("x-attempt") for event in events)
            await store_deleted(tx, events)

        await consuming(note)
        await database.close()
        await bus.send(*(deleted() for _ in range(20)))
        await asyncio.sleep(1.0)  # several attempts
        assert await bus.depth(QUEUE.dead_letters.name) == 0
        await database.connect()
        await eventually(stored(database, 20))
        assert set(attempts) == {None}
        assert await bus.depth(QUEUE.dead_letters.name) == 0

    async def test_applies_once_when_connections_are_cut_while_it_works(
        self,
        database: Database,
        bus: Bus,
        consuming: Callable[..., Awaitable[None]],
        admin_url: str,
    ) -> None:
        async with _cutting(admin_url):
            await consuming()
            for _ in range(20):
                await bus.send(*(deleted() for _ in range(25)))
        await eventually(stored(database, 500))
        assert await inbox_rows(database) == 500


@asynccontextmanager
async def _cutting(admin_url: str) -> AsyncIterator[None]:
    """Meanwhile, cut the runtime role's connections again and again."""
    admin = await asyncpg.connect(admin_url)

    async def cut() -> None:
        while True:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'crm_scratch_app' AND datname = current_database()"
            )
            await asyncio.sleep(0.05)

    task = asyncio.create_task(cut())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await admin.close()
