"""What a bulk tells travels together, and is events again before anybody handles them."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import aio_pika
from crm_scratch import eventually
from crm_scratch.bus import Bus, bundled, deleted
from crm_scratch.consuming import inbox_rows, names, settled
from crm_scratch.things import TENANT, store_deleted
from service_kit import bundles
from service_kit.bundles import BUNDLE, MOST_EVENTS
from service_kit.bus import Publisher
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.incoming import Event, EventHandler
from service_kit.relay import Relay, RelayOptions
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.contacts.contact import Contact, ContactCreated, ContactDeleted
from shared_events.slots import SLOT, owners, slot_of

PARTITIONS = 4
Consuming = Callable[..., Awaitable[None]]


def created(contact_id: UUID) -> ContactCreated:
    """Of somebody of this id."""
    contact = Contact.model_validate(
        {
            "id": contact_id,
            "name": "Ana",
            "source": "import",
            "version": 1,
            "created_at": "2026-11-30T12:00:00Z",
            "updated_at": "2026-11-30T12:00:00Z",
        }
    )
    return ContactCreated(contact=contact)


async def told(database: Database, publisher: Publisher, bus: Bus, bundles_for: int | None) -> None:
    """Have all that waits in the outbox published, into the queue `seen`."""
    await bus.exchange(topology.CONTACT_EVENTS.name)
    await bus.queue("seen", topology.CONTACT_EVENTS.name, "#")
    relay = Relay(database, publisher, RelayOptions(bundles_for=bundles_for))
    async with relay.standby() as drain:
        assert await drain()


async def events_by_message(bus: Bus) -> list[tuple[int, list[UUID]]]:
    """Of each message that was published: its slot, and whom its events are about, in order."""
    found = []
    queue = await bus.channel.get_queue("seen")
    while (taken := await queue.get(no_ack=True, fail=False)) is not None:
        assert isinstance(taken, aio_pika.IncomingMessage)
        contacts = [UUID(each.headers["aggregate_id"]) for each in bundles.opened(taken)]
        found.append((int(str(taken.headers[SLOT])), contacts))
    return found


class TestRelay:
    async def test_puts_what_a_bulk_tells_of_one_partition_together(
        self, database: Database, publisher: Publisher, bus: Bus
    ) -> None:
        people = [uuid4() for _ in range(90)]
        async with database.tenant(TENANT, cause=Cause("import-1")) as tx:
            for one in people:
                tx.outbox.add(created(one), one)
        await told(database, publisher, bus, PARTITIONS)
        messages = await events_by_message(bus)
        assert len(messages) <= PARTITIONS + 90 // MOST_EVENTS
        owned = [held_by[-1] for held_by in owners(PARTITIONS)]
        for slot, contacts in messages:
            assert len(contacts) <= MOST_EVENTS
            assert {owned[slot_of(one)] for one in contacts} == {owned[slot]}
            assert contacts == [one for one in people if one in contacts]
        assert sorted(one for _, contacts in messages for one in contacts) == sorted(people)

    async def test_leaves_alone_what_has_an_order_to_keep_or_another_cause(
        self, database: Database, publisher: Publisher, bus: Bus
    ) -> None:
        ana, bia, caio = uuid4(), uuid4(), uuid4()
        async with database.tenant(TENANT, cause=Cause("import-1")) as tx:
            tx.outbox.add(created(ana), ana)
            tx.outbox.add(ContactDeleted(contact_id=ana), ana)
            tx.outbox.add(created(caio), caio)
            tx.outbox.add(created(bia), bia, cause=Cause("request-2"))
        await told(database, publisher, bus, 1)
        messages = await events_by_message(bus)
        assert [len(contacts) for _, contacts in messages] == [1, 1, 1, 1]

    async def test_bundles_nothing_for_who_may_not_read_it(
        self, database: Database, publisher: Publisher, bus: Bus
    ) -> None:
        people = [uuid4() for _ in range(10)]
        async with database.tenant(TENANT, cause=Cause("import-1")) as tx:
            for one in people:
                tx.outbox.add(created(one), one)
        await told(database, publisher, bus, None)
        assert await bus.depth("seen") == 10
        assert BUNDLE not in (await bus.take("seen")).headers


def noting(seen: list[UUID], sizes: list[int]) -> EventHandler[ChannelDeleted]:
    """A handler that stores what it is given, and notes it in order."""

    async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
        await store_deleted(tx, events)
        ids = [event.data.channel_id for event in events]
        sizes.append(len(ids))
        tx.after_commit(lambda: seen.extend(ids))

    return note


class TestConsumer:
    async def test_applies_each_event_once_and_in_order(
        self, database: Database, bus: Bus, consuming: Consuming
    ) -> None:
        seen, sizes = list[UUID](), list[int]()
        ids = [uuid4() for _ in range(61)]
        sent = [deleted(one) for one in ids]
        again = bundled(*sent[:30])
        await bus.send(again, bundled(*sent[30:60]), again, sent[60])
        await consuming(noting(seen, sizes))
        await eventually(lambda: len(seen) == 61)
        await eventually(settled(bus))
        assert seen == ids
        assert await inbox_rows(database) == 61

    async def test_takes_no_more_into_a_transaction_than_it_may(
        self, bus: Bus, consuming: Consuming
    ) -> None:
        seen, sizes = list[UUID](), list[int]()
        for _ in range(3):
            await bus.send(bundled(*(deleted() for _ in range(70))))
        await consuming(noting(seen, sizes), batch_timeout_ms=200)
        await eventually(lambda: len(seen) == 210)
        assert max(sizes) <= 100

    async def test_delays_the_one_that_fails_alone(
        self, database: Database, bus: Bus, consuming: Consuming
    ) -> None:
        good, bad = [uuid4() for _ in range(9)], uuid4()

        async def fail(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await store_deleted(tx, events)
            if any(event.data.channel_id == bad for event in events):
                raise RuntimeError("a bug")

        await bus.send(bundled(*(deleted(one) for one in (*good[:4], bad, *good[4:]))))
        await consuming(fail)
        letter = await bus.dead_letter()
        assert letter.headers["aggregate_id"] == str(bad)
        assert BUNDLE not in letter.headers
        assert len(await names(database)) == len(good)

    async def test_sends_one_that_is_no_bundle_to_the_dead_letters(
        self, bus: Bus, consuming: Consuming
    ) -> None:
        torn = bundled(deleted(), deleted())
        torn.headers[BUNDLE] = 3
        await consuming()
        await bus.send(torn)
        letter = await bus.dead_letter()
        assert letter.headers["x-dead-reason"] == "invalid_bundle"
