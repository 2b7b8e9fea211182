"""What a service hears and answers, as FastStream subscribers on one router."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Union
from uuid import uuid4

from aio_pika import IncomingMessage
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitMessage, RabbitQueue
from shared_events import topology
from shared_events.envelope import Envelope, EventData

from service_kit.batch import BatchSubscriber
from service_kit.bus import Publisher
from service_kit.consumer import Consumer
from service_kit.database import Database
from service_kit.incoming import Decoder, EventDecoder, Handler, Reader, taken_by
from service_kit.request_server import RequestServer
from service_kit.router import Router
from service_kit.settings import ConfigurationError, ServiceSettings

STUCK_SECONDS = 60.0
"""How long the same messages may be in hand before health says so."""
_AT_ONCE = 20
"""Messages of an unordered queue that are applied side by side."""


class Subscriptions:
    """Handlers by queue. Queues are named by the topology, handlers by the features."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        settings: ServiceSettings,
        requests: RequestServer,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._settings = settings
        self._requests = requests
        self._decoders: dict[topology.EventQueue, EventDecoder | Decoder] = {}
        self._lingers: dict[topology.EventQueue, float] = {}
        self._consumers: list[Consumer] = []
        self._replica = str(uuid4())

    def on(
        self, queue: topology.EventQueue, event: type[EventData], handler: Any, *, together: bool
    ) -> None:
        """Apply events of this type, or ignore them (None)."""
        decoder = self._decoders.setdefault(queue, EventDecoder(queue))
        if not isinstance(decoder, EventDecoder):
            raise ConfigurationError([f"{queue.name} is consumed whole already"])
        decoder.on(event, handler, together=together)

    def consume(
        self,
        queue: topology.EventQueue,
        read: Reader[Any],
        handler: Handler[Any],
        linger: float | None,
        *,
        together: bool,
    ) -> None:
        """Apply whatever arrives."""
        if queue in self._decoders:
            raise ConfigurationError([f"{queue.name} is consumed already"])
        self._decoders[queue] = taken_by(handler, read, together=together)
        if linger is not None:
            self._lingers[queue] = linger

    @property
    def queues(self) -> tuple[topology.EventQueue, ...]:
        """The queues it consumes."""
        return tuple(self._decoders)

    def router(self) -> Router:
        """A subscriber for every queue, with all of them checked; raises ConfigurationError."""
        router = Router()
        self._consumers = []
        for queue, decoder in self._decoders.items():
            if isinstance(decoder, EventDecoder):
                decoder.check()
            consumer = Consumer(
                queue,
                queue.name,
                decoder,
                database=self._database,
                publisher=self._publisher,
                retry_delays=self._settings.consumer_retry_delays_seconds,
                at_once=self._settings.consumer_batch_size,
            )
            self._consumers.append(consumer)
            self._subscribe(router, consumer, _payload(decoder))
        self._requests.subscribe(router)
        return router

    def stuck(self) -> list[str]:
        """The queues whose consumer has had the same messages in hand for a minute."""
        return [c.name for c in self._consumers if c.oldest_seconds() > STUCK_SECONDS]

    def check(self) -> None:
        """Raise what ended the work beside a queue, if anything did."""
        for consumer in self._consumers:
            consumer.check()

    async def leave(self) -> None:
        """Let go of what consumers hold beside their queues."""
        for consumer in self._consumers:
            await consumer.leave()

    def _subscribe(self, router: Router, consumer: Consumer, payload: Any) -> None:
        queue = consumer.queue
        # One after the other takes our own subscriber, too: it alone leaves in order.
        if queue.in_batches or queue.single_active:
            self._subscribe_in_batches(router, consumer, payload)
            return
        single = router.subscriber(
            queue,
            queue.exchange,
            channel=Channel(prefetch_count=_AT_ONCE),
            ack_policy=AckPolicy.NACK_ON_ERROR,
            decoder=_as_list,
            no_reply=True,
            title=queue.name,
        )
        single(_documented(consumer.handle, queue.name, payload))

    def _subscribe_in_batches(self, router: Router, consumer: Consumer, payload: Any) -> None:
        """One subscriber for each partition; the first gathers for all."""
        queue = consumer.queue
        linger = self._lingers.get(queue)
        first: BatchSubscriber | None = None
        for partition in queue.partitions(self._settings.bus_partitions):
            subscriber = router.batch_subscriber(
                partition,
                queue.spread or queue.exchange,
                max_records=self._settings.consumer_batch_size if queue.in_batches else 1,
                batch_timeout_ms=None if linger is None else int(linger * 1000),
                joins=first,
                consume_args=self._claim_to(partition) if queue.single_active else None,
                title=queue.name,
                include_in_schema=first is None,
            )
            subscriber(_documented(consumer.handle, queue.name, list[payload]))
            first = first or subscriber

    def _claim_to(self, partition: RabbitQueue) -> dict[str, Any]:
        return {"x-priority": priority(self._replica, partition.name)}


def priority(replica: str, queue: str) -> int:
    """How much this replica wants this queue, 0 to 255, the same whenever it is asked.

    Each replica ranks the queues differently (rendezvous hashing), so that replicas share them
    without a word between them: RabbitMQ 4 gives a queue with a single active consumer to the one
    of the highest priority. Before 4.0 it goes to who came first.
    """
    return hashlib.sha256(f"{replica} {queue}".encode()).digest()[0]


async def _as_list(message: RabbitMessage) -> list[IncomingMessage]:
    return [message.raw_message]


def _payload(decoder: EventDecoder | Decoder) -> Any:
    """The type of a message, for AsyncAPI; what a reader of one's own reads is anything."""
    if not isinstance(decoder, EventDecoder) or not decoder.types:
        return dict[str, Any]
    return Union[tuple(Envelope.__class_getitem__(t) for t in decoder.types)]  # noqa: UP007


def _documented(
    handle: Callable[[Sequence[IncomingMessage]], Awaitable[None]], name: str, payload: Any
) -> Callable[[Any], Awaitable[None]]:
    """The handler under the name and with the payload that FastStream writes into AsyncAPI."""

    async def handler(messages: Any) -> None:
        await handle(messages)

    handler.__name__ = name
    handler.__doc__ = None
    handler.__annotations__["messages"] = payload
    return handler
