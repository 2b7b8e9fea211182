"""Hearing whose feeds have grown (`shared_events.notices`)."""

from uuid import uuid4

from aio_pika.abc import AbstractRobustChannel
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitMessage, RabbitRouter
from service_kit.bus import make_broker, undecoded
from service_kit.connection import Patience, existing_queue, held, watch
from service_kit.declaring import have_exchanges
from shared_events.notices import FEED_NOTICES, FeedsGrown, notices_queue

from crm_gateway.live.streams import Streams


class Notices:
    """This process' ear on the bus."""

    def __init__(self, amqp_url: str, streams: Streams) -> None:
        self._amqp_url, self._streams = amqp_url, streams
        self._patience = Patience()

    def router(self, queue: str = "notices") -> RabbitRouter:
        """A subscriber of a queue of our own."""
        router = RabbitRouter()
        subscriber = router.subscriber(
            notices_queue(queue),
            FEED_NOTICES,
            channel=Channel(prefetch_count=100, publisher_confirms=False),
            ack_policy=AckPolicy.ACK_FIRST,
            decoder=undecoded,
            no_reply=True,
            title="notices",
        )
        subscriber(self._on_notice)
        return router

    async def run(self) -> None:
        """Hear until cancelled; raises when the connection or the queue is lost."""
        # Another name each time: a broker may still hold a lost connection's queue.
        queue = f"notices.{uuid4()}"
        broker = make_broker(self._amqp_url, confirms=False)
        broker.include_router(self.router(queue))

        async def look(channel: AbstractRobustChannel) -> None:
            await existing_queue(channel, queue)

        async with held(broker, have_exchanges) as connection:
            self._streams.ring_all()  # something may have gone unheard
            await watch(connection, look, self._patience)

    async def _on_notice(self, message: RabbitMessage) -> None:
        """Whose feeds have grown."""
        self._streams.ring(FeedsGrown.model_validate_json(message.body).tenant_ids)
