"""A test's own virtual host: looking into queues, publishing events by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from crm_testing.servers import RabbitServer
from service_kit.bundles import BUNDLE, body_of
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted

from crm_scratch.things import QUEUE, TENANT

RETRY_DELAYS = (0.05, 0.1)


def deleted(
    channel_id: UUID | None = None, *, event_id: UUID | None = None, tenant_id: str = TENANT
) -> aio_pika.Message:
    """An event `channel.deleted` as the relay publishes it."""
    event_id, channel_id = event_id or uuid4(), channel_id or uuid4()
    body = (
        f'{{"event_id":"{event_id}","event_type":"channel.deleted","event_version":"1",'
        f'"aggregate_id":"{channel_id}","aggregate_type":"channel","aggregate_seq":1,'
        f'"tenant_id":"{tenant_id}","occurred_at":"2025-03-14T12:30:05Z",'
        f'"correlation_id":"req-1","data":{{"channel_id":"{channel_id}"}}}}'
    )
    return message(body.encode(), event_id=event_id, tenant_id=tenant_id)


def bundled(*messages: aio_pika.Message) -> aio_pika.Message:
    """These as the relay bundles them."""
    together = message(body_of([each.body for each in messages]))
    together.headers[BUNDLE] = len(messages)
    return together


def message(
    body: bytes,
    *,
    event_id: UUID | None = None,
    event_type: str = ChannelDeleted.event_type,
    event_version: str = "1",
    tenant_id: str = TENANT,
) -> aio_pika.Message:
    """Any body under an event's headers."""
    event_id = event_id or uuid4()
    return aio_pika.Message(
        body,
        message_id=str(event_id),
        headers={
            "event_id": str(event_id),
            "event_type": event_type,
            "event_version": event_version,
            "tenant_id": tenant_id,
        },
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


class Bus:
    """A connection of the test's own to look at the broker with."""

    def __init__(self, channel: AbstractChannel) -> None:
        self.channel = channel

    async def exchange(self, name: str) -> None:
        """Declare a topic exchange as the kit does."""
        await self.channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)

    async def queue(self, name: str, exchange: str, key: str) -> AbstractQueue:
        """Declare a plain queue of the test's own, bound to an exchange."""
        queue = await self.channel.declare_queue(name, durable=True)
        await queue.bind(exchange, key)
        return queue

    async def send(self, *messages: aio_pika.Message, queue: str = QUEUE.name) -> None:
        """Put messages straight into a queue, in this order."""
        for each in messages:
            await self.channel.default_exchange.publish(each, queue)

    async def depth(self, queue: str) -> int:
        """How many messages wait in a queue (unacknowledged ones not counted)."""
        found = await self.channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0

    async def consumers(self, queue: str) -> int:
        """How many consumers a queue has."""
        found = await self.channel.declare_queue(queue, passive=True)
        return found.declaration_result.consumer_count or 0

    async def take(self, queue: str, seconds: float = 60.0) -> AbstractIncomingMessage:
        """The next message of a queue, taken out of it."""
        found = await self.channel.get_queue(queue, ensure=False)
        async with found.iterator(timeout=seconds) as messages:
            taken = await anext(messages)
            await taken.ack()
            return taken

    async def dead_letter(self, queue: topology.EventQueue = QUEUE) -> AbstractIncomingMessage:
        """The next dead letter of a live queue, taken out of it."""
        return await self.take(queue.dead_letters.name)


@asynccontextmanager
async def looking_into(url: str) -> AsyncIterator[Bus]:
    """A connection to this virtual host."""
    connection = await aio_pika.connect(url)
    async with connection:
        yield Bus(await connection.channel())


@asynccontextmanager
async def away(server: RabbitServer, *, suddenly: bool) -> AsyncIterator[None]:
    """Meanwhile the broker is stopped or killed; it is back however this ends.

    RabbitMQ 3.10 writes down which quorum queues it has twice a second. One that is killed before
    that takes its queues for new, and they never have a leader.
    """
    if suddenly:
        await asyncio.sleep(1)
    await (server.kill() if suddenly else server.stop())
    try:
        yield
    finally:
        await server.start()


def headers(taken: AbstractIncomingMessage) -> dict[str, Any]:
    """The headers as a plain dictionary."""
    return dict(taken.headers)
