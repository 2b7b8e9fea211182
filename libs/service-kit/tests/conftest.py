"""A migrated database and a virtual host for each test, from the run's real servers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from crm_testing.servers import PostgresServer, RabbitServer, running_rabbitmq
from crm_testing.services import SIGNATURES, answering
from faststream.rabbit import RabbitBroker
from pydantic import SecretStr
from service_kit import migrations
from service_kit.bus import Publisher, make_broker
from service_kit.calls import Call
from service_kit.consumer import Consumer
from service_kit.database import Database, Transaction
from service_kit.incoming import Decoder, EventHandler
from service_kit.request_client import RequestClient
from service_kit.request_server import RequestServer
from service_kit.router import Router
from service_kit.settings import ServiceSettings
from shared_events.channels.channel import ChannelDeleted

sys.path.insert(0, str(Path(__file__).parent / "scratch"))

from crm_scratch.asking import LookOutside
from crm_scratch.bus import RETRY_DELAYS, Bus, looking_into
from crm_scratch.consuming import deleted_to
from crm_scratch.things import (
    QUEUE,
    SCRATCH,
    BreakThing,
    GetThing,
    MakeThing,
    Thing,
    WaitForThing,
    break_thing,
    get_thing,
    make_thing,
    store_deleted,
)


def runtime_url(admin_url: str, database_url: str | None = None) -> str:
    """The same database as the scratch service's runtime role reaches it."""
    parts = urlsplit(database_url or admin_url)
    return urlunsplit(parts._replace(netloc=f"crm_scratch_app:app@{parts.hostname}:{parts.port}"))


@pytest.fixture(scope="session")
async def migrated_template(postgres_server: PostgresServer) -> str:
    """A database with the scratch schema, to copy for each test; returns its name."""
    url = await postgres_server.create_database("kit_template")
    settings = ServiceSettings(
        crm_env="test",
        database_url=SecretStr(runtime_url(url)),
        rabbitmq_url=SecretStr("amqp://nobody:x@localhost/"),
    )
    os.environ["DATABASE_ADMIN_URL"] = url
    try:
        await migrations.migrate(settings, package="crm_scratch", schema="scratch")
    finally:
        del os.environ["DATABASE_ADMIN_URL"]
    return urlsplit(url).path.lstrip("/")


@pytest.fixture
async def admin_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """A fresh copy of the migrated database, as its administrator reaches it."""
    url = await postgres_server.create_database("kit", template=migrated_template)
    yield url
    await postgres_server.drop_database(url)


@pytest.fixture
async def database(admin_url: str) -> AsyncIterator[Database]:
    """The fresh database as the runtime role, connected."""
    database = Database(runtime_url(admin_url), "scratch", pool_size=4)
    await database.connect()
    yield database
    await database.close()


@pytest.fixture
async def vhost(rabbitmq_server: RabbitServer) -> str:
    """An empty virtual host; its AMQP URL."""
    return await rabbitmq_server.create_vhost("kit")


@pytest.fixture(scope="session")
async def mortal_server() -> AsyncIterator[RabbitServer]:
    """A RabbitMQ for outages alone, so that no other test loses its broker; see `crm_scratch`."""
    async with running_rabbitmq() as server:
        yield server


@pytest.fixture
async def mortal_vhost(mortal_server: RabbitServer) -> str:
    """An empty virtual host of the broker that goes down; its AMQP URL."""
    return await mortal_server.create_vhost("kit")


@pytest.fixture
async def bus(vhost: str) -> AsyncIterator[Bus]:
    """The test's own eyes and hands on the virtual host."""
    async with looking_into(vhost) as bus:
        yield bus


@pytest.fixture
async def publisher(vhost: str) -> AsyncIterator[Publisher]:
    """A connected publisher, without any topology."""
    publisher = Publisher(vhost)
    await publisher.connect()
    yield publisher
    await publisher.close()


@pytest.fixture
async def declared(publisher: Publisher) -> Publisher:
    """A connected publisher with all exchanges, QUEUE alone and short retry delays.

    A service declares every queue; that takes a second, which most tests need not wait for.
    """
    await publisher.declare([QUEUE], RETRY_DELAYS)
    return publisher


@pytest.fixture
async def consuming(
    database: Database, declared: Publisher, vhost: str
) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Start a consumer of QUEUE with this handler or decoder."""
    running = []

    async def start(
        handler: EventHandler[ChannelDeleted] | None = None,
        *,
        decode: Decoder | None = None,
        **options: Any,
    ) -> None:
        consumer = Consumer(
            QUEUE,
            "scratch",
            decode or deleted_to(handler or store_deleted),
            database=database,
            publisher=declared,
            retry_delays=RETRY_DELAYS,
        )
        router = Router()
        router.batch_subscriber(QUEUE, QUEUE.exchange, **options)(consumer.handle)
        broker = make_broker(vhost, confirms=False)
        broker.include_router(router)
        await broker.start()
        running.append(broker)

    yield start
    for broker in running:
        await broker.stop()


@pytest.fixture
def make_settings(admin_url: str, vhost: str) -> Callable[..., ServiceSettings]:
    """Settings of a scratch service on this test's database and virtual host."""

    def make(**changes: object) -> ServiceSettings:
        values: dict[str, object] = {
            "crm_env": "test",
            "database_url": SecretStr(runtime_url(admin_url)),
            "rabbitmq_url": SecretStr(vhost),
            "consumer_retry_delays_seconds": RETRY_DELAYS,
            **changes,
        }
        return ServiceSettings.model_validate(values)

    return make


@pytest.fixture
def gate() -> asyncio.Event:
    """What WaitForThing waits for."""
    return asyncio.Event()


@pytest.fixture
def at_the_gate() -> list[str]:
    """Who waits there, or has waited."""
    return []


@pytest.fixture
def server(database: Database, gate: asyncio.Event, at_the_gate: list[str]) -> RequestServer:
    """A server that answers all of the scratch service's requests."""

    async def wait_for_thing(tx: Transaction, request: WaitForThing, call: Call) -> Thing:
        at_the_gate.append(request.key)
        await gate.wait()
        return Thing(id=uuid4(), name="late")

    async def outside(request: LookOutside, call: Call) -> Thing:
        at_the_gate.append(request.key)
        await gate.wait()
        return Thing(id=uuid4(), name=call.principal.tenant_id)

    server = RequestServer(SCRATCH, database, SIGNATURES)
    server.answer(MakeThing, make_thing)
    server.answer(GetThing, get_thing)
    server.answer(BreakThing, break_thing)
    server.answer(WaitForThing, wait_for_thing)
    server.answer_external(LookOutside, outside)
    return server


@pytest.fixture
async def serving(
    server: RequestServer, vhost: str, gate: asyncio.Event
) -> AsyncIterator[RabbitBroker]:
    """The broker through which the server answers."""
    async with answering(server, vhost) as broker:
        yield broker
        gate.set()


@pytest.fixture
async def client(vhost: str) -> AsyncIterator[RequestClient]:
    """Who asks the server."""
    client = RequestClient(vhost, SIGNATURES)
    await client.start()
    yield client
    await client.stop()
