"""Canaries: what FastStream does today that the kit is built around.

When one of these fails after an upgrade, read `service_kit.bus` and `service_kit.consumer` again:
a precaution there may have become wrong, or needless.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, PublishError
from aiormq.abc import DeliveredMessage
from crm_scratch import eventually
from crm_scratch.bus import Bus
from faststream import AckPolicy
from faststream.rabbit import (
    Channel,
    ExchangeType,
    RabbitBroker,
    RabbitExchange,
    RabbitMessage,
    RabbitQueue,
)
from pamqp.commands import Basic
from service_kit.bus import Publisher, UnroutableError, make_broker


@asynccontextmanager
async def started(broker: RabbitBroker) -> AsyncIterator[RabbitBroker]:
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def plain(url: str) -> RabbitBroker:
    return RabbitBroker(url, logger=None)


class TestPublish:
    async def test_does_not_raise_by_default_when_no_queue_is_bound(self, vhost: str) -> None:
        async with started(plain(vhost)) as broker:
            result = await broker.publish("x", queue="nobody")
        assert isinstance(result, DeliveredMessage)

    async def test_confirms_with_an_ack_when_one_is(self, vhost: str, bus: Bus) -> None:
        await bus.channel.declare_queue("somebody", durable=True)
        async with started(plain(vhost)) as broker:
            assert isinstance(await broker.publish("x", queue="somebody"), Basic.Ack)

    async def test_raises_with_on_return_raises(self, vhost: str) -> None:
        broker = RabbitBroker(vhost, logger=None, default_channel=Channel(on_return_raises=True))
        async with started(broker):
            with pytest.raises(PublishError):
                await broker.publish("x", queue="nobody")

    async def test_makes_transient_messages_by_default(self, vhost: str, bus: Bus) -> None:
        await bus.channel.declare_queue("somebody", durable=True)
        async with started(plain(vhost)) as broker:
            await broker.publish("x", queue="somebody")
        assert (await bus.take("somebody")).delivery_mode == aio_pika.DeliveryMode.NOT_PERSISTENT

    async def test_declares_no_exchange(self, vhost: str) -> None:
        async with started(plain(vhost)) as broker:
            with pytest.raises(AMQPError, match="no exchange 'things'"):
                await broker.publish("x", exchange="things", routing_key="a.b")


class TestExchange:
    async def test_with_a_bare_name_is_a_direct_one(self, vhost: str, bus: Bus) -> None:
        assert RabbitExchange("bare").type is ExchangeType.DIRECT
        await bus.exchange("things")  # a topic exchange, as all of ours
        broker = plain(vhost)
        broker.subscriber("somebody", "things")(print)
        with pytest.raises(AMQPError, match="inequivalent arg 'type'"):
            await broker.start()
        await broker.stop()


class TestSubscriber:
    async def test_hands_deliveries_to_its_consume_in_order(self, vhost: str, bus: Bus) -> None:
        """`service_kit.consumer` puts its own in that place and queues in its first step."""
        await bus.channel.declare_queue("ordered", durable=True)
        begun: list[int] = []
        broker = make_broker(vhost)

        async def note(message: AbstractIncomingMessage) -> None:
            begun.append(int(message.body))
            await asyncio.sleep(0)
            await message.ack()

        subscriber = broker.subscriber(
            RabbitQueue("ordered", durable=True),
            channel=Channel(prefetch_count=200),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )
        subscriber(print)
        cast(Any, subscriber).consume = note
        for number in range(1000):
            await bus.channel.default_exchange.publish(
                aio_pika.Message(str(number).encode()), "ordered"
            )
        async with started(broker):
            await eventually(lambda: len(begun) == 1000)
        assert begun == list(range(1000))


class TestHandlers:
    async def test_that_raise_send_no_reply(self, vhost: str) -> None:
        broker = plain(vhost)

        @broker.subscriber("asked")
        async def fail(body: str) -> None:
            raise ValueError(body)

        async with started(broker):
            with pytest.raises(TimeoutError):
                await broker.request("x", queue="asked", timeout=0.3)

    async def test_that_raise_leave_the_message_when_acknowledged_by_hand(
        self, vhost: str, bus: Bus
    ) -> None:
        """An exception that escapes a handler must not lose the message."""
        calls: list[int] = []
        broker = make_broker(vhost)

        async def fail(message: RabbitMessage) -> None:
            calls.append(1)
            raise ValueError

        broker.subscriber(
            RabbitQueue("kept", durable=True), ack_policy=AckPolicy.MANUAL, no_reply=True
        )(fail)
        async with started(broker):
            await bus.channel.default_exchange.publish(aio_pika.Message(b"x"), "kept")
            await eventually(lambda: bool(calls))
        assert (await bus.take("kept")).body == b"x"
        assert len(calls) == 1  # and it was not requeued in a hot loop


class TestPublisher:
    """What the kit makes of it."""

    async def test_is_persistent_and_raises_for_the_unroutable(
        self, publisher: Publisher, bus: Bus
    ) -> None:
        await bus.exchange("things")
        with pytest.raises(UnroutableError):
            await publisher.publish("things", "a.b", b"x", message_id="1", headers={})
        await bus.queue("somebody", "things", "#")
        await publisher.publish("things", "a.b", b"x", message_id="2", headers={"h": "v"})
        taken = await bus.take("somebody")
        assert taken.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        assert (taken.message_id, taken.headers["h"]) == ("2", "v")

    async def test_declares_again_without_a_change(self, publisher: Publisher) -> None:
        await publisher.declare((0.05, 0.1))
        await publisher.declare((0.05, 0.1))
