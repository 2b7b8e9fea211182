import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_scratch import eventually
from crm_scratch.bus import Bus, away, headers, looking_into
from crm_scratch.things import TENANT
from crm_testing.servers import RabbitServer
from service_kit import bus as bus_module
from service_kit.bus import Publisher
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.relay import Relay, RelayOptions, purge, redrive
from shared_events import registry, topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.contacts.contact import ContactDeleted
from shared_events.slots import SLOT, slot_of

WOKEN_ONLY = RelayOptions(poll_seconds=30)
IMPATIENT = RelayOptions(poll_seconds=0.02, max_retries=3, retry_backoff_seconds=0.1)
PATIENT = RelayOptions(poll_seconds=0.02, max_retries=2, retry_backoff_seconds=86_400)
"""What failed waits until it is let be tried."""


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emit(database: Database, *aggregates: UUID) -> list[UUID]:
    """One `channel.deleted` per aggregate given, in one transaction; their event ids."""
    async with database.tenant(TENANT) as tx:
        return [tx.outbox.add(ChannelDeleted(channel_id=a), a) for a in aggregates]


async def emit_contact(database: Database, contact_id: UUID) -> UUID:
    async with database.tenant(TENANT) as tx:
        return tx.outbox.add(ContactDeleted(contact_id=contact_id), contact_id)


async def let_be_tried(database: Database) -> None:
    """Let the pauses of all that failed be over."""
    async with database.tenant(TENANT) as tx:
        await tx.execute("UPDATE outbox_events SET next_attempt_at = now()")


async def states(database: Database) -> list[tuple[bool, bool, int]]:
    """(published, parked, retries) of each event, in order."""
    async with database.tenant(TENANT) as tx:
        rows = await tx.fetch("SELECT * FROM outbox_events ORDER BY seq")
    return [
        (r["processed_at"] is not None, r["failed_at"] is not None, r["retry_count"]) for r in rows
    ]


async def are(database: Database, expected: list[tuple[bool, bool, int]]) -> bool:
    return await states(database) == expected


def all_published(database: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return all(published for published, _, _ in await states(database))

    return check


@pytest.fixture
async def seen(bus: Bus) -> str:
    """Exchanges and a queue that sees every domain event; its name."""
    await bus.exchange(topology.DOMAIN_EVENTS.name)
    await bus.exchange(topology.CONTACT_EVENTS.name)
    await bus.queue("seen", topology.DOMAIN_EVENTS.name, "#")
    await bus.queue("seen", topology.CONTACT_EVENTS.name, "#")
    return "seen"


@pytest.fixture
async def only_contacts(bus: Bus) -> str:
    """Exchanges, and a queue for contact events alone: every other event is unroutable."""
    await bus.exchange(topology.DOMAIN_EVENTS.name)
    await bus.exchange(topology.CONTACT_EVENTS.name)
    await bus.queue("contacts", topology.CONTACT_EVENTS.name, "#")
    return "contacts"


class TestPublishing:
    async def test_sends_the_whole_envelope_persistent_with_its_headers(
        self, database: Database, publisher: Publisher, bus: Bus, seen: str
    ) -> None:
        aggregate = uuid4()
        async with running(Relay(database, publisher)):
            (event_id,) = await emit(database, aggregate)
            taken = await bus.take(seen)
        envelope = registry.parse(ChannelDeleted, taken.body)
        assert (envelope.event_id, envelope.aggregate_id) == (event_id, aggregate)
        assert envelope.tenant_id == TENANT
        assert envelope.data == ChannelDeleted(channel_id=aggregate)
        assert taken.message_id == str(event_id)
        assert taken.delivery_mode == 2
        assert taken.routing_key == "channel.deleted"
        assert (
            headers(taken).items()
            >= {
                "event_type": "channel.deleted",
                "event_version": "1",
                "aggregate_id": str(aggregate),
                "tenant_id": TENANT,
            }.items()
        )
        assert taken.headers[SLOT] == slot_of(aggregate)

    async def test_is_woken_by_the_commit_not_by_the_poll(
        self, database: Database, publisher: Publisher, bus: Bus, seen: str
    ) -> None:
        async with running(Relay(database, publisher, WOKEN_ONLY)):
            for _ in range(3):
                begun = time.monotonic()
                await emit(database, uuid4())
                await bus.take(seen)
                assert time.monotonic() - begun < WOKEN_ONLY.poll_seconds / 3

    async def test_keeps_the_order_of_each_aggregate(
        self, database: Database, publisher: Publisher, bus: Bus, seen: str
    ) -> None:
        aggregates = [uuid4() for _ in range(7)]
        async with running(Relay(database, publisher, RelayOptions(batch_size=50))):
            for _ in range(12):
                await emit(database, *aggregates * 3)
            await eventually(all_published(database))
        queue = await bus.channel.get_queue(seen)
        seqs: dict[UUID, list[int]] = {}
        for _ in range(252):
            message = await queue.get(no_ack=True)
            envelope = registry.parse(ChannelDeleted, message.body)
            seqs.setdefault(envelope.aggregate_id, []).append(envelope.aggregate_seq)
        assert len(seqs) == 7
        assert all(numbers == sorted(numbers) for numbers in seqs.values())


class TestUnroutable:
    async def test_is_retried_then_parked_while_others_flow(
        self, database: Database, publisher: Publisher, only_contacts: str
    ) -> None:
        async with running(Relay(database, publisher, PATIENT)):
            await emit(database, uuid4())
            await emit_contact(database, uuid4())
            await eventually(lambda: are(database, [(False, False, 1), (True, False, 0)]))
            await let_be_tried(database)
            await eventually(lambda: are(database, [(False, True, 2), (True, False, 0)]))

    async def test_holds_back_its_successors_until_it_is_parked(
        self, database: Database, publisher: Publisher, bus: Bus, only_contacts: str
    ) -> None:
        aggregate = uuid4()
        async with running(Relay(database, publisher, PATIENT)):
            await emit(database, aggregate)
            await emit_contact(database, aggregate)
            await eventually(lambda: are(database, [(False, False, 1), (False, False, 0)]))
            await emit_contact(database, uuid4())  # somebody else's event overtakes both
            await bus.take(only_contacts)
            assert (await states(database))[1] == (False, False, 0)
            await let_be_tried(database)
            await eventually(
                lambda: are(database, [(False, True, 2), (True, False, 0), (True, False, 0)])
            )

    async def test_is_published_after_a_redrive(
        self, database: Database, publisher: Publisher, bus: Bus, only_contacts: str
    ) -> None:
        quick = RelayOptions(poll_seconds=0.02, max_retries=1, retry_backoff_seconds=0.01)
        async with running(Relay(database, publisher, quick)):
            (event_id,) = await emit(database, uuid4())
            await eventually(lambda: are(database, [(False, True, 1)]))
            await bus.queue("late", topology.DOMAIN_EVENTS.name, "#")
            assert await redrive(database) == 1
            assert (await bus.take("late")).message_id == str(event_id)
            await eventually(lambda: are(database, [(True, False, 0)]))


async def carry(database: Database, aggregate: UUID, tracestate: str) -> None:
    """An event as older versions stored it, with whatever trace its caller sent."""
    async with database.tenant(TENANT, cause=Cause(None, None, {"tracestate": tracestate})) as tx:
        tx.outbox.add(ChannelDeleted(channel_id=aggregate), aggregate)


class TestCulprit:
    async def test_that_amqp_cannot_carry_is_parked_and_holds_up_nobody(
        self, database: Database, publisher: Publisher, seen: str
    ) -> None:
        aggregate = uuid4()
        async with running(Relay(database, publisher, IMPATIENT)):
            await carry(database, aggregate, "a" * 200_000)
            await emit(database, aggregate, uuid4())
            await eventually(
                lambda: are(database, [(False, True, 1), (True, False, 0), (True, False, 0)])
            )

    async def test_that_breaks_the_connection_is_found_and_parked(
        self,
        database: Database,
        publisher: Publisher,
        seen: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """RabbitMQ closes the whole connection over a header frame that is too large."""
        monkeypatch.setattr(bus_module, "MAX_HEADER_CHARACTERS", 10**9)
        others = [uuid4() for _ in range(20)]
        await emit(database, *others[:10])
        await carry(database, uuid4(), "a" * 200_000)
        await emit(database, *others[10:])
        async with running(Relay(database, publisher, IMPATIENT)):
            await eventually(
                lambda: are(
                    database, [*[(True, False, 0)] * 10, (False, True, 3), *[(True, False, 0)] * 10]
                ),
                seconds=60,
            )


class TestBrokerOutage:
    async def test_burns_no_retry_and_drains_on_return(
        self, database: Database, mortal_server: RabbitServer, mortal_vhost: str
    ) -> None:
        publisher = Publisher(mortal_vhost)
        await publisher.connect()
        async with looking_into(mortal_vhost) as bus:
            await bus.exchange(topology.DOMAIN_EVENTS.name)
            await bus.queue("seen", topology.DOMAIN_EVENTS.name, "#")
        async with running(Relay(database, publisher, IMPATIENT)):
            await emit(database, uuid4())
            await eventually(all_published(database))
            async with away(mortal_server, suddenly=False):
                for _ in range(20):
                    await emit(database, uuid4())
                await asyncio.sleep(1)  # long enough for several attempts
                waiting = (await states(database))[1:]
                assert set(waiting) == {(False, False, 0)}
            await eventually(all_published(database))
        async with looking_into(mortal_vhost) as bus:
            assert await bus.depth("seen") >= 21
        await publisher.close()


class TestLeadership:
    async def test_one_leads_and_the_other_takes_over_when_it_dies(
        self, database: Database, publisher: Publisher, bus: Bus, seen: str
    ) -> None:
        first, second = Relay(database, publisher), Relay(database, publisher)
        async with running(first) as leading, running(second):
            await emit(database, *(uuid4() for _ in range(50)))
            await eventually(all_published(database))
            assert await bus.depth(seen) == 50  # nothing twice
            leading.cancel()
            await emit(database, *(uuid4() for _ in range(50)))
            await eventually(all_published(database))

    async def test_a_second_driver_drains_only_while_nobody_leads(
        self, database: Database, publisher: Publisher, bus: Bus, seen: str
    ) -> None:
        relay = Relay(database, publisher)
        await emit(database, uuid4(), uuid4())
        async with relay.standby() as drain:
            assert await drain() == 2
            # It lets go of the lead in between, so that a relay takes over.
            async with running(Relay(database, publisher)):
                await emit(database, uuid4())
                await eventually(all_published(database))
                assert await drain() is None
            await emit(database, uuid4())
            assert await drain() == 1

    async def test_dies_with_its_connection_so_that_another_may_lead(
        self, database: Database, publisher: Publisher, admin_url: str, seen: str
    ) -> None:
        async with running(Relay(database, publisher, WOKEN_ONLY)) as task:
            await emit(database, uuid4())
            await eventually(all_published(database))
            admin = await asyncpg.connect(admin_url)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'crm-scratch-relay' AND datname = current_database()"
            )
            await admin.close()
            await eventually(task.done)
            assert task.exception() is not None


class TestPurge:
    async def test_deletes_what_is_published_and_old(
        self, database: Database, publisher: Publisher, seen: str
    ) -> None:
        relay = Relay(database, publisher)
        await emit(database, uuid4())
        async with relay.standby() as drain:
            await drain()
        await emit(database, uuid4())
        assert await purge(database, outbox_days=1, inbox_days=1) == 0
        assert await purge(database, outbox_days=0, inbox_days=0) == 1
        assert await states(database) == [(False, False, 0)]
