"""RabbitMQ through FastStream: declaring the topology, publishing so that nothing is lost.

FastStream's traps this module is built around (each has a canary test): publishes are transient
by default, an unroutable one does not raise by default, `publish(timeout=)` is ignored, and two
messages with one message id in flight confuse which of them was returned.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, cast

import aio_pika
import aiormq
from aio_pika.abc import (
    AbstractChannel,
    AbstractExchange,
    AbstractRobustConnection,
    DeliveryMode,
)
from aio_pika.exceptions import AMQPException, DeliveryError, PublishError
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitMessage
from pamqp.commands import Basic
from shared_events import topology

_log = logging.getLogger("faststream")

PUBLISH_TIMEOUT_SECONDS = 5.0
_CONNECT_SECONDS = 30.0
_CLOSE_SECONDS = 5.0

BROKER_ERRORS: tuple[type[BaseException], ...] = (
    AMQPException,
    ConnectionError,
    TimeoutError,
    OSError,
    RuntimeError,  # aio-pika's "channel closed" family while it reconnects
)
"""The broker is away: nothing is wrong with the message."""


class UnroutableError(Exception):
    """No queue is bound for this key; the broker handed the message back."""


class BrokerDownError(ConnectionError):
    """The broker did not confirm. The message may still have arrived: consumers deduplicate."""


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    """Give handlers the message itself: uninjected ones get only what a decoder returns."""
    return message


def make_broker(url: str, *, confirms: bool = True, prefetch: int = 10) -> RabbitBroker:
    """A connection of its own. FastStream injects nothing: handlers take the raw message."""
    return RabbitBroker(
        url,
        default_channel=Channel(
            prefetch_count=prefetch, publisher_confirms=confirms, on_return_raises=confirms
        ),
        apply_types=False,
        decoder=_undecoded,
        reconnect_interval=1.0,
        fail_fast=True,
        graceful_timeout=10.0,
        logger=_log,
        log_level=logging.DEBUG,
    )


async def connect(broker: RabbitBroker) -> None:
    """Start a new broker object, or close it for good and raise.

    One whose start failed half-way never heals (its publishes and consumers hang after the
    reconnect), so whoever tries again makes a new one.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await broker.start()
    except BaseException:
        await discard(broker)
        raise


async def discard(broker: RabbitBroker) -> None:
    """Close a broker object in whatever state it is, so that nothing of it reconnects."""
    connection = broker._connection
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await broker.stop()
    if connection is not None:
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await connection.close()


def is_connected(broker: RabbitBroker) -> bool:
    """Whether the connection is up; while aio-pika reconnects, publishing would wait for it."""
    connection = broker._connection
    return connection is not None and connection.connected.is_set()


def topic(name: str) -> RabbitExchange:
    """A durable topic exchange as FastStream wants it named (a bare name would mean direct)."""
    return RabbitExchange(name, type=ExchangeType.TOPIC, durable=True)


class Publisher:
    """Publishes on a connection of its own, persistent, mandatory and confirmed.

    Its channel is aiormq's own: FastStream's and aio-pika's publish wait for the socket before
    they let the next message go (docs/adr/0008).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._broker = make_broker(url)
        self._channel: AbstractChannel | None = None

    async def connect(self) -> None:
        """Connect, anew each time; raises one of BROKER_ERRORS when the broker is away."""
        self._channel = None
        await discard(self._broker)
        self._broker = make_broker(self._url)
        await connect(self._broker)
        self._channel = await _connection(self._broker).channel(
            publisher_confirms=True, on_return_raises=True
        )

    async def close(self) -> None:
        """Close the connection."""
        self._channel = None
        await self._broker.stop()

    def channel(self) -> AbstractAsyncContextManager[AbstractChannel]:
        """A short-lived AMQP channel, for declaring and probing."""
        return short_channel(self._broker)

    async def declare(self, retry_delays: Sequence[float]) -> None:
        """Declare every exchange and queue of the bus. Declaring again changes nothing."""
        async with asyncio.timeout(60), self.channel() as channel:
            await declare_topology(channel)
            for delay in retry_delays:
                await declare_retry(channel, int(delay * 1000))

    async def ping(self) -> None:
        """Prove that the broker answers; raises one of BROKER_ERRORS when it does not."""
        async with asyncio.timeout(1), self.channel():
            pass

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, Any],
        correlation_id: str | None = None,
        content_type: str = "application/json",
        timeout: float = PUBLISH_TIMEOUT_SECONDS,
    ) -> None:
        """Hand a message to the broker; returns when the broker has it.

        Raises UnroutableError when no queue wants it, BrokerDownError when it was not confirmed
        within `timeout` seconds.
        """
        if self._channel is None or not is_connected(self._broker):
            raise BrokerDownError("not connected")
        properties = Basic.Properties(
            message_id=message_id,
            correlation_id=correlation_id,
            headers=dict(headers),
            content_type=content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        try:
            channel = cast(aiormq.Channel, await self._channel.get_underlay_channel())
            await channel.basic_publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                properties=properties,
                mandatory=True,
                timeout=timeout,
                wait=False,
            )
        except PublishError as error:
            raise UnroutableError(f"no queue is bound for {routing_key} on {exchange}") from error
        except DeliveryError as error:
            raise BrokerDownError("the broker refused the message") from error
        except BROKER_ERRORS as error:
            raise BrokerDownError(type(error).__name__) from error


@asynccontextmanager
async def short_channel(broker: RabbitBroker) -> AsyncIterator[AbstractChannel]:
    """A channel for declaring and probing; raises BrokerDownError while not connected."""
    channel = await _connection(broker).channel()
    try:
        yield channel
    finally:
        await channel.close()


def _connection(broker: RabbitBroker) -> AbstractRobustConnection:
    if broker._connection is None:
        raise BrokerDownError("not connected")
    return broker._connection


async def declare_topology(
    channel: AbstractChannel, queues: Iterable[topology.Queue] = topology.QUEUES
) -> None:
    """Declare every exchange of the bus, and these queues with their dead letters."""
    exchanges: dict[str, AbstractExchange] = {}
    for name in (
        *(x.name for x in topology.EXCHANGES),
        *(x.dead_letters for x in topology.EXCHANGES),
        topology.REQUESTS_EXCHANGE,
    ):
        exchanges[name] = await channel.declare_exchange(
            name, aio_pika.ExchangeType.TOPIC, durable=True
        )
    for exchange in topology.EXCHANGES:
        for source, key in exchange.sources:
            await exchanges[exchange.name].bind(exchanges[source], key)
    for queue in queues:
        dead = await channel.declare_queue(
            queue.dead_letters, durable=True, arguments=dict(topology.DEAD_LETTER_ARGUMENTS)
        )
        await dead.bind(exchanges[queue.exchange.dead_letters], queue.name)
        live = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        for key in queue.keys:
            await live.bind(exchanges[queue.exchange.name], key)


async def declare_retry(channel: AbstractChannel, delay_ms: int) -> str:
    """A queue that holds a message for `delay_ms`, then hands it back to where it came from.

    Publish to the exchange of this name with the origin queue's name as routing key.
    """
    name = f"retry.{delay_ms}ms"
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": delay_ms,
            "x-dead-letter-exchange": "",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await queue.bind(exchange, "#")
    return name
