"""A migrated database for each test, and the service on it, from the run's real servers."""

from collections.abc import AsyncIterator, Callable

import pytest
from crm_messaging.app import create_service
from crm_messaging.settings import MessagingSettings
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Company, Outside, running
from pydantic import SecretStr
from service_kit.database import Database
from service_kit.service import Service
from shared_events.services import MESSAGING

MakeSettings = Callable[..., MessagingSettings]


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, MESSAGING)


@pytest.fixture
async def own_database(databases: Databases) -> MigratedDatabase:
    """A database that no other test sees."""
    return await databases.create()


@pytest.fixture
async def database(own_database: MigratedDatabase) -> AsyncIterator[Database]:
    """That database as the runtime role, connected."""
    async with own_database.connected() as database:
        yield database


@pytest.fixture
async def scene(database: Database) -> Scene:
    """One tenant on that database."""
    return Scene(database)


@pytest.fixture(scope="session")
def settings_on() -> MakeSettings:
    """Make settings for a database and a virtual host, with waits short enough for tests."""

    def make(database: MigratedDatabase, amqp_url: str, **changes: object) -> MessagingSettings:
        values: dict[str, object] = {
            "crm_env": "test",
            "database_url": SecretStr(database.url),
            "rabbitmq_url": SecretStr(amqp_url),
            "consumer_retry_delays_seconds": (0.05, 0.1),
            "session_sweep_seconds": 0.2,
            "session_sweep_grace_seconds": 60,
            **changes,
        }
        return MessagingSettings.model_validate(values)

    return make


@pytest.fixture
async def make_settings(
    own_database: MigratedDatabase, rabbitmq_server: RabbitServer, settings_on: MakeSettings
) -> MakeSettings:
    """Make settings for this test's database and a virtual host of its own."""
    amqp_url = await rabbitmq_server.create_vhost("messaging")
    return lambda **changes: settings_on(own_database, amqp_url, **changes)


@pytest.fixture(scope="module")
async def service(
    databases: Databases,
    rabbitmq_server: RabbitServer,
    settings_on: MakeSettings,
) -> AsyncIterator[Service]:
    """One service for all tests of a module; each is a tenant of its own."""
    amqp_url = await rabbitmq_server.create_vhost("messaging")
    async with running(create_service(settings_on(await databases.create(), amqp_url))) as service:
        yield service


@pytest.fixture(scope="module")
async def outside(service: Service) -> AsyncIterator[Outside]:
    """Whoever is on the bus with that service."""
    async with Outside(service.settings.amqp_url) as outside:
        yield outside


@pytest.fixture
def agent(scene: Scene, outside: Outside) -> Company:
    """Asks messaging in the name of the tenant's agent."""
    return Company(scene.database, outside, id=scene.tenant_id)
