"""One running service for a module; every test is a tenant with a WAHA server of its own.

It ends with its module: what it owes to WAHA servers that are gone it would try for the whole run.
"""

from collections.abc import AsyncIterator, Callable

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.hearing.repository import Patience
from crm_channels_waha.liveness.watch import Watch
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Ingress, Shop
from crm_testing.schemas import Databases
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Outside, running
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.egress import Egress
from service_kit.service import Service
from shared_events.services import CHANNELS

MASTER_KEY = "master-key-only-for-this-test-run"
MakeSettings = Callable[..., ChannelsSettings]


@pytest.fixture(scope="session")
async def ingress() -> AsyncIterator[Ingress]:
    """What the gateway does with WAHA's webhooks."""
    async with Ingress(MASTER_KEY) as ingress:
        yield ingress


@pytest.fixture(scope="session")
async def make_settings(ingress: Ingress, tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Settings for a database and a broker, with waits short enough for tests."""

    files = tmp_path_factory.mktemp("media").as_uri()

    def make(database_url: str, amqp_url: str, **changes: object) -> ChannelsSettings:
        values: dict[str, object] = {
            "crm_env": "test",
            "database_url": SecretStr(database_url),
            "rabbitmq_url": SecretStr(amqp_url),
            "consumer_retry_delays_seconds": (0.05, 0.1),
            "ingress_master_key": SecretStr(MASTER_KEY),
            "encryption_key": SecretStr(Fernet.generate_key().decode()),
            "public_base_url": ingress.url,
            "waha_text_timeout_seconds": 3.0,
            "waha_media_timeout_seconds": 3.0,
            "waha_control_timeout_seconds": 10.0,
            "waha_unknown_wait_seconds": 1.0,
            "waha_retry_seconds": 0.02,
            "waha_retry_max_seconds": 0.1,
            "typing_interval_seconds": 3600.0,  # no pace of a machine shows a sign twice
            "typing_max_seconds": 0.02,
            "waha_stop_grace_seconds": 0.1,
            "waha_deaf_grace_seconds": 3600.0,  # tests of liveness look themselves
            "media_store_url": files,
            "media_retry_seconds": 0.02,
            "media_retry_max_seconds": 0.1,
            "media_attempts": 6,
            "media_max_bytes": 2**20,
            "profile_picture_days": 0,  # but where a test is about them
            "group_look_days": 0,
            "group_look_interval_seconds": 0.05,
            "group_look_pause_seconds": 0.02,
            "profile_picture_interval_seconds": 0.05,
            "profile_picture_pause_seconds": 0.02,
            **changes,
        }
        return ChannelsSettings.model_validate(values)

    return make


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, CHANNELS)


@pytest.fixture(scope="module")
async def settings(
    databases: Databases, rabbitmq_server: RabbitServer, make_settings: MakeSettings
) -> ChannelsSettings:
    """What the running service works on."""
    database = await databases.create()
    return make_settings(database.url, await rabbitmq_server.create_vhost("channels-waha"))


@pytest.fixture(scope="module")
async def service(settings: ChannelsSettings) -> AsyncIterator[Service]:
    async with running(create_service(settings)) as service:
        yield service


@pytest.fixture(scope="module")
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
def company(service: Service, outside: Outside, waha: WahaSimulator) -> Shop:
    return Shop(service.database, outside, waha=waha)


@pytest.fixture
def other_company(service: Service, outside: Outside, waha: WahaSimulator) -> Shop:
    return Shop(service.database, outside, waha=waha)


@pytest.fixture
async def own_settings(
    databases: Databases, rabbitmq_server: RabbitServer, make_settings: MakeSettings
) -> ChannelsSettings:
    """Settings of a database and a virtual host of this test's own, to stop the service on."""
    database = await databases.create()
    return make_settings(database.url, await rabbitmq_server.create_vhost("channels-own"))


@pytest.fixture
async def two_replicas(
    own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
) -> AsyncIterator[Shop]:
    """A company before a service of this test's own that runs twice."""
    async with (
        running(create_service(own_settings)) as first,
        running(create_service(own_settings)),
        Outside(own_settings.amqp_url) as outside,
    ):
        before, ingress.publisher = ingress.publisher, outside.publisher
        yield Shop(first.database, outside, waha=waha)
        ingress.publisher = before


@pytest.fixture
async def watch(service: Service, settings: ChannelsSettings) -> AsyncIterator[Watch]:
    """Looks whether channels are deaf when the test says so, and has no patience."""
    async with service.database.system("liveness") as tx:
        await tx.execute("DELETE FROM hearings")  # of the tests before
    async with service.database.system("history") as tx:  # their WAHA is gone
        await tx.execute("UPDATE history_imports SET state = 'cancelled'")
    http = WahaHttp(Egress.by_setting(None, is_production=False))
    connections = Connections(settings, http)
    patience = Patience(quiet=0.0, quiet_max=0.0, grace=0.0, repair=3600.0, repair_max=7200.0)

    async def hears() -> bool:
        return True

    yield Watch(service.database, connections, StatusBook(connections), patience, 0.0, hears)
    await http.aclose()
