"""A backup taken at work, restored beside a broker that never saw any of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from crm_channels_waha.app import create_service
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import backup, crm
from crm_testing.scenes.channels import CUSTOMER, Ingress, Shop
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import RabbitServer
from crm_testing.services import Outside, eventually, running
from pydantic import SecretStr
from shared_events import topology

pytestmark = pytest.mark.timeout(600)  # each command is a process of its own

SCHEMA = "channels_waha"
RECEIVED = "channel.message_received"


@asynccontextmanager
async def hearing(amqp_url: str) -> AsyncIterator[list[str]]:
    """The ids of the messages that messaging is told of, in its place, as they come."""
    heard: list[str] = []

    async def hear(message: AbstractIncomingMessage) -> None:
        if message.headers["event_type"] == RECEIVED:
            heard.append(str(message.headers["event_id"]))

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for part in topology.MESSAGING_CHANNEL_EVENTS.partitions(topology.PARTITIONS):
            await (await channel.get_queue(part.name)).consume(hear, no_ack=True)
        yield heard


@pytest.fixture
async def lost(databases: Databases) -> MigratedDatabase:
    return await databases.create()


@pytest.fixture
async def fresh(databases: Databases) -> MigratedDatabase:
    return await databases.create()


async def test_what_was_told_is_told_again_and_nothing_is_sent_twice(
    lost: MigratedDatabase,
    fresh: MigratedDatabase,
    own_settings: ChannelsSettings,
    rabbitmq_server: RabbitServer,
    ingress: Ingress,
    waha: WahaSimulator,
    tmp_path: Path,
) -> None:
    begun, before = datetime.now(UTC), ingress.publisher
    settings = own_settings.model_copy(update={"database_url": SecretStr(lost.url)})
    async with (
        running(create_service(settings)) as service,
        Outside(settings.amqp_url) as outside,
    ):
        ingress.publisher = outside.publisher
        shop = Shop(service.database, outside, waha=waha)
        await shop.connect()
        for text in ("um", "dois", "três"):
            await waha.receive_text("loja", CUSTOMER.partition("@")[0], text)
        await shop.until_told(RECEIVED, 3)
        waha.faults.add("refuse")
        owed = await shop.write("Já vai")
        await shop.until_state(owed, "pending")

        async def all_published() -> bool:
            rows = await shop.outbox()
            return all(row["processed_at"] for row in rows)

        await eventually(all_published)
        ids = [str(row["event_id"]) for row in await shop.outbox(RECEIVED)]
        said = await backup("dump", tmp_path, lost.admin_url, SCHEMA)
        assert (said.code, said.out) == (0, f"{SCHEMA}\n")
        waha.faults.clear()
        await shop.until_state(owed, "sent")

    settings = own_settings.model_copy(
        update={
            "database_url": SecretStr(fresh.url),
            "rabbitmq_url": SecretStr(await rabbitmq_server.create_vhost("fresh")),
        }
    )
    said = await backup("restore", tmp_path, fresh.admin_url)
    assert said.code == 0, said.err
    assert datetime.fromisoformat(said.out.strip()) >= begun.replace(microsecond=0)
    environment = {
        "CRM_ENV": "test",
        "DATABASE_URL": fresh.url,
        "RABBITMQ_URL": settings.amqp_url,
        "ENCRYPTION_KEY": settings.encryption_key.get_secret_value(),
        "INGRESS_MASTER_KEY": settings.ingress_master_key.get_secret_value(),
        "PUBLIC_BASE_URL": settings.public_base_url,
    }
    said = await crm("channels-waha", "ledger", "distrust", **environment)
    assert (said.code, said.documents) == (0, [1])
    since = ("--since", begun.isoformat())
    said = await crm("channels-waha", "outbox", "replay", *since, **environment)
    assert said.documents[0] >= len(ids)

    async with (
        running(create_service(settings)) as service,
        Outside(settings.amqp_url) as outside,
        hearing(settings.amqp_url) as heard,
    ):
        ingress.publisher = outside.publisher
        again = Shop(service.database, outside, waha=waha)
        again.id, again.channel_id = shop.id, shop.channel_id

        async def all_heard() -> bool:
            return len(heard) >= len(ids)

        await eventually(all_heard)
        assert heard == ids
        await again.until_state(owed, "sent")
        await waha.receive_text("loja", CUSTOMER.partition("@")[0], "depois")
        await again.until_told(RECEIVED, 4)
    assert [sent.times for sent in waha.sent.values()] == [1]
    ingress.publisher = before
