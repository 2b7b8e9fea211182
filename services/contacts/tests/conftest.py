"""One running contacts service for the whole run; every test is a tenant of its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from crm_contacts.app import create_service
from crm_contacts.settings import ContactsSettings
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Company, Outside, eventually, running
from pydantic import SecretStr
from service_kit.service import Service
from shared_events import topology
from shared_events.channels.traffic import ChannelMessageReceived, Person, TrafficChannel
from shared_events.contacts.contact import Identity, ListContacts
from shared_events.services import CONTACTS


class Shop(Company):
    """A company whose customers write to it."""

    @staticmethod
    def message(*identities: tuple[str, str], **said: Any) -> ChannelMessageReceived:
        """A message of a person with these (kind, value) identities."""
        push_name = said.pop("push_name", None)
        known = [
            Identity.model_validate({"kind": kind, "value": value}) for kind, value in identities
        ]
        fields: dict[str, Any] = {
            "channel": TrafficChannel(id=UUID(int=1), name="Vendas", session_timeout_seconds=1800),
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

    async def contacts(self, **query: Any) -> list[dict[str, Any]]:
        """The contacts a list shows."""
        data: list[dict[str, Any]] = (await self.value(ListContacts(**query)))["data"]
        return data


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, CONTACTS)


@pytest.fixture(scope="session")
async def database(databases: Databases) -> MigratedDatabase:
    """What the running service works on."""
    return await databases.create()


@pytest.fixture(scope="session")
async def settings(database: MigratedDatabase, rabbitmq_server: RabbitServer) -> ContactsSettings:
    return ContactsSettings(
        crm_env="test",
        database_url=SecretStr(database.url),
        rabbitmq_url=SecretStr(await rabbitmq_server.create_vhost("contacts")),
        consumer_retry_delays_seconds=(0.05,),
    )


@pytest.fixture(scope="session")
async def service(settings: ContactsSettings) -> AsyncIterator[Service]:
    async with running(create_service(settings)) as service:
        yield service


@pytest.fixture(scope="session")
async def outside(service: Service) -> AsyncIterator[Outside]:
    """The other services' connections to the bus."""
    async with Outside(service.settings.amqp_url) as outside:
        yield outside


@pytest.fixture
def company(service: Service, outside: Outside) -> Shop:
    return Shop(service.database, outside)


@pytest.fixture
def other_company(service: Service, outside: Outside) -> Shop:
    return Shop(service.database, outside)


@pytest.fixture
async def overheard(service: Service) -> AsyncIterator["aio_pika.abc.AbstractQueue"]:
    """A queue with everything published on domain.events, as another service would see it."""
    connection = await aio_pika.connect(service.settings.amqp_url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(topology.DOMAIN_EVENTS.name)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        yield queue
