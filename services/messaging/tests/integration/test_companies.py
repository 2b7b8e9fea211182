"""Many companies in one batch, and two consumers of one service at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast

import asyncpg
import pytest
from aio_pika import IncomingMessage, Message
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.replicas.consumers import on_contact_changed
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import eventually
from service_kit import metrics
from service_kit.batch import Records
from service_kit.bus import Publisher
from service_kit.consumer import Consumer
from service_kit.database import Database
from service_kit.incoming import EventDecoder
from shared_events import examples, topology
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.contacts.contact import Contact, ContactCreated, ContactIdentity
from shared_events.envelope import Envelope, EventData
from shared_events.identity import WhatsAppId, contact_id

COMPANIES = 50
ROUNDS = 200
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Kept(Records):
    """A batch whose messages nobody acknowledges to a broker."""

    async def settle(self, message: IncomingMessage) -> None:
        return None


def batch(events: Sequence[Envelope[Any]]) -> Records:
    """Events as a queue brings them."""
    messages = [
        Message(
            event.model_dump_json().encode(),
            message_id=str(event.event_id),
            headers={
                "event_type": event.event_type,
                "event_version": event.event_version,
            },
        )
        for event in events
    ]
    return Kept(cast(tuple[IncomingMessage, ...], tuple(messages)), set())


@pytest.fixture
def lock_seconds() -> float:
    """How long consumers wait for a lock before they set messages aside."""
    return 0.5


@pytest.fixture
async def events_database(
    own_database: MigratedDatabase, lock_seconds: float
) -> AsyncIterator[Database]:
    """The database as consumers reach it."""
    database = Database(
        own_database.url, "messaging", pool_size=4, purpose="events", lock_seconds=lock_seconds
    )
    await database.connect()
    yield database
    await database.close()


def consumer(
    database: Database, queue: topology.EventQueue, event: type[EventData], handler: Any
) -> Consumer:
    decoder = EventDecoder(queue)
    decoder.on(event, handler, together=True)  # what else is bound does not come
    nobody = Publisher("amqp://nobody:x@127.0.0.1:1/")
    return Consumer(
        queue, queue.name, decoder, database=database, publisher=nobody, retry_delays=()
    )


@pytest.fixture
def messages(events_database: Database) -> Consumer:
    return consumer(
        events_database,
        topology.MESSAGING_CHANNEL_EVENTS,
        ChannelMessageReceived,
        on_message_received,
    )


@pytest.fixture
def replicas(events_database: Database) -> Consumer:
    return consumer(
        events_database, topology.MESSAGING_REPLICAS, ContactCreated, on_contact_changed
    )


@pytest.fixture
def companies(database: Database) -> list[Scene]:
    return [Scene(database) for _ in range(COMPANIES)]


def set_aside() -> float:
    """How many messages ever made room because of a lock."""
    return sum(
        sample.value
        for metric in metrics.SET_ASIDE.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


def created(company: Scene, phone: str) -> ContactCreated:
    """The person who writes from this phone, as contacts tells of them."""
    owner = contact_id(company.tenant_id, WhatsAppId("phone", phone))
    contact = Contact.model_validate(
        {
            **examples.load("contact.created")["data"]["contact"],
            "id": owner,
            "phone": f"+{phone}",
            "identities": [ContactIdentity(kind="phone", value=phone)],
        }
    )
    return ContactCreated(contact=contact)


class TestManyCompanies:
    @pytest.fixture
    def lock_seconds(self) -> float:
        """Longer than any machine makes them wait that cannot wait for each other."""
        return 30.0

    async def test_in_the_batches_of_two_consumers_never_deadlock(
        self,
        companies: list[Scene],
        messages: Consumer,
        replicas: Consumer,
        own_database: MigratedDatabase,
    ) -> None:
        """First messages beside their contact.created, which come in any order."""
        random, before = Random(7), set_aside()
        admin = await asyncpg.connect(own_database.admin_url)
        for number in range(ROUNDS):
            phone = f"55119{number:08d}"
            told = [company.envelope(created(company, phone)) for company in companies]
            written = [company.envelope(company.received(phone=phone)) for company in companies]
            random.shuffle(told)
            random.shuffle(written)
            async with asyncio.timeout(60):
                await asyncio.gather(messages.handle(batch(written)), replicas.handle(batch(told)))
        assert await admin.fetchval(_DEADLOCKS) == 0
        assert set_aside() == before  # nor did one wait for the other for long
        await admin.close()
        for company in companies:
            assert len(await company.messages()) == ROUNDS


@asynccontextmanager
async def held_row(own_database: MigratedDatabase, company: Scene) -> AsyncIterator[None]:
    """Meanwhile somebody holds the company's session."""
    admin = await asyncpg.connect(own_database.admin_url)
    try:
        async with admin.transaction():
            await admin.execute(
                "SELECT 1 FROM messaging.sessions WHERE tenant_id = $1 FOR UPDATE",
                company.tenant_id,
            )
            yield
    finally:
        await admin.close()


class TestHeldRow:
    async def test_of_one_company_delays_no_other(
        self, companies: list[Scene], messages: Consumer, own_database: MigratedDatabase
    ) -> None:
        unlucky, *others = companies
        await messages.handle(batch([c.envelope(c.received("primeira")) for c in companies]))
        async with held_row(own_database, unlucky):
            for number in range(3):
                text = f"mensagem {number}"
                await messages.handle(batch([c.envelope(c.received(text)) for c in companies]))
                for company in others:
                    assert [row["content"] for row in await company.messages()][-1] == text
            assert len(await unlucky.messages()) == 1

        async def complete() -> bool:
            return len(await unlucky.messages()) == 4

        await eventually(complete)
        assert [row["content"] for row in await unlucky.messages()] == [
            "primeira",
            *(f"mensagem {number}" for number in range(3)),
        ]
        assert [row["seq"] for row in await unlucky.messages()] == [1, 2, 3, 4]
