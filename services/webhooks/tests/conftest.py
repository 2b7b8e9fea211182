"""A webhooks service on real PostgreSQL and RabbitMQ, with a receiver for what it sends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Outside, running
from crm_webhooks.app import create_service
from crm_webhooks.endpoints.secrets import SigningSecret, Vault
from crm_webhooks.settings import WebhooksSettings
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.sealing import Seal
from service_kit.service import Service
from shared_events.services import WEBHOOKS
from shared_events.webhooks.endpoint import ListEndpoints

KEY = Fernet.generate_key().decode()


MakeTenant = Callable[..., Tenant]


class Place:
    """A database and a virtual host, where services may be started and stopped."""

    def __init__(self, database: MigratedDatabase, amqp_url: str) -> None:
        self.database = database
        self.amqp_url = amqp_url

    def settings(self, **overrides: Any) -> WebhooksSettings:
        """Quick ones: fractions of a second instead of hours."""
        quick: dict[str, Any] = {
            "crm_env": "test",
            "database_url": SecretStr(self.database.url),
            "rabbitmq_url": SecretStr(self.amqp_url),
            "encryption_key": SecretStr(KEY),
            "retry_schedule_seconds": (0.1, 0.2, 0.3),
            "webhook_timeout_seconds": 1.0,
            "webhook_slow_seconds": 0.3,
            "webhook_lease_seconds": 2.0,
        }
        return WebhooksSettings(**{**quick, **overrides})

    def running(self, **overrides: Any) -> AbstractAsyncContextManager[Service]:
        """A service from start to clean stop."""
        return running(create_service(self.settings(**overrides)))

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[MakeTenant]:
        """Makes tenants once a service answers, in whatever process."""
        async with self.database.connected() as database, Outside(self.amqp_url) as outside:
            await outside.answered(ListEndpoints())
            yield lambda *known: Tenant(database, outside, *known)


NewPlace = Callable[[], Awaitable[Place]]


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, WEBHOOKS)


@pytest.fixture(scope="session")
def new_place(databases: Databases, rabbitmq_server: RabbitServer) -> NewPlace:
    async def make() -> Place:
        return Place(await databases.create(), await rabbitmq_server.create_vhost("webhooks"))

    return make


@pytest.fixture(scope="session")
async def place(new_place: NewPlace) -> Place:
    return await new_place()


@pytest.fixture(scope="session")
async def service(place: Place) -> AsyncIterator[Service]:
    async with place.running() as service:
        yield service


@pytest.fixture(scope="session")
async def tenants(place: Place, service: Service) -> AsyncIterator[MakeTenant]:
    async with place.asking() as make:
        yield make


@pytest.fixture
def tenant(tenants: MakeTenant) -> Tenant:
    return tenants()


@pytest.fixture
def seal() -> Callable[[SigningSecret], bytes]:
    """Encrypts a secret as the service would."""
    return Vault(Seal(SecretStr(KEY))).seal


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver
