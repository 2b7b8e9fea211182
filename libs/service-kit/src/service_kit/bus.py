"""RabbitMQ through FastStream: publishing so that nothing is lost.

FastStream's traps this module is built around (each has a canary test): publishes are transient
by default, an unroutable one does not raise by default, `publish(timeout=)` is ignored, and two
messages with one message id in flight confuse which of them was returned.
"""

import asyncio
import itertools
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import aiormq
from aio_pika.abc import (
    AbstractChannel,
    AbstractRobustChannel,
    AbstractRobustConnection,
    DeliveryMode,
)
from aio_pika.exceptions import AMQPException, DeliveryError, PublishError
from aio_pika.message import encode_expiration
from faststream.rabbit import (
    Channel,
    RabbitBroker,
    RabbitExchange,
    RabbitMessage,
    RabbitPublishCommand,
    RabbitRouter,
)
from faststream.rabbit.helpers import ChannelManager
from faststream.rabbit.publisher import RabbitPublisher
from faststream.rabbit.publisher.producer import AioPikaFastProducerImpl
from pamqp.commands import Basic
from shared_events import topology
from shared_events.envelope import Envelope, EventData

from service_kit import bus_telemetry
from service_kit.connection import (
    DECLARE_SECONDS,
    OPEN_SECONDS,
    BrokerDownError,
    ConnectionLostError,
    Look,
    Patience,
    close_if_nobodys,
    connect,
    discard,
    existing_exchange,
    held,
    short_channel,
    watch,
)
from service_kit.declaring import declare_own, have_consumers

_log = logging.getLogger("faststream")

PUBLISH_TIMEOUT_SECONDS = 5.0
MAX_BODY_BYTES = 16 * 1024 * 1024
"""What RabbitMQ 4 takes unless it is told otherwise (`max_message_size`)."""
MAX_HEADER_CHARACTERS = 16 * 1024
"""All headers travel in one frame, which AMQP cannot split; RabbitMQ's has 128 KiB."""


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


class UnpublishableError(Exception):
    """AMQP cannot carry this message, now or ever: too large, or its headers are no text."""


async def undecoded(message: RabbitMessage) -> RabbitMessage:
    """A decoder for handlers that want the message itself, headers and all."""
    return message


class ConfirmingProducer(AioPikaFastProducerImpl):
    """Publishes without waiting for the socket, and waits for the broker's confirm instead.

    FastStream's and aio-pika's publish hold the channel until a frame is written; on a busy
    connection that makes publishing one at a time (docs/adr/0008).
    """

    def __init__(self, broker: RabbitBroker) -> None:
        config = broker.config.broker_config
        super().__init__(declarer=config.declarer, parser=None, decoder=None)
        self._channels: ChannelManager = config.channel_manager

    async def publish(self, cmd: RabbitPublishCommand) -> aiormq.abc.ConfirmationFrameType | None:
        """Hand the bytes of a message over; returns the broker's confirm.

        Raises UnpublishableError for what would make the broker close the connection, and with it
        fail every other message on its way.
        """
        _check_size(cmd)
        channel = await self._channels.get_channel()
        await channel.ready()  # one that was lost is opened again by aio-pika
        underlying = cast(aiormq.Channel, await channel.get_underlay_channel())
        try:
            return await underlying.basic_publish(
                cmd.body,
                exchange=cmd.exchange.name,
                routing_key=cmd.destination,
                properties=_properties(cmd),
                mandatory=cmd.publish_options.get("mandatory", True),
                wait=False,
            )
        except asyncio.CancelledError:
            # aiormq cancels confirms that a lost channel cannot bring; who published was not.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise ConnectionResetError("the channel was lost before its confirm came") from None


def _check_size(cmd: RabbitPublishCommand) -> None:
    if len(cmd.body) > MAX_BODY_BYTES:
        raise UnpublishableError(f"a body of {len(cmd.body)} bytes")
    headers = sum(len(name) + len(str(value)) for name, value in cmd.headers.items())
    if headers > MAX_HEADER_CHARACTERS:
        raise UnpublishableError(f"headers of {headers} characters")


def _properties(cmd: RabbitPublishCommand) -> Basic.Properties:
    """What FastStream's options say of a message, without a message object in between."""
    options = cmd.message_options
    persist = options.get("persist", False)
    return Basic.Properties(
        content_type=options.get("content_type"),
        headers=cmd.headers or None,
        delivery_mode=DeliveryMode.PERSISTENT if persist else DeliveryMode.NOT_PERSISTENT,
        correlation_id=cmd.correlation_id,
        reply_to=cmd.reply_to or None,
        expiration=encode_expiration(options.get("expiration")),
        message_id=options.get("message_id"),
    )


def make_broker(url: str, *, confirms: bool = True) -> RabbitBroker:
    """A FastStream broker with its own connection, which reconnects for ever.

    Handlers are given what their decoder returns; FastStream injects nothing into them.
    """
    broker = RabbitBroker(
        url,
        timeout=OPEN_SECONDS,
        on_close=[close_if_nobodys],
        default_channel=Channel(publisher_confirms=confirms, on_return_raises=confirms),
        apply_types=False,
        app_id=None,
        reconnect_interval=1.0,
        fail_fast=True,
        graceful_timeout=10.0,
        middlewares=bus_telemetry.middlewares(),
        logger=_log,
        log_level=logging.DEBUG,
    )
    if confirms:
        broker.config.broker_config.producer = ConfirmingProducer(broker)
    return broker


class Publisher:
    """Publishes on a connection of its own, persistent, mandatory and confirmed.

    `router` has a FastStream publisher for each of the events.
    """

    def __init__(self, url: str, events: Iterable[type[EventData]] = ()) -> None:
        self._url = url
        self._open: tuple[RabbitBroker, AbstractRobustConnection] | None = None
        self._patience = Patience()
        self.declared = asyncio.Event()
        """Set while it is connected and its own part of the bus is declared (`run`)."""
        self.router = RabbitRouter()
        self._events = {event.event_type: self._event_publisher(event) for event in events}

    def _event_publisher(self, event: type[EventData]) -> RabbitPublisher:
        return self.router.publisher(
            exchange=topology.event_exchange(event.event_type),
            routing_key=event.event_type,
            mandatory=True,
            persist=True,
            content_type="application/json",
            title=event.event_type,
            description=event.description(),
            schema=Envelope.__class_getitem__(event),
        )

    async def run(
        self,
        own: Iterable[topology.EventQueue],
        retry_delays: Sequence[float],
        told: Iterable[topology.EventQueue],
        partitions: int = topology.PARTITIONS,
    ) -> None:
        """Connect, declare one's own, await the queues that are told of events, and watch.

        Raises when the connection or the bus is lost.
        """
        broker = self._broker()
        async with held(
            broker, lambda made: declare_own(made, own, retry_delays, partitions)
        ) as connection:
            self.declared.set()
            try:
                # Not before: what is published to a bus half declared has nowhere to go.
                await have_consumers(connection, told)
                self._open = broker, connection
                await watch(connection, _looking(), self._patience)
            finally:
                self._open = None
                self.declared.clear()

    async def connect(self) -> None:
        """Connect, anew each time; raises one of BROKER_ERRORS when the broker is away.

        For whoever needs no watch: short commands, and tests.
        """
        await self.close()
        broker = self._broker()
        self._open = broker, await connect(broker)

    def _broker(self) -> RabbitBroker:
        broker = make_broker(self._url)
        broker.include_router(self.router)
        return broker

    async def close(self) -> None:
        """Close the connection."""
        opened, self._open = self._open, None
        if opened is not None:
            await discard(*opened)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator["Publisher"]:
        """One more, on a connection of its own: for what may cost the connection it goes on.

        Raises BrokerDownError while there is none.
        """
        publisher = Publisher(self._url)
        try:
            await publisher.connect()
        except BROKER_ERRORS as error:
            raise BrokerDownError(type(error).__name__) from error
        try:
            yield publisher
        finally:
            await publisher.close()

    def channel(self) -> AbstractAsyncContextManager[AbstractChannel]:
        """A short-lived AMQP channel; raises BrokerDownError while not connected."""
        _, connection = self._connected()
        return short_channel(connection)

    async def declare(
        self,
        queues: Iterable[topology.EventQueue],
        retry_delays: Sequence[float],
        partitions: int = topology.PARTITIONS,
    ) -> None:
        """Declare the bus with these queues. Declaring again changes nothing."""
        _, connection = self._connected()
        async with asyncio.timeout(DECLARE_SECONDS):
            await declare_own(connection, queues, retry_delays, partitions)

    async def ping(self) -> None:
        """Prove that the broker answers; raises one of BROKER_ERRORS when it does not."""
        async with asyncio.timeout(1), self.channel():
            pass

    async def publish(
        self,
        exchange: RabbitExchange | str,
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

        Raises UnroutableError when no queue wants it, UnpublishableError when AMQP cannot carry
        it, and BrokerDownError when it was not confirmed within `timeout` seconds.
        """
        broker, _ = self._connected()
        sending = broker.publish(
            body,
            exchange=exchange,
            routing_key=routing_key,
            message_id=message_id,
            correlation_id=correlation_id,
            headers=dict(headers),
            content_type=content_type,
            persist=True,
            mandatory=True,
        )
        await _confirmed(sending, routing_key, timeout)

    async def publish_event(
        self,
        event_type: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, Any],
        correlation_id: str | None,
    ) -> None:
        """As `publish`, for an event: exchange and key follow from its type."""
        registered = self._events.get(event_type)
        if registered is None:  # of a version that this code no longer tells
            await self.publish(
                topology.event_exchange(event_type),
                event_type,
                body,
                message_id=message_id,
                headers=headers,
                correlation_id=correlation_id,
            )
            return
        self._connected()
        sending = registered.publish(
            body, message_id=message_id, headers=dict(headers), correlation_id=correlation_id
        )
        await _confirmed(sending, event_type, PUBLISH_TIMEOUT_SECONDS)

    def _connected(self) -> tuple[RabbitBroker, AbstractRobustConnection]:
        """What is open; while aio-pika reconnects, whoever used it would wait for that."""
        if self._open is None or not self._open[1].connected.is_set():
            raise BrokerDownError("not connected")
        return self._open


def _looking() -> Look:
    """Whether the exchanges are there, one after the other."""
    exchanges = itertools.cycle(topology.SHARED_EXCHANGES)

    async def look(channel: AbstractRobustChannel) -> None:
        await existing_exchange(channel, next(exchanges).name)

    return look


async def _confirmed(sending: Awaitable[object], routing_key: str, timeout: float) -> None:
    """What FastStream, aio-pika and aiormq raise, as one of our faults."""
    try:
        async with asyncio.timeout(timeout):
            await sending
    except PublishError as error:
        raise UnroutableError(f"no queue is bound for {routing_key}") from error
    except DeliveryError as error:
        raise BrokerDownError("the broker refused the message") from error
    except TimeoutError as error:
        raise BrokerDownError("no confirm in time") from error
    except BROKER_ERRORS as error:
        raise ConnectionLostError(type(error).__name__) from error
    except (ValueError, TypeError, struct.error) as error:  # pamqp cannot encode it
        raise UnpublishableError(str(error)) from error
