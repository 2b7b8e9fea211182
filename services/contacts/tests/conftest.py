"""One running contacts service for the whole run; every test is a tenant of its own."""

from collections.abc import AsyncIterator

import aio_pika
import pytest
from crm_contacts.app import create_service
from crm_contacts.settings import ContactsSettings
from crm_testing.scenes.contacts import Shop
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Outside, running
from pydantic import SecretStr
from service_kit.service import Service
from shared_events import topology
from shared_events.services import CONTACTS


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
        erasure_settle_seconds=0,
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
