"""An import of history whose reader and whose keeper are killed: all of it, once, in its order.

`make kills` runs it, and no other verb: it takes minutes.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Message
from crm_testing.processes import process_of
from crm_testing.scenes.channels import Ingress, Shop
from crm_testing.schemas import Databases
from crm_testing.servers import PostgresServer
from crm_testing.services import Outside, declare_told, eventually, running
from service_kit.database import Database
from shared_events.channels.history import CreateHistoryImport
from shared_events.services import CHANNELS, MESSAGING

MESSAGES = int(os.environ.get("HISTORY_MESSAGES", "3000"))
"""`make kills MESSAGES=100000` has more."""
CHATS = 6
KILLS = 10
PATIENCE_SECONDS = 180.0 + MESSAGES / 20
"""A process takes its time to begin, and finds jobs that stand still 15 s later."""
_PASSED_ON = (
    *("ingress_master_key", "encryption_key", "public_base_url", "media_store_url"),
    *("database_url", "rabbitmq_url"),
)
Start = Callable[[], AbstractAsyncContextManager[asyncio.subprocess.Process]]


def said_before(waha: WahaSimulator, name: str) -> dict[str, list[str]]:
    """What several people said, one message a second, every third of them ours; texts by chat."""
    session = waha.session(name)
    said: dict[str, list[str]] = {f"551196666{n:04}@c.us": [] for n in range(CHATS)}
    begun = int(time.time()) - MESSAGES - 120
    for n in range(MESSAGES):
        chat = list(said)[n % CHATS]
        said[chat].append(f"mensagem {n}")
        message = Message(
            bare_id=f"OLD{n:08}",
            session=name,
            chat=chat,
            from_me=n % 3 == 0,
            kind="text",
            text=said[chat][-1],
            timestamp=begun + n,
        )
        waha.remember(session, message)
    return said


async def killed_at(
    stack: AsyncExitStack,
    start: Start,
    moments: Sequence[int],
    progress: Callable[[], Awaitable[int]],
) -> None:
    """Have a process work, and kill it once so much is done; so for each of the moments.

    The last one works on, as long as `stack`: others wait for what it does.
    """
    for moment in moments:

        async def is_due(moment: int = moment) -> bool:
            return await progress() >= moment

        async with start():
            await eventually(is_due, seconds=PATIENCE_SECONDS)
    await stack.enter_async_context(start())


def environment(settings: ChannelsSettings) -> dict[str, str]:
    """What a process of channels-waha is started with."""
    values = {name: getattr(settings, name) for name in _PASSED_ON}
    plain = {name: getattr(v, "get_secret_value", v.__str__)() for name, v in values.items()}
    return {name.upper(): str(value) for name, value in plain.items()}


async def number(database: Database, tenant_id: str, query: str) -> int:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return int(await tx.fetchval(query))


@pytest.mark.timeout(3600)  # each kill costs a start, and the look for jobs that stand still
async def test_killed_ten_times_at_random_moments_has_each_message_once_and_in_order(
    own_settings: ChannelsSettings,
    ingress: Ingress,
    waha: WahaSimulator,
    postgres_server: PostgresServer,
) -> None:
    amqp_url = own_settings.amqp_url
    place = await Databases(postgres_server, MESSAGING).create()
    await declare_told(MESSAGING, amqp_url)
    before = ingress.publisher
    async with running(create_service(own_settings)) as service, Outside(amqp_url) as outside:
        ingress.publisher = outside.publisher
        company = Shop(service.database, outside, waha=waha)
        await company.connect()
        said = said_before(waha, "loja")
        await company.value(CreateHistoryImport(channel_id=company.channel_id))
    ingress.publisher = before
    reader = partial(process_of, CHANNELS, **environment(own_settings))
    keeper = partial(process_of, MESSAGING, DATABASE_URL=place.url, RABBITMQ_URL=amqp_url)
    chance = random.Random(company.id)
    reading, keeping = (sorted(chance.sample(range(MESSAGES // 2), KILLS // 2)) for _ in range(2))
    url = environment(own_settings)["DATABASE_URL"]
    channels = Database(url, CHANNELS.schema, pool_size=2)
    await channels.connect()
    async with place.connected(2) as messaging:
        read = partial(number, channels, company.id, "SELECT sum(messages) FROM history_imports")
        kept = partial(number, messaging, company.id, "SELECT count(*) FROM messages")
        assert await read() < MESSAGES // 2, "it was read before anybody could be killed"
        ended = partial(
            number, channels, company.id, "SELECT count(finished_at) FROM history_imports"
        )

        async def is_over() -> bool:
            return await ended() == 1 and await kept() >= MESSAGES

        async with AsyncExitStack() as stack:
            await asyncio.gather(
                killed_at(stack, reader, reading, read), killed_at(stack, keeper, keeping, kept)
            )
            await eventually(is_over, seconds=PATIENCE_SECONDS)
        async with channels.tenant(company.id, read_only=True) as tx:
            (job,) = await tx.fetch("SELECT * FROM history_imports")
        assert (job["state"], job["errors"], job["messages"]) == ("completed", 0, MESSAGES)
        async with messaging.tenant(company.id, read_only=True) as tx:
            rows = await tx.fetch(
                "SELECT chat_id, content, seq FROM messages ORDER BY chat_id, seq"
            )
    await channels.close()
    for chat, texts in said.items():
        mine = [row for row in rows if row["chat_id"] == chat]
        assert [row["content"] for row in mine] == texts
        assert [row["seq"] for row in mine] == list(
            range(mine[0]["seq"], mine[0]["seq"] + len(texts))
        )
    assert len(rows) == MESSAGES
