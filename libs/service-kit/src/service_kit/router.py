"""FastStream's router, with the subscribers the kit adds: for batches, and for requests."""

import asyncio
from typing import Any, TypeVar, cast

import structlog
from aio_pika import IncomingMessage
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitExchange, RabbitQueue, RabbitRouter
from faststream.rabbit.broker.registrator import RabbitRegistrator
from faststream.rabbit.configs import RabbitBrokerConfig
from faststream.rabbit.subscriber import RabbitSubscriber
from faststream.rabbit.subscriber.config import RabbitSubscriberConfig
from faststream.rabbit.subscriber.factory import create_subscriber

from service_kit import metrics
from service_kit.batch import BatchSubscriber
from service_kit.bus import undecoded
from service_kit.signing import HEADER, Signatures, Signed

log = structlog.get_logger()

_RETURN_SECONDS = 0.02
_BATCHES_AHEAD = 10
"""Room for what is set aside (`service_kit.aside`), beside the batches to come."""

Kind = TypeVar("Kind", bound=RabbitSubscriber)


class RequestSubscriber(RabbitSubscriber):
    """Takes what its caller signed, and nothing else.

    Gives back at once what arrives while it stops: another replica answers in time.
    """

    signatures: Signatures

    async def consume(self, msg: IncomingMessage) -> Any:
        """Take a delivery. Who cannot prove who asks is not answered: the address may be forged."""
        if not self.signatures.prove(_signed(msg), msg.headers.get(HEADER)):
            metrics.REQUESTS_UNPROVEN.labels(self.queue.name).inc()
            log.error("request_not_proven", queue=self.queue.name, message_id=msg.message_id)
            await msg.ack()
            return None
        if not self.running:
            await asyncio.sleep(_RETURN_SECONDS)  # or it would come straight back, for ever
            await msg.nack(requeue=True)
            return None
        return await super().consume(msg)


def _signed(message: IncomingMessage) -> Signed:
    return Signed(
        key=message.routing_key or "",
        message_id=message.message_id or "",
        correlation_id=message.correlation_id or "",
        reply_to=message.reply_to or "",
        body=message.body,
    )


class Router(RabbitRouter):
    """FastStream's router, with two more kinds of subscribers."""

    def batch_subscriber(
        self,
        queue: RabbitQueue,
        exchange: RabbitExchange,
        *,
        max_records: int = 100,
        batch_timeout_ms: int | None = None,
        joins: BatchSubscriber | None = None,
        consume_args: dict[str, Any] | None = None,
        title: str | None = None,
        description: str | None = None,
        include_in_schema: bool = True,
    ) -> BatchSubscriber:
        """As `subscriber`, for a handler that takes a list of up to `max_records` messages.

        `batch_timeout_ms` is how long a batch is gathered; by default that follows from the rate.
        One that `joins` an earlier one has its deliveries gathered there, into common batches.
        A batch whose handler raises returns to the queue.
        """
        subscriber = self._register(
            BatchSubscriber,
            queue,
            exchange,
            channel=Channel(prefetch_count=_BATCHES_AHEAD * max_records),
            ack_policy=AckPolicy.NACK_ON_ERROR,
            consume_args=consume_args,
            no_reply=True,
            title=title,
            description=description,
            include_in_schema=include_in_schema,
        )
        subscriber.max_records = max_records
        subscriber.batch_timeout_ms = batch_timeout_ms
        subscriber.joins = joins
        subscriber.kept = set()
        return subscriber.add_call(
            parser_=subscriber.parse, decoder_=subscriber.decode, dependencies_=()
        )

    def request_subscriber(
        self,
        queue: RabbitQueue,
        signatures: Signatures,
        *,
        prefetch: int,
        title: str | None = None,
    ) -> RequestSubscriber:
        """As `subscriber`, for handlers that answer; acknowledged once the answer is given."""
        subscriber = self._register(
            RequestSubscriber,
            queue,
            RabbitExchange(),
            channel=Channel(prefetch_count=prefetch, publisher_confirms=False),
            ack_policy=AckPolicy.ACK,
            title=title,
        )
        subscriber.signatures = signatures
        # There from the start: an alert on what is added would miss the first.
        metrics.REQUESTS_UNPROVEN.labels(queue.name)
        return subscriber.add_call(parser_=None, decoder_=undecoded, dependencies_=())

    def _register(
        self,
        kind: type[Kind],
        queue: RabbitQueue,
        exchange: RabbitExchange,
        *,
        channel: Channel,
        ack_policy: AckPolicy,
        consume_args: dict[str, Any] | None = None,
        no_reply: bool = False,
        title: str | None = None,
        description: str | None = None,
        include_in_schema: bool = True,
    ) -> Kind:
        """What `subscriber` does, with a class of one's own."""
        broker = cast(RabbitBrokerConfig, self.config)
        plain = create_subscriber(
            queue=queue,
            exchange=exchange,
            consume_args=consume_args,
            channel=channel,
            no_reply=no_reply,
            ack_policy=ack_policy,
            config=broker,
            title_=title,
            description_=description,
            include_in_schema=include_in_schema,
        )
        subscriber = kind(
            RabbitSubscriberConfig(
                queue=queue,
                exchange=exchange,
                consume_args=consume_args,
                channel=channel,
                no_reply=no_reply,
                _ack_policy=plain.ack_policy,
                _outer_config=broker,
            ),
            plain.specification,
            plain.calls,
        )
        super(RabbitRegistrator, self).subscriber(subscriber)
        return subscriber
