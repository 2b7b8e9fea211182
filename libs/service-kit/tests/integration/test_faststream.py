"""Canaries: what FastStream does today that the kit is built around.

When one of these fails after an upgrade, read `service_kit.bus` and `service_kit.consumer` again:
a precaution there may have become wrong, or needless.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika import IncomingMessage
from aio_pika.exceptions import AMQPError, PublishError
from aiormq.abc import DeliveredMessage
from crm_scratch import eventually
from crm_scratch.bus import Bus
from faststream import AckPolicy
from faststream.middlewares import BaseMiddleware
from faststream.rabbit import (
    Channel,
    ExchangeType,
    QueueType,
    RabbitBroker,
    RabbitExchange,
    RabbitMessage,
    RabbitQueue,
)
from pamqp.commands import Basic
from service_kit.bus import Publisher, UnroutableError, make_broker
from service_kit.connection import connect, discard
from service_kit.router import Router
from shared_events import topology

FOR_AS_LONG_AS_IT_TAKES = 60_000
"""Milliseconds in which even a slow machine fills a batch."""


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


class TestBatchSubscriber:
    """`service_kit.batch` stands on FastStream's own subscriber and its pipeline."""

    async def test_takes_deliveries_in_order_and_acknowledges_batches(
        self, vhost: str, bus: Bus
    ) -> None:
        batches: list[list[int]] = []

        async def note(messages: list[IncomingMessage]) -> None:
            batches.append([int(message.body) for message in messages])

        router = Router()
        router.batch_subscriber(RabbitQueue("ordered"), RabbitExchange(), max_records=100)(note)
        broker = make_broker(vhost, confirms=False)
        broker.include_router(router)
        async with started(broker):
            for number in range(1000):
                await bus.channel.default_exchange.publish(
                    aio_pika.Message(str(number).encode()), "ordered"
                )
            await eventually(lambda: sum(map(len, batches)) == 1000)
        assert [number for batch in batches for number in batch] == list(range(1000))
        assert max(map(len, batches)) > 1
        assert await bus.depth("ordered") == 0

    async def test_leaves_in_order(self, vhost: str, bus: Bus) -> None:
        """The next consumer of an ordered queue begins with what the first did not settle."""
        queue = RabbitQueue(
            "handed over",
            queue_type=QueueType.QUORUM,
            arguments={"x-single-active-consumer": True},
        )
        seen: list[int] = []
        begun = asyncio.Event()

        async def slowly(messages: list[IncomingMessage]) -> None:
            begun.set()
            await asyncio.sleep(0.05)
            seen.extend(int(message.body) for message in messages)

        brokers = []
        for _ in range(2):
            router = Router()
            router.batch_subscriber(queue, RabbitExchange(), max_records=10)(slowly)
            broker = make_broker(vhost, confirms=False)
            broker.include_router(router)
            brokers.append((broker, await connect(broker)))
        for number in range(200):
            await bus.channel.default_exchange.publish(
                aio_pika.Message(str(number).encode()), queue.name
            )
        await begun.wait()
        await discard(*brokers[0])
        await eventually(lambda: len(set(seen)) == 200)
        await discard(*brokers[1])
        assert list(dict.fromkeys(seen)) == list(range(200))

    async def test_gives_a_batch_back_whose_handler_raises(self, vhost: str, bus: Bus) -> None:
        sizes: list[int] = []

        async def fail_once(messages: list[IncomingMessage]) -> None:
            sizes.append(len(messages))
            if len(sizes) == 1:
                raise RuntimeError("a bug")

        router = Router()
        router.batch_subscriber(
            RabbitQueue("returned"),
            RabbitExchange(),
            max_records=3,
            batch_timeout_ms=FOR_AS_LONG_AS_IT_TAKES,
        )(fail_once)
        broker = make_broker(vhost, confirms=False)
        broker.include_router(router)
        async with started(broker):
            for _ in range(3):
                await bus.channel.default_exchange.publish(aio_pika.Message(b"1"), "returned")
            await eventually(lambda: sum(sizes) == 6)
        assert await bus.depth("returned") == 0

    async def test_goes_through_the_middlewares_as_one_message(self, vhost: str, bus: Bus) -> None:
        seen: list[int] = []

        class Counting(BaseMiddleware):
            async def consume_scope(self, call_next: Any, msg: Any) -> Any:
                seen.append(len(msg.raw_message))
                return await call_next(msg)

        async def nothing(messages: list[IncomingMessage]) -> None:
            del messages

        router = Router()
        router.batch_subscriber(
            RabbitQueue("watched"),
            RabbitExchange(),
            max_records=3,
            batch_timeout_ms=FOR_AS_LONG_AS_IT_TAKES,
        )(nothing)
        broker = make_broker(vhost, confirms=False)
        broker.add_middleware(Counting)
        broker.include_router(router)
        async with started(broker):
            for _ in range(3):
                await bus.channel.default_exchange.publish(aio_pika.Message(b"1"), "watched")
            await eventually(lambda: sum(seen) == 3)
        assert seen == [3]


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
        await publisher.declare(topology.QUEUES, (0.05, 0.1))
        await publisher.declare(topology.QUEUES, (0.05, 0.1))


class TestShortChannel:
    async def test_lets_go_of_whoever_is_cancelled_while_it_closes(
        self, publisher: Publisher
    ) -> None:
        """aiormq by itself drops a cancellation that meets the broker's answer."""

        async def probe() -> None:
            while True:
                await publisher.ping()

        for turns in range(120):
            probing = asyncio.create_task(probe())
            for _ in range(turns % 60):
                await asyncio.sleep(0)
            probing.cancel()
            done, _ = await asyncio.wait({probing}, timeout=30)
            assert done, f"still at work, cancelled after {turns} turns"
