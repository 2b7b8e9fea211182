"""The outbox's shards: shared by the relays of a service, each with one leader."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from crm_scratch import eventually
from crm_scratch.bus import Bus
from crm_scratch.things import TENANT
from service_kit import shards as shards_module
from service_kit.bus import Publisher
from service_kit.database import Database
from service_kit.relay import Relay, RelayOptions
from service_kit.shards import SHARDS, Shards
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted

QUICK = RelayOptions(poll_seconds=0.05, batch_size=7)


@pytest.fixture(autouse=True)
def at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "REBALANCE_SECONDS", 0.0)


@asynccontextmanager
async def joined(database: Database) -> AsyncIterator[Shards]:
    connection = await database.dedicated("relay")
    try:
        shards = Shards(connection)
        assert await shards.join()
        yield shards
    finally:
        await connection.close()


async def settled(*all_of_them: Shards) -> list[int]:
    """How many each holds once all have looked, twice."""
    for _ in range(2):
        for shards in all_of_them:
            await shards.rebalance()
    return sorted(len(shards.held) for shards in all_of_them)


class TestShares:
    async def test_are_even_whatever_the_number_of_relays(self, database: Database) -> None:
        async with AsyncExitStack() as stack:
            relays: list[Shards] = []
            for expected in ([16], [8, 8], [4, 6, 6], [4, 4, 4, 4]):
                relays.append(await stack.enter_async_context(joined(database)))
                assert await settled(*relays) == expected
            assert sorted(s for relay in relays for s in relay.held) == list(range(SHARDS))

    async def test_of_one_that_is_gone_go_to_the_others(self, database: Database) -> None:
        async with joined(database) as stays:
            async with joined(database) as goes:
                assert await settled(stays, goes) == [8, 8]
            await eventually(lambda: takes_all(stays))

    async def test_of_more_relays_than_shards_are_one_or_none(self, database: Database) -> None:
        async with AsyncExitStack() as stack:
            relays = [await stack.enter_async_context(joined(database)) for _ in range(SHARDS + 2)]
            assert await settled(*relays) == [0, 0, *[1] * SHARDS]

    async def test_are_nobodys_while_code_of_before_leads_alone(
        self, database: Database, admin_url: str
    ) -> None:
        before = await database.dedicated("relay")
        try:
            assert await before.fetchval(
                "SELECT pg_try_advisory_lock(hashtext('outbox_' || current_schema()))"
            )
            late = await database.dedicated("relay")
            try:
                assert not await Shards(late).join()
                assert not await Shards(late).take_all()
            finally:
                await late.close()
        finally:
            await before.close()

    async def test_of_another_service_are_others(self, database: Database, admin_url: str) -> None:
        """The same database, another schema: their locks have nothing in common."""
        stranger: asyncpg.Connection = await asyncpg.connect(admin_url)
        try:
            assert await Shards(stranger).take_all()
            async with joined(database) as shards:
                assert await settled(shards) == [SHARDS]
        finally:
            await stranger.close()


async def takes_all(shards: Shards) -> bool:
    await shards.rebalance()
    return len(shards.held) == SHARDS


class TestRelays:
    async def test_that_come_and_go_send_each_event_in_its_aggregates_order(
        self, database: Database, publisher: Publisher, bus: Bus
    ) -> None:
        await bus.exchange(topology.DOMAIN_EVENTS.name)
        queue = await bus.queue("seen", topology.DOMAIN_EVENTS.name, "#")
        aggregates = [uuid4() for _ in range(40)]
        total = 40 * 25

        async def write() -> None:
            for _ in range(25):
                async with database.tenant(TENANT) as tx:
                    for aggregate in aggregates:
                        tx.outbox.add(ChannelDeleted(channel_id=aggregate), aggregate)

        async def relays_come_and_go() -> None:
            while True:
                tasks = [
                    asyncio.create_task(Relay(database, publisher, QUICK).run()) for _ in range(2)
                ]
                await asyncio.sleep(0.15)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        seen: dict[UUID, list[int]] = defaultdict(list)
        steady = asyncio.create_task(Relay(database, publisher, QUICK).run())
        changing = asyncio.create_task(relays_come_and_go())
        try:
            await write()
            distinct: set[tuple[UUID, int]] = set()
            async with queue.iterator(timeout=20) as messages:
                async for message in messages:
                    event = orjson.loads(message.body)
                    aggregate, seq = UUID(event["aggregate_id"]), event["aggregate_seq"]
                    if (aggregate, seq) not in distinct:
                        distinct.add((aggregate, seq))
                        seen[aggregate].append(seq)
                    if len(distinct) == total:
                        break
        finally:
            for task in (steady, changing):
                task.cancel()
            await asyncio.gather(steady, changing, return_exceptions=True)
        assert Counter(len(seqs) for seqs in seen.values()) == {25: 40}
        assert all(seqs == sorted(seqs) for seqs in seen.values())
