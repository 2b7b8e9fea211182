"""An event queue in partitions: spread by key, taken together, handed on in order."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import cast
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika import ExchangeType
from aio_pika.exceptions import ChannelNotFoundEntity
from crm_scratch import eventually
from crm_scratch.bus import RETRY_DELAYS, Bus, away, deleted, looking_into, message
from crm_scratch.living import MakeSettings, has, living, ready
from crm_scratch.things import SCRATCH, store_deleted
from crm_testing.servers import RabbitServer
from service_kit import dead_letters
from service_kit.bus import Publisher
from service_kit.database import Database, Transaction
from service_kit.incoming import Event, EventHandler
from service_kit.router import Router
from service_kit.service import Service
from service_kit.settings import ServiceSettings
from service_kit.subscriptions import priority
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.slots import SLOT, slot_of

SPLIT = topology.EventQueue(
    "scratch.split",
    topology.DOMAIN_EVENTS,
    [ChannelDeleted.event_type],
    service=SCRATCH,
    ordered_by="aggregate_id",
)


def partitions(count: int) -> list[str]:
    return [queue.name for queue in SPLIT.partitions(count)]


PARTITIONS = partitions(topology.PARTITIONS)


def splitting(settings: ServiceSettings, handler: EventHandler[ChannelDeleted]) -> Service:
    service = Service(SCRATCH, settings)
    service.on(SPLIT, ChannelDeleted, handler)
    return service


def of(aggregate: UUID, channel_id: UUID | None = None) -> aio_pika.Message:
    """An event of this aggregate; `channel_id` is what it says."""
    made = deleted(channel_id or uuid4())
    made.headers[SLOT] = slot_of(aggregate)
    return made


async def send(bus: Bus, *messages: aio_pika.Message) -> None:
    exchange = await bus.channel.get_exchange(topology.DOMAIN_EVENTS.name, ensure=False)
    for each in messages:
        await exchange.publish(each, ChannelDeleted.event_type)


async def partition_of(bus: Bus, aggregate: UUID, names: Sequence[str]) -> str:
    """Where an event of this aggregate goes, once."""
    before = [await bus.depth(name) for name in names]
    await send(bus, of(aggregate))
    after = [await bus.depth(name) for name in names]
    (found,) = (n for n, was, now in zip(names, before, after, strict=True) if now > was)
    assert sum(after) == sum(before) + 1
    return found


async def depths(bus: Bus) -> list[int]:
    return [await bus.depth(partition) for partition in PARTITIONS]


class TestSpreading:
    async def test_uses_every_partition_and_one_for_each_key(
        self, make_settings: MakeSettings, bus: Bus
    ) -> None:
        service = splitting(make_settings(), store_deleted)
        await service.publisher.connect()
        try:
            await service.publisher.declare([SPLIT], RETRY_DELAYS)
        finally:
            await service.publisher.close()
        for aggregate in [uuid4() for _ in range(40)]:
            before = await depths(bus)
            await send(bus, *(of(aggregate) for _ in range(3)))
            grown = [now - then for now, then in zip(await depths(bus), before, strict=True)]
            assert sorted(grown) == [0, 0, 0, 3]
        assert all(await depths(bus))

    async def test_moves_a_key_only_to_a_partition_that_is_new(
        self, publisher: Publisher, bus: Bus
    ) -> None:
        aggregates, more = [uuid4() for _ in range(40)], partitions(6)
        await publisher.declare([SPLIT], RETRY_DELAYS, 4)
        before = [await partition_of(bus, each, more[:4]) for each in aggregates]
        await publisher.declare([SPLIT], RETRY_DELAYS, 6)
        after = [await partition_of(bus, each, more) for each in aggregates]
        moved = {now for then, now in zip(before, after, strict=True) if now != then}
        assert moved == set(more[4:])

    async def test_is_the_same_after_the_broker_was_killed(
        self, mortal_server: RabbitServer, mortal_vhost: str
    ) -> None:
        aggregates = [uuid4() for _ in range(40)]
        publisher = Publisher(mortal_vhost)
        await publisher.connect()
        await publisher.declare([SPLIT], RETRY_DELAYS, 12)
        await publisher.close()

        async def places(waiting: int) -> list[str]:
            async with looking_into(mortal_vhost) as bus:

                async def counted() -> bool:
                    return sum([await bus.depth(name) for name in partitions(12)]) == waiting

                await eventually(counted)
                return [await partition_of(bus, each, partitions(12)) for each in aggregates]

        before = await places(0)
        async with away(mortal_server, suddenly=True):
            pass
        assert await places(40) == before

    async def test_takes_over_from_the_hash_of_before(self, publisher: Publisher, bus: Bus) -> None:
        await publisher.declare([], RETRY_DELAYS)  # the exchanges that all share
        old = await bus.channel.declare_exchange(SPLIT.name, ExchangeType.FANOUT, durable=True)
        await old.bind(SPLIT.exchange.name, ChannelDeleted.event_type)
        await publisher.declare([SPLIT], RETRY_DELAYS)
        with pytest.raises(ChannelNotFoundEntity):
            await bus.channel.get_exchange(SPLIT.name)

    async def test_has_a_place_for_what_names_no_key(
        self, make_settings: MakeSettings, bus: Bus, database: Database
    ) -> None:
        service = splitting(make_settings(), store_deleted)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await send(bus, *(deleted() for _ in range(5)))
            await eventually(lambda: has(service, 5))


class TestConsuming:
    async def test_takes_batches_across_partitions_and_keeps_each_keys_order(
        self, make_settings: MakeSettings, bus: Bus
    ) -> None:
        seen: list[UUID] = []
        batches: list[int] = []

        async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            batches.append(len(events))
            seen.extend(event.data.channel_id for event in events)

        aggregates = [uuid4() for _ in range(30)]
        sent: dict[UUID, list[UUID]] = defaultdict(list)
        service = splitting(make_settings(), note)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            for _ in range(20):
                for aggregate in aggregates:
                    sent[aggregate].append(uuid4())
                await asyncio.gather(*(send(bus, of(each, sent[each][-1])) for each in aggregates))
            await eventually(lambda: len(seen) == 600)
            await eventually(lambda: nothing_left(bus))
        for ids in sent.values():
            wanted = set(ids)
            assert [each for each in seen if each in wanted] == ids
        # Four that gathered each for itself could not take more than their quarter at once.
        assert max(batches) > 600 / 20 / 2

    async def test_sends_what_failed_back_to_its_own_partition(
        self, make_settings: MakeSettings, bus: Bus
    ) -> None:
        failures = iter([True])
        aggregate = uuid4()

        async def fail_once(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            if next(failures, False):
                raise RuntimeError("a bug that passes")
            await store_deleted(tx, events)

        service = splitting(make_settings(), fail_once)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await send(bus, of(aggregate))
            await eventually(lambda: has(service, 1))

    async def test_has_one_place_for_dead_letters_and_a_way_back(
        self, make_settings: MakeSettings, bus: Bus
    ) -> None:
        settings = make_settings()
        is_broken = True

        async def fail(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            if is_broken:
                raise RuntimeError("a bug")
            await store_deleted(tx, events)

        service = splitting(settings, fail)
        async with living(service) as http:
            await eventually(lambda: ready(http))
            await send(bus, *(of(uuid4()) for _ in range(8)))
            await send(bus, message(b"no event at all"))

            async def died() -> bool:
                return await bus.depth(SPLIT.dead_letters.name) == 9

            await eventually(died)
            is_broken = False
            wanted = dead_letters.Wanted(reason="retries_exhausted")
            assert await dead_letters.redrive(settings, SPLIT, wanted, 100) == 8
            await eventually(lambda: has(service, 8))


class TestReplicas:
    async def test_lose_and_double_nothing_when_one_of_two_goes_and_keep_the_order(
        self, make_settings: MakeSettings, bus: Bus
    ) -> None:
        seen: list[UUID] = []

        async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            tx.after_commit(lambda: seen.extend(event.data.channel_id for event in events))

        aggregates = [uuid4() for _ in range(20)]
        sent: dict[UUID, list[UUID]] = defaultdict(list)
        stays, goes = (splitting(make_settings(), note) for _ in range(2))
        async with AsyncExitStack() as stack:
            leaving = await stack.enter_async_context(AsyncExitStack())
            for service in (goes, stays):
                http = await (leaving if service is goes else stack).enter_async_context(
                    living(service)
                )
                await eventually(partial(ready, http))
            for turn in range(30):
                for aggregate in aggregates:
                    sent[aggregate].append(uuid4())
                await send(bus, *(of(each, sent[each][-1]) for each in aggregates))
                if turn == 15:
                    await leaving.aclose()
            await eventually(lambda: len(seen) >= 600)
        assert Counter(Counter(seen).values()) == {1: 600}
        for ids in sent.values():
            wanted = set(ids)
            assert [each for each in seen if each in wanted] == ids

    async def test_share_the_partitions_by_themselves(
        self, make_settings: MakeSettings, rabbitmq_server: RabbitServer, bus: Bus
    ) -> None:
        async with rabbitmq_server.management() as client:
            version = (await client.get("/api/overview")).json()["rabbitmq_version"]
        if int(version.partition(".")[0]) < 4:
            pytest.skip(f"RabbitMQ {version} gives all to who came first; 4.0 knows priorities")
        taken: dict[int, set[UUID]] = {0: set(), 1: set()}

        def noting(replica: int) -> EventHandler[ChannelDeleted]:
            async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
                taken[replica].update(event.data.channel_id for event in events)

            return note

        settings = make_settings(bus_partitions=8)
        async with AsyncExitStack() as stack:
            for replica in range(2):
                http = await stack.enter_async_context(living(splitting(settings, noting(replica))))
                await eventually(partial(ready, http))

            async def both_work() -> bool:
                await send(bus, *(of(uuid4()) for _ in range(32)))
                return all(taken.values())

            await eventually(both_work)


class TestPriority:
    def test_is_the_same_whenever_asked_and_another_for_another_replica(self) -> None:
        assert priority("a", "q.0") == priority("a", "q.0")
        assert len({priority("a", f"q.{n}") for n in range(64)}) > 40

    def test_gives_each_replica_about_its_share(self) -> None:
        replicas = [f"replica-{n}" for n in range(4)]
        ranked = ({priority(r, f"q.{n}"): r for r in replicas} for n in range(400))
        first = Counter(by_priority[max(by_priority)] for by_priority in ranked)
        assert all(60 <= first[replica] <= 140 for replica in replicas)


async def nothing_left(bus: Bus) -> bool:
    return not any(await depths(bus))


class TestStarting:
    async def test_takes_what_comes_before_the_one_that_gathers_has_started(self) -> None:
        """Subscribers start in no particular order, and full partitions deliver at once."""
        router = Router()
        first, second = SPLIT.partitions(2)
        gathers = router.batch_subscriber(first, SPLIT.exchange)
        joins = router.batch_subscriber(second, SPLIT.exchange, joins=gathers)
        await joins.consume(cast(aio_pika.IncomingMessage, object()))
