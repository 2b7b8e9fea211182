"""One running contacts service for the whole run; every test is a tenant of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import aio_pika
import pytest
from crm_contacts.app import PACKAGE, create_service
from crm_contacts.settings import ContactsSettings
from crm_contacts.tables import SCHEMA
from crm_dev.testing import PostgresServer, RabbitServer
from pydantic import SecretStr
from service_kit import migrations
from service_kit.bus import Publisher
from service_kit.errors import UnavailableError
from service_kit.request_client import RequestClient
from service_kit.service import Service
from shared_events import topology
from shared_events.channel import ChannelMessageReceived, ChannelRef, Person
from shared_events.envelope import Envelope, EventData
from shared_events.requests.base import Principal, Reply, Request
from shared_events.requests.contacts import ListContacts
from shared_events.resources import Identity

DEADLINE_SECONDS = 15.0


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` returns once it is truthy; it fails after the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


@dataclass
class Tenant:
    """A company: it asks, its customers write, and its tables can be looked into."""

    service: Service
    client: RequestClient
    publisher: Publisher
    id: str = field(default_factory=lambda: str(uuid4()))

    async def ask(self, request: Request, **options: Any) -> Reply:
        """Send a request over the bus, as the gateway does."""
        principal = Principal(tenant_id=self.id, user_id=UUID(int=7))
        return await self.client.call(
            request, principal=principal, correlation_id=f"req-{uuid4()}", **options
        )

    async def value(self, request: Request, **options: Any) -> dict[str, Any]:
        """The value of a request that must succeed."""
        reply = await self.ask(request, **options)
        assert reply.problem is None, reply.problem
        assert reply.value is not None
        return reply.value

    def envelope(self, data: EventData) -> Envelope[Any]:
        """The data as an event of this tenant."""
        return Envelope(
            event_id=uuid4(),
            event_type=data.event_type,
            event_version=data.event_version,
            aggregate_id=uuid4(),
            aggregate_type=data.aggregate_type,
            aggregate_seq=1,
            tenant_id=self.id,
            occurred_at=datetime.now(UTC),
            correlation_id="req-inbound",
            data=data,
        )

    async def publish(self, data: EventData) -> UUID:
        """Publish an event as another service's relay does; returns its id."""
        envelope = self.envelope(data)
        await self.publish_envelope(envelope)
        return envelope.event_id

    async def publish_envelope(self, envelope: Envelope[Any]) -> None:
        """Publish an envelope; the same one twice is a redelivery."""
        await self.publisher.publish(
            topology.event_exchange(envelope.event_type),
            envelope.event_type,
            envelope.model_dump_json().encode(),
            message_id=str(uuid4()),
            headers={
                "event_type": envelope.event_type,
                "event_version": envelope.event_version,
                "event_id": str(envelope.event_id),
                "tenant_id": self.id,
            },
        )

    @staticmethod
    def message(*identities: tuple[str, str], **said: Any) -> ChannelMessageReceived:
        """A message of a person with these (kind, value) identities."""
        push_name = said.pop("push_name", None)
        known = [
            Identity.model_validate({"kind": kind, "value": value}) for kind, value in identities
        ]
        fields: dict[str, Any] = {
            "channel": ChannelRef(id=UUID(int=1), name="Vendas", session_timeout_seconds=1800),
            "chat_id": f"{identities[0][1]}@c.us",
            "external_id": uuid4().hex,
            "direction": "inbound",
            "origin": "customer",
            "person": Person(identities=known, push_name=push_name),
            "content_type": "text",
            "content": "Oi",
            "sent_at": datetime.now(UTC),
        }
        return ChannelMessageReceived(**{**fields, **said})

    async def receive(self, *identities: tuple[str, str], **said: Any) -> UUID:
        """A person with these identities writes; waits until it has its effect."""
        event_id = await self.publish(self.message(*identities, **said))
        await eventually(lambda: self.applied(event_id, topology.CONTACTS_CHANNEL_EVENTS.name))
        return event_id

    async def applied(self, event_id: UUID, consumer: str) -> bool:
        """Whether this consumer has applied this event."""
        rows = await self.rows(
            "SELECT 1 FROM processed_events WHERE event_id = $1 AND consumer_name = $2",
            event_id,
            consumer,
        )
        return bool(rows)

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Look into the tables as this tenant."""
        async with self.service.database.tenant(self.id) as tx:
            return [dict(row) for row in await tx.fetch(query, *values)]

    async def told(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """The events this tenant's changes told, oldest first."""
        return await self.rows(
            "SELECT event_type, payload, aggregate_id, causation_id, correlation_id"
            " FROM outbox_events WHERE $1::text IS NULL OR event_type = $1 ORDER BY seq",
            event_type,
        )

    async def contacts(self, **query: Any) -> list[dict[str, Any]]:
        """The contacts a list shows."""
        data: list[dict[str, Any]] = (await self.value(ListContacts(**query)))["data"]
        return data


@pytest.fixture(scope="session")
async def admin_url(postgres_server: PostgresServer) -> str:
    return await postgres_server.create_database("contacts")


@pytest.fixture(scope="session")
async def settings(admin_url: str, rabbitmq_server: RabbitServer) -> ContactsSettings:
    """Settings of a migrated database and an empty virtual host."""
    parts = urlsplit(admin_url)
    host = f"{parts.hostname}:{parts.port}"
    runtime = urlunsplit(parts._replace(netloc=f"crm_contacts_app:only-for-tests@{host}"))
    settings = ContactsSettings(
        crm_env="test",
        database_url=SecretStr(runtime),
        rabbitmq_url=SecretStr(await rabbitmq_server.create_vhost("contacts")),
        consumer_retry_delays_seconds=(0.05,),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_ADMIN_URL", admin_url)
        await migrations.migrate(settings, package=PACKAGE, schema=SCHEMA)
    return settings


@pytest.fixture(scope="session")
async def service(settings: ContactsSettings) -> AsyncIterator[Service]:
    service = create_service(settings)
    async with service.app.router.lifespan_context(service.app):
        yield service


@pytest.fixture(scope="session")
async def client(service: Service) -> AsyncIterator[RequestClient]:
    """A client of the bus, once the service answers."""
    client = RequestClient(service.settings.amqp_url)

    async def answers() -> bool:
        try:
            await client.call(
                ListContacts(), principal=Principal(tenant_id="nobody"), correlation_id="start"
            )
        except UnavailableError:
            return False
        return True

    async def healthy() -> bool:
        return (await service.health.status())[0] == "healthy"

    await eventually(healthy)
    await client.start()
    await eventually(answers)
    yield client
    await client.stop()


@pytest.fixture(scope="session")
async def publisher(client: RequestClient, settings: ContactsSettings) -> AsyncIterator[Publisher]:
    del client  # by then the topology is declared
    publisher = Publisher(settings.amqp_url)
    await publisher.connect()
    yield publisher
    await publisher.close()


@pytest.fixture
def company(service: Service, client: RequestClient, publisher: Publisher) -> Tenant:
    return Tenant(service, client, publisher)


@pytest.fixture
def other_company(service: Service, client: RequestClient, publisher: Publisher) -> Tenant:
    return Tenant(service, client, publisher)


@pytest.fixture
async def overheard(
    client: RequestClient, settings: ContactsSettings
) -> AsyncIterator["aio_pika.abc.AbstractQueue"]:
    """A queue with everything published on domain.events, as another service would see it."""
    del client
    connection = await aio_pika.connect(settings.amqp_url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(topology.DOMAIN_EVENTS.name)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        yield queue


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    return eventually
