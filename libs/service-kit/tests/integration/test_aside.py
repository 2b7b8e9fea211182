"""Somebody holds a company's row: its messages wait, in order, and nobody else's do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_scratch import eventually
from crm_scratch.bus import RETRY_DELAYS, Bus, bundled, deleted
from crm_scratch.consuming import deleted_to, inbox_rows, settled
from crm_scratch.things import OTHER_TENANT, QUEUE, TENANT
from crm_testing.wire import Wire
from service_kit import aside, metrics
from service_kit.bus import Publisher, make_broker
from service_kit.connection import connect, discard
from service_kit.consumer import Consumer
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from service_kit.router import Router
from shared_events.channels.channel import ChannelDeleted

Seen = dict[str, list[UUID]]
Stop = Callable[..., Awaitable[None]]
Start = Callable[..., Awaitable[Stop]]


@pytest.fixture
async def hasty(database: Database) -> AsyncIterator[Database]:
    """The database as consumers reach it: nobody waits long for a lock."""
    hasty = Database(database.dsn, "scratch", pool_size=4, purpose="events", lock_seconds=0.2)
    await hasty.connect()
    yield hasty
    await hasty.close()


@pytest.fixture
async def holder(admin_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(admin_url)
    yield connection
    await connection.close()


@pytest.fixture
def seen() -> Seen:
    """What took effect, in this order, by company."""
    return {TENANT: [], OTHER_TENANT: []}


@pytest.fixture
def start(hasty: Database, declared: Publisher, vhost: str, seen: Seen) -> Start:
    """Start a consumer whose handler takes its company's lock; gives what stops it."""

    async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext($1))", tx.tenant_id)
        ids = [event.data.channel_id for event in events]
        tx.after_commit(partial(seen[tx.tenant_id].extend, ids))

    async def start(url: str = vhost) -> Stop:
        consumer = Consumer(
            QUEUE,
            "scratch",
            deleted_to(note),
            database=hasty,
            publisher=declared,
            retry_delays=RETRY_DELAYS,
        )
        router = Router()
        subscriber = router.batch_subscriber(QUEUE, QUEUE.exchange)
        subscriber(consumer.handle)
        broker = make_broker(url, confirms=False)
        broker.include_router(router)
        connection = await connect(broker)

        async def stop(*, when_idle: bool = False) -> None:
            if when_idle:  # all that took effect is acknowledged as well
                await eventually(lambda: consumer.oldest_seconds() == 0.0)
            consumer.check()
            await subscriber.finish()
            await consumer.leave()
            await discard(broker, connection)

        return stop

    return start


@asynccontextmanager
async def held(holder: asyncpg.Connection, tenant_id: str) -> AsyncIterator[None]:
    """Meanwhile somebody holds what the company's messages need."""
    async with holder.transaction():
        await holder.execute("SELECT pg_advisory_xact_lock(hashtext($1))", tenant_id)
        yield


async def send(bus: Bus, ids: Sequence[UUID], tenant_id: str) -> None:
    await bus.send(*(deleted(each, tenant_id=tenant_id) for each in ids))


@pytest.fixture(autouse=True)
def nothing_set_aside() -> None:
    metrics.SET_ASIDE.clear()


def has_set_aside(count: int) -> bool:
    """Whether at least so many messages had to make room."""
    samples = [sample for metric in metrics.SET_ASIDE.collect() for sample in metric.samples]
    return sum(s.value for s in samples if s.name.endswith("_total")) >= count


class TestHeldRow:
    async def test_makes_its_own_company_wait_alone_and_in_order(
        self,
        start: Start,
        holder: asyncpg.Connection,
        bus: Bus,
        seen: Seen,
        database: Database,
    ) -> None:
        theirs, others = [uuid4() for _ in range(12)], [uuid4() for _ in range(40)]
        stop = await start()
        async with held(holder, TENANT):
            await bus.send(
                *(
                    deleted(each, tenant_id=tenant_id)
                    for pair in zip(theirs[:6], others[:6], strict=True)
                    for each, tenant_id in zip(pair, (TENANT, OTHER_TENANT), strict=True)
                )
            )
            await eventually(lambda: seen[OTHER_TENANT] == others[:6])
            await send(bus, theirs[6:], TENANT)
            await send(bus, others[6:], OTHER_TENANT)
            await eventually(lambda: seen[OTHER_TENANT] == others)
            assert seen[TENANT] == []
        await eventually(lambda: seen[TENANT] == theirs)
        await stop(when_idle=True)
        await eventually(settled(bus))  # the kept ones are acknowledged, too
        assert await bus.depth(QUEUE.dead_letters.name) == 0
        assert await inbox_rows(database) == len(theirs) + len(others)

    async def test_keeps_a_bundle_until_the_last_of_its_events_took_effect(
        self, start: Start, holder: asyncpg.Connection, bus: Bus, seen: Seen
    ) -> None:
        """And all of it comes again to who takes over before."""
        theirs = [uuid4() for _ in range(120)]
        first = await start()
        async with held(holder, TENANT):
            for at in (0, 40, 80):
                await bus.send(bundled(*(deleted(each) for each in theirs[at : at + 40])))
            await eventually(lambda: has_set_aside(len(theirs)))
            await first()
        stop = await start()
        await eventually(lambda: seen[TENANT] == theirs)
        await stop(when_idle=True)
        await eventually(settled(bus))
        assert await bus.depth(QUEUE.dead_letters.name) == 0

    async def test_for_too_long_sends_them_through_the_delay_queues(
        self,
        start: Start,
        holder: asyncpg.Connection,
        bus: Bus,
        seen: Seen,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(aside, "LONGEST_SECONDS", 0.3)
        theirs = [uuid4() for _ in range(3)]
        stop = await start()
        async with held(holder, TENANT):
            await send(bus, theirs, TENANT)
            # After the last delay they rest among the dead letters, with the reason.
            letters = [await bus.dead_letter() for _ in theirs]
        assert {letter.headers["x-last-error"] for letter in letters} == {"HeldTooLongError"}
        await send(bus, [last := uuid4()], TENANT)
        await eventually(lambda: seen[TENANT] == [last])
        await stop(when_idle=True)
        await eventually(settled(bus))

    async def test_of_many_messages_delays_no_other_company(
        self, start: Start, holder: asyncpg.Connection, bus: Bus, seen: Seen
    ) -> None:
        theirs, other = [uuid4() for _ in range(400)], uuid4()
        stop = await start()
        async with held(holder, TENANT):
            await send(bus, theirs, TENANT)
            await send(bus, [other], OTHER_TENANT)
            await eventually(lambda: seen[OTHER_TENANT] == [other])
        await eventually(lambda: seen[TENANT] == theirs)
        await stop()

    async def test_of_too_many_makes_the_queue_wait_and_breaks_no_order(
        self,
        start: Start,
        holder: asyncpg.Connection,
        bus: Bus,
        seen: Seen,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(aside, "MOST", 20)
        theirs, other = [uuid4() for _ in range(400)], uuid4()
        stop = await start()
        async with held(holder, TENANT):
            await send(bus, theirs[:1], TENANT)
            await eventually(lambda: has_set_aside(1))
            await send(bus, theirs[1:], TENANT)
            await send(bus, [other], OTHER_TENANT)
            await eventually(lambda: has_set_aside(21))
            assert seen == {TENANT: [], OTHER_TENANT: []}
        await eventually(lambda: seen == {TENANT: theirs, OTHER_TENANT: [other]})
        await stop()
        assert await bus.depth(QUEUE.dead_letters.name) == 0

    async def test_returns_them_to_the_queue_in_order_when_the_consumer_leaves(
        self,
        start: Start,
        holder: asyncpg.Connection,
        bus: Bus,
        seen: Seen,
    ) -> None:
        theirs, other = [uuid4() for _ in range(10)], uuid4()
        stop = await start()
        async with held(holder, TENANT):
            await send(bus, theirs, TENANT)
            await send(bus, [other], OTHER_TENANT)
            await eventually(lambda: seen[OTHER_TENANT] == [other])
            await stop()
        stop_second = await start()
        await eventually(lambda: seen[TENANT] == theirs)
        await asyncio.sleep(0)
        await stop_second()
        assert seen == {TENANT: theirs, OTHER_TENANT: [other]}

    async def test_outlives_the_channel_they_came_by(
        self, start: Start, holder: asyncpg.Connection, bus: Bus, seen: Seen, vhost: str
    ) -> None:
        """What took effect is acknowledged nowhere: it comes again and changes nothing."""
        theirs, other = [uuid4() for _ in range(5)], uuid4()
        async with Wire(vhost) as wire:
            stop = await start(wire.url)
            async with held(holder, TENANT):
                await send(bus, theirs, TENANT)
                await send(bus, [other], OTHER_TENANT)
                await eventually(lambda: seen[OTHER_TENANT] == [other])
                wire.cut()
            await eventually(lambda: seen[TENANT] == theirs)
            await stop()
        stop = await start()
        await send(bus, [last := uuid4()], TENANT)
        await eventually(lambda: seen[TENANT] == [*theirs, last])
        await stop(when_idle=True)
        await eventually(settled(bus))
