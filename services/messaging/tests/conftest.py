"""A migrated database for each test, and the service on it, from the run's real servers."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from crm_dev.testing import PostgresServer, RabbitServer
from crm_messaging.settings import MessagingSettings
from pydantic import SecretStr
from service_kit import migrations
from service_kit.database import Database

sys.path.insert(0, str(Path(__file__).parent / "scene"))

from messaging_scene import Scene

MakeSettings = Callable[..., MessagingSettings]


def runtime_url(admin_url: str) -> str:
    """The same database as the runtime role reaches it."""
    parts = urlsplit(admin_url)
    return urlunsplit(parts._replace(netloc=f"crm_messaging_app:app@{parts.hostname}:{parts.port}"))


@pytest.fixture(scope="session")
async def migrated_template(postgres_server: PostgresServer) -> str:
    """A database with messaging's schema, to copy for each test; returns its name."""
    url = await postgres_server.create_database("messaging_template")
    settings = MessagingSettings(
        crm_env="test",
        database_url=SecretStr(runtime_url(url)),
        rabbitmq_url=SecretStr("amqp://nobody:x@localhost/"),
    )
    os.environ["DATABASE_ADMIN_URL"] = url
    try:
        await migrations.migrate(settings, package="crm_messaging", schema="messaging")
    finally:
        del os.environ["DATABASE_ADMIN_URL"]
    return urlsplit(url).path.lstrip("/")


@pytest.fixture
async def admin_url(postgres_server: PostgresServer, migrated_template: str) -> str:
    """A fresh copy of the migrated database, as its administrator reaches it."""
    return await postgres_server.create_database("messaging", template=migrated_template)


@pytest.fixture
async def database(admin_url: str) -> AsyncIterator[Database]:
    """The fresh database as the runtime role, connected."""
    database = Database(runtime_url(admin_url), "messaging", pool_size=8)
    await database.connect()
    yield database
    await database.close()


@pytest.fixture
async def scene(database: Database) -> Scene:
    """One tenant on the fresh database."""
    return Scene(database)


@pytest.fixture
async def make_settings(admin_url: str, rabbitmq_server: RabbitServer) -> MakeSettings:
    """Settings of messaging on this test's database and a virtual host of its own."""
    vhost = await rabbitmq_server.create_vhost("messaging")

    def make(**changes: object) -> MessagingSettings:
        values: dict[str, object] = {
            "crm_env": "test",
            "database_url": SecretStr(runtime_url(admin_url)),
            "rabbitmq_url": SecretStr(vhost),
            "consumer_retry_delays_seconds": (0.05, 0.1),
            "session_sweep_seconds": 0.2,
            "session_sweep_grace_seconds": 60,
            **changes,
        }
        return MessagingSettings.model_validate(values)

    return make
