"""A batch subscriber for RabbitMQ, in the shape of FastStream's own for Kafka.

    router = Router()  # service_kit.router

    @router.batch_subscriber(queue, exchange, max_records=100)
    async def handle(messages: list[IncomingMessage]) -> None: ...

Deliveries of one queue are gathered for some milliseconds and handed over together, so that the
handler can apply them in one transaction. Parser, decoder, middlewares, acknowledgement policy and
AsyncAPI apply as to any subscriber of FastStream's, to the batch as one message (docs/adr/0009).
"""

import asyncio
import math
import time
from contextlib import suppress
from typing import Any, cast

from aio_pika import IncomingMessage
from aio_pika.exceptions import ChannelInvalidStateError
from faststream.message import StreamMessage
from faststream.rabbit.subscriber import RabbitSubscriber

Batch = tuple[IncomingMessage, ...]

_LONGEST_LINGER_SECONDS = 0.05
_LINGER_FROM, _LINGER_STEP = 30.0, 0.0003
_RATE_MEMORY_SECONDS = 0.5


def _is_open(message: IncomingMessage) -> bool:
    """Whether it can be settled: once, and not when its channel is lost, of which aio-pika raises.

    A handler may have rejected it already.
    """
    try:
        return not message.processed and not message.channel.is_closed
    except ChannelInvalidStateError:
        return False


class Records(list[IncomingMessage]):
    """A batch as handlers get it. What a handler keeps it settles later, by itself."""

    def __init__(self, messages: Batch, kept: set[IncomingMessage]) -> None:
        super().__init__(messages)
        self._kept = kept

    def keep(self, message: IncomingMessage) -> None:
        """Leave a message unacknowledged when the handler returns."""
        self._kept.add(message)

    def release(self, message: IncomingMessage) -> None:
        """Have it acknowledged with the others after all."""
        self._kept.discard(message)

    async def settle(self, message: IncomingMessage) -> None:
        """Acknowledge a message that was kept; a lost channel redelivers it."""
        self.release(message)
        if _is_open(message):
            await message.ack()


class BatchMessage(StreamMessage[Batch]):
    """A batch as FastStream's pipeline sees it: one message, settled as one.

    `kept` is what handlers of this subscriber settle by themselves, of earlier batches too.
    """

    kept: set[IncomingMessage]

    async def ack(self, **_: Any) -> None:
        """Acknowledge everything up to the last: all came, and were settled, in order.

        A lost channel takes no acknowledgement and redelivers.
        """
        await super().ack()
        if self.kept:
            for message in self._not_kept():
                await message.ack()
            return
        for last in self._last_of_each_channel():
            await last.ack(multiple=True)

    async def nack(self, **_: Any) -> None:
        """Give all of them back to the queue."""
        await super().nack()
        if self.kept:
            for message in self._not_kept():
                await message.nack(requeue=True)
            return
        for last in self._last_of_each_channel():
            await last.nack(multiple=True, requeue=True)

    async def reject(self, **_: Any) -> None:
        """As `nack`: what is wrong with one message is no reason to drop a batch."""
        await self.nack()

    def _not_kept(self) -> list[IncomingMessage]:
        return [
            message
            for message in self.raw_message
            if message not in self.kept and _is_open(message)
        ]

    def _last_of_each_channel(self) -> list[IncomingMessage]:
        still_open = filter(_is_open, self.raw_message)
        return list({id(message.channel): message for message in still_open}.values())


def _parse(messages: Batch, kept: set[IncomingMessage]) -> BatchMessage:
    """What the messages have in common is the first one's; each keeps its headers."""
    first = messages[0]
    batch = BatchMessage(
        messages,
        [message.body for message in messages],
        headers=dict(first.headers),
        # With the correlation id, by which FastStream links a batch to the traces it serves.
        batch_headers=[
            {**message.headers, "correlation_id": message.correlation_id or message.message_id}
            for message in messages
        ],
        content_type=first.content_type,
        correlation_id=first.correlation_id,
        message_id=first.message_id,
    )
    batch.kept = kept
    return batch


class Pace:
    """How long to gather: not at all when little comes, longer when a batch pays.

    A transaction costs the same for one message and for ten. Below 30 messages a second nothing
    is gained by waiting; above it the linger grows to 50 ms, what a batch of several needs.
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._noted_at = time.monotonic()

    @property
    def linger(self) -> float:
        """Seconds to wait for company."""
        busy = max(0.0, self._rate - _LINGER_FROM)
        return min(_LONGEST_LINGER_SECONDS, busy * _LINGER_STEP)

    def note(self, count: int) -> None:
        """So many messages have come since the last note."""
        now = time.monotonic()
        elapsed, self._noted_at = now - self._noted_at, now
        weight = math.exp(-elapsed / _RATE_MEMORY_SECONDS)
        self._rate = self._rate * weight + count / max(elapsed, 1e-4) * (1 - weight)


class BatchSubscriber(RabbitSubscriber):
    """Gathers deliveries and consumes them as one message, one batch after the other."""

    max_records: int
    batch_timeout_ms: int | None
    kept: set[IncomingMessage]
    joins: "BatchSubscriber | None"
    """Whose batches its deliveries go into: one gathers for all partitions of a queue.

    What comes before that one has started waits: subscribers start in no particular order.
    """

    _gathering: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arrived: asyncio.Queue[IncomingMessage] = asyncio.Queue()
        self._full = asyncio.Event()
        self._in_hand = asyncio.Lock()

    async def start(self) -> None:
        """Subscribe, and begin to gather."""
        await super().start()
        if self.joins is not None:
            return
        self._gathering = asyncio.create_task(self._gather(), name=f"batches-{self.queue.name}")

    async def parse(self, messages: Batch) -> BatchMessage:
        """The parser of its handlers."""
        return _parse(messages, self.kept)

    async def decode(self, message: BatchMessage) -> Records:
        """The decoder of its handlers: they take the messages, each with its own headers."""
        return Records(message.raw_message, self.kept)

    async def finish(self) -> None:
        """Begin no other batch; returns when the one in hand is settled.

        What waits here returns to the queue when the connection is closed, in its place. Cancelling
        the consumer before that would break the order: the broker would have the next consumer
        begin with what comes behind it.
        """
        gathering, self._gathering = self._gathering, None
        if gathering is not None:
            async with self._in_hand:
                gathering.cancel()
            await asyncio.gather(gathering, return_exceptions=True)

    async def stop(self) -> None:
        """Let the batch in hand finish, then leave."""
        await self.finish()
        await super().stop()

    def check(self) -> None:
        """Raise what ended the gathering, if anything did."""
        if self._gathering is not None and self._gathering.done():
            self._gathering.result()

    async def consume(self, msg: IncomingMessage) -> None:
        """Take a delivery. It never awaits: deliveries start in order and so must queue."""
        if self.joins is not None:
            await self.joins.consume(msg)
            return
        self._arrived.put_nowait(msg)
        if self._arrived.qsize() >= self.max_records - 1:
            self._full.set()

    async def _gather(self) -> None:
        pace = Pace()
        while True:
            batch = [await self._arrived.get()]
            linger = pace.linger if self.batch_timeout_ms is None else self.batch_timeout_ms / 1000
            await self._wait_for_company(linger)
            while len(batch) < self.max_records and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            pace.note(len(batch))
            # The pipeline is typed for one message and never looks into it; the parser does.
            async with self._in_hand:
                await super().consume(cast(IncomingMessage, tuple(batch)))

    async def _wait_for_company(self, seconds: float) -> None:
        """So long at most, and no longer than until the batch is full."""
        await asyncio.sleep(0)  # what was read together with the first is on its way here
        self._full.clear()
        if seconds and self._arrived.qsize() < self.max_records - 1:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._full.wait()
