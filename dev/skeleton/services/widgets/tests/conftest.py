"""One running widgets service for the whole run; every test is a tenant of its own."""

from collections.abc import AsyncIterator

import pytest
from crm_testing.schemas import Databases
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Company, Outside, running
from crm_widgets.app import create_service
from crm_widgets.settings import WidgetsSettings
from pydantic import SecretStr
from service_kit.service import Service
from shared_events.services import WIDGETS


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, WIDGETS)


@pytest.fixture(scope="session")
async def service(databases: Databases, rabbitmq_server: RabbitServer) -> AsyncIterator[Service]:
    settings = WidgetsSettings(
        crm_env="test",
        database_url=SecretStr((await databases.create()).url),
        rabbitmq_url=SecretStr(await rabbitmq_server.create_vhost("widgets")),
    )
    async with running(create_service(settings)) as service:
        yield service


@pytest.fixture(scope="session")
async def outside(service: Service) -> AsyncIterator[Outside]:
    """The other services' connections to the bus."""
    async with Outside(service.settings.amqp_url) as outside:
        yield outside


@pytest.fixture
def company(service: Service, outside: Outside) -> Company:
    return Company(service.database, outside)


@pytest.fixture
def other_company(service: Service, outside: Outside) -> Company:
    return Company(service.database, outside)
