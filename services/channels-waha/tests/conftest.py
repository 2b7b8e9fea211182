"""One running service for the whole run; every test is a tenant with a WAHA server of its own."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from crm_channels_waha.app import PACKAGE, create_service
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.tables import SCHEMA
from crm_dev.testing import PostgresServer, RabbitServer
from crm_fakes.waha import WahaSimulator
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit import migrations
from service_kit.service import Service

sys.path.insert(0, str(Path(__file__).parent / "scene"))

from channels_scene import Company, Ingress, Outside, running

MASTER_KEY = "master-key-only-for-this-test-run"
MakeSettings = Callable[..., ChannelsSettings]


def runtime_url(admin_url: str) -> str:
    """The same database as the runtime role reaches it."""
    parts = urlsplit(admin_url)
    role = f"crm_channels_waha_app:only-for-tests@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=role))


@pytest.fixture(scope="session")
async def ingress() -> AsyncIterator[Ingress]:
    """What the gateway does with WAHA's webhooks."""
    async with Ingress(MASTER_KEY) as ingress:
        yield ingress


@pytest.fixture(scope="session")
async def make_settings(ingress: Ingress) -> MakeSettings:
    """Settings for a database and a broker, with waits short enough for tests."""

    def make(admin_url: str, amqp_url: str, **changes: object) -> ChannelsSettings:
        values: dict[str, object] = {
            "crm_env": "test",
            "database_url": SecretStr(runtime_url(admin_url)),
            "rabbitmq_url": SecretStr(amqp_url),
            "consumer_retry_delays_seconds": (0.05, 0.1),
            "ingress_master_key": SecretStr(MASTER_KEY),
            "encryption_key": SecretStr(Fernet.generate_key().decode()),
            "public_base_url": ingress.url,
            "waha_text_timeout_seconds": 0.5,
            "waha_media_timeout_seconds": 0.5,
            "waha_control_timeout_seconds": 2.0,
            "waha_unknown_wait_seconds": 0.4,
            "waha_retry_seconds": 0.02,
            "waha_retry_max_seconds": 0.1,
            "waha_stop_grace_seconds": 0.1,
            **changes,
        }
        return ChannelsSettings.model_validate(values)

    return make


async def migrated(settings: ChannelsSettings, admin_url: str) -> None:
    """Bring a database to the code's revision."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_ADMIN_URL", admin_url)
        await migrations.migrate(settings, package=PACKAGE, schema=SCHEMA)


@pytest.fixture(scope="session")
async def admin_url(postgres_server: PostgresServer) -> str:
    return await postgres_server.create_database("channels_waha")


@pytest.fixture(scope="session")
async def settings(
    admin_url: str, rabbitmq_server: RabbitServer, make_settings: MakeSettings
) -> ChannelsSettings:
    """Settings of a migrated database and an empty virtual host."""
    settings = make_settings(admin_url, await rabbitmq_server.create_vhost("channels-waha"))
    await migrated(settings, admin_url)
    return settings


@pytest.fixture(scope="session")
async def service(settings: ChannelsSettings) -> AsyncIterator[Service]:
    service = create_service(settings)
    async with running(service):
        yield service


@pytest.fixture(scope="session")
async def outside(service: Service, ingress: Ingress) -> AsyncIterator[Outside]:
    """The other services' connections to the bus."""
    async with Outside(service.settings.amqp_url) as outside:
        ingress.publisher = outside.publisher
        yield outside


@pytest.fixture
async def waha() -> AsyncIterator[WahaSimulator]:
    """A WAHA server that echoes sends and tells no receipts of its own."""
    async with WahaSimulator(api_key="waha-key", time_scale=0.01, acks="none") as waha:
        yield waha


@pytest.fixture
def company(service: Service, outside: Outside, waha: WahaSimulator) -> Company:
    return Company(service, outside, waha)


@pytest.fixture
def other_company(service: Service, outside: Outside, waha: WahaSimulator) -> Company:
    return Company(service, outside, waha)


@pytest.fixture
async def own_settings(
    postgres_server: PostgresServer, rabbitmq_server: RabbitServer, make_settings: MakeSettings
) -> ChannelsSettings:
    """Settings of a database and a virtual host of this test's own, to stop the service on."""
    admin_url = await postgres_server.create_database("channels_waha_own")
    settings = make_settings(admin_url, await rabbitmq_server.create_vhost("channels-own"))
    await migrated(settings, admin_url)
    return settings
