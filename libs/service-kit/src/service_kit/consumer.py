"""Consuming events: in order, in micro-batches, each exactly once (design section 3).

Deliveries of one queue are gathered for some milliseconds and applied in one transaction with
their inbox rows, then acknowledged together. What goes wrong decides what happens next:

- the database or broker is away: the batch waits unacknowledged and is tried again;
- the message cannot be read (`PoisonError`): to the dead letters at once, with the reason;
- anything else: the batch is split; the one that fails alone goes through the delay queues
  (`consumer_retry_delays_seconds`) and after the last of them to the dead letters.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import structlog
from aio_pika.abc import AbstractIncomingMessage
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from faststream.rabbit.schemas import QueueType
from shared_events import topology

from service_kit import inbox, metrics, tracing
from service_kit.bus import BROKER_ERRORS, BrokerDownError, Publisher, UnroutableError
from service_kit.database import Database, is_infrastructure, is_tenant_id
from service_kit.errors import PoisonError
from service_kit.incoming import Decoder, Handler, Incoming

log = structlog.get_logger()

_LINGER_SECONDS = (0.002, 0.05)
_LINGER_FROM, _LINGER_STEP = 30.0, 0.0003
_RATE_MEMORY_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Delivery:
    message: AbstractIncomingMessage
    incoming: Incoming[Any]
    handler: Handler | None


@dataclass(frozen=True, slots=True)
class _Undecodable:
    message: AbstractIncomingMessage
    error: PoisonError


class _Pace:
    """How long to gather: hardly at all when little comes, longer when a batch pays.

    A transaction costs the same for one message and for ten. Below 30 messages a second nothing
    is gained by waiting; above it the linger grows to 50 ms, what a batch of several needs.
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._noted_at = time.monotonic()

    @property
    def linger(self) -> float:
        """Seconds to wait for company."""
        shortest, longest = _LINGER_SECONDS
        busy = max(0.0, self._rate - _LINGER_FROM)
        return min(longest, shortest + busy * _LINGER_STEP)

    def note(self, count: int) -> None:
        """So many messages have come since the last note."""
        now = time.monotonic()
        elapsed, self._noted_at = now - self._noted_at, now
        weight = math.exp(-elapsed / _RATE_MEMORY_SECONDS)
        self._rate = self._rate * weight + count / max(elapsed, 1e-4) * (1 - weight)


class Consumer:
    """Takes one queue for one purpose; `name` is its name in the inbox and the metrics.

    `linger` is how many seconds a batch is gathered; by default that follows from the rate.
    """

    def __init__(
        self,
        queue: topology.Queue,
        name: str,
        decode: Decoder,
        *,
        database: Database,
        publisher: Publisher,
        retry_delays: Sequence[float],
        batch_size: int = 100,
        linger: float | None = None,
    ) -> None:
        self.queue = queue
        self.name = name
        self._decode = decode
        self._database = database
        self._publisher = publisher
        self._retry_delays = tuple(retry_delays)
        self._batch_size = batch_size
        self._linger = linger
        self._waiting: asyncio.Queue[_Delivery | _Undecodable] = asyncio.Queue()
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, broker: RabbitBroker) -> None:
        """Register with FastStream; consumption begins when the broker starts.

        FastStream declares, subscribes and cancels; deliveries come straight to us, past what it
        does around a handler (docs/adr/0009).
        """
        subscriber = broker.subscriber(
            RabbitQueue(
                self.queue.name,
                queue_type=QueueType.QUORUM,
                durable=True,
                declare=False,
                arguments=None,
            ),
            channel=Channel(prefetch_count=2 * self._batch_size),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            title=self.name,
        )
        subscriber(self._deliver)  # without a handler FastStream does not subscribe
        cast(Any, subscriber).consume = self._deliver  # in the place of its own

    async def start(self) -> None:
        """Begin applying what arrives; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._apply_forever(), name=f"consumer-{self.name}")

    async def stop(self) -> None:
        """Finish the batch in hand and stop; unacknowledged messages return to the queue."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _deliver(self, message: AbstractIncomingMessage) -> None:
        """Take a delivery. It never awaits: its tasks start in order and so must queue."""
        try:
            incoming, handler = self._decode(message)
            if not is_tenant_id(incoming.tenant_id):
                raise PoisonError("invalid_tenant", "the tenant id cannot be one")
        except PoisonError as error:
            self._waiting.put_nowait(_Undecodable(message, error))
        except Exception as error:  # decoding does no I/O, so trying again cannot help
            log.exception("undecodable", consumer=self.name)
            poison = PoisonError("undecodable", type(error).__name__)
            self._waiting.put_nowait(_Undecodable(message, poison))
        else:
            self._waiting.put_nowait(_Delivery(message, incoming, handler))
        if self._waiting.qsize() >= self._batch_size - 1:
            self._full.set()

    async def _apply_forever(self) -> None:
        pace = _Pace()
        while True:
            batch = [await self._waiting.get()]
            await self._gather(self._linger or pace.linger)
            while len(batch) < self._batch_size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            pace.note(len(batch))
            work = asyncio.create_task(self._work_off(batch))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work], timeout=_MAX_BACKOFF_SECONDS)
                work.cancel()
                raise

    async def _gather(self, seconds: float) -> None:
        """Wait for company: so long at most, and no longer than until the batch is full."""
        self._full.clear()
        if self._waiting.qsize() < self._batch_size - 1:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._full.wait()

    async def _work_off(self, batch: Sequence[_Delivery | _Undecodable]) -> None:
        """Settle every message of a batch, then acknowledge them all at once."""
        metrics.CONSUMER_BATCH_SIZE.labels(self.name).observe(len(batch))
        if deliveries := [d for d in batch if isinstance(d, _Delivery)]:
            await self._settle(deliveries)
        for undecodable in batch:
            if isinstance(undecodable, _Undecodable):
                error = undecodable.error
                await self._dead_letter(undecodable.message, error.reason, error.detail)
        await _acknowledge([d.message for d in batch])

    async def _settle(self, batch: Sequence[_Delivery]) -> None:
        """Apply a batch, however long the database takes to come back."""
        backoff = 0.1
        while True:
            try:
                await self._apply(batch)
                return
            except Exception as error:
                if is_infrastructure(error):
                    log.warning("consumer_waits", consumer=self.name, error=type(error).__name__)
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
                    continue
                if len(batch) == 1:
                    await self._postpone(batch[0], error)
                    return
                for delivery in batch:  # one of them is bad: apply each alone
                    await self._settle([delivery])
                return

    async def _apply(self, batch: Sequence[_Delivery]) -> None:
        begun = time.perf_counter()
        async with self._database.system("consume") as tx:
            fresh = await inbox.claim(tx, self.name, [d.incoming.id for d in batch])
            for tenant_id, handler, messages in _runs(batch, fresh):
                await tx.act_for(tenant_id)
                await handler(tx, messages)
        seconds = time.perf_counter() - begun
        self._record("success", len(batch), seconds)
        tracing.record(
            f"consume {self.name}", (d.incoming.cause.trace_context for d in batch), seconds
        )

    def _record(self, status: str, count: int, seconds: float) -> None:
        observed = metrics.MESSAGE_PROCESSING_SECONDS.labels(self.name, status)
        for _ in range(count):
            observed.observe(seconds)
        metrics.MESSAGE_PROCESSING.labels(self.name, status).inc(count)

    async def _postpone(self, delivery: _Delivery, error: Exception) -> None:
        """Send a copy through the next delay queue, or to the dead letters after the last."""
        self._record("error", 1, 0.0)
        message = delivery.message
        attempt = int(str(message.headers.get("x-attempt", 0))) + 1
        if isinstance(error, PoisonError):
            await self._dead_letter(message, error.reason, error.detail)
            return
        log.exception("consumer_failed", consumer=self.name, attempt=attempt, exc_info=error)
        if attempt > len(self._retry_delays):
            await self._dead_letter(message, "retries_exhausted", type(error).__name__)
            return
        delay_ms = int(self._retry_delays[attempt - 1] * 1000)
        headers = {"x-attempt": attempt, "x-last-error": type(error).__name__}
        await self._copy(message, f"retry.{delay_ms}ms", self.queue.name, headers)

    async def _dead_letter(
        self, message: AbstractIncomingMessage, reason: str, detail: str
    ) -> None:
        metrics.DEAD_LETTERED.labels(self.name, reason).inc()
        log.error("dead_lettered", consumer=self.name, reason=reason, detail=detail)
        headers = {"x-dead-reason": reason, "x-last-error": detail[:500]}
        await self._copy(message, self.queue.exchange.dead_letters, self.queue.name, headers)

    async def _copy(
        self, message: AbstractIncomingMessage, exchange: str, key: str, headers: Mapping[str, Any]
    ) -> None:
        """Publish a copy until the broker has it; only then may the original be acknowledged."""
        kept = {k: v for k, v in message.headers.items() if not k.startswith("x-death")}
        # A copy needs a message id of its own: two in flight with one id confuse returns.
        attempt = headers.get("x-attempt", "dead")
        while True:
            try:
                await self._publisher.publish(
                    exchange,
                    key,
                    message.body,
                    message_id=f"{message.message_id}.{attempt}",
                    headers={**kept, **headers},
                    correlation_id=message.correlation_id,
                )
                return
            except (BrokerDownError, UnroutableError) as error:
                log.warning("copy_waits_for_broker", consumer=self.name, error=str(error))
                await asyncio.sleep(1.0)


async def _acknowledge(messages: Sequence[AbstractIncomingMessage]) -> None:
    """Acknowledge everything up to the last of these: they came, and were settled, in order.

    A lost channel takes no acknowledgement and redelivers; the inbox knows its messages.
    """
    last = {id(message.channel): message for message in messages}
    for message in last.values():
        if not message.channel.is_closed:
            with suppress(*BROKER_ERRORS):
                await message.ack(multiple=True)


def _runs(
    batch: Iterable[_Delivery], fresh: set[UUID]
) -> Iterable[tuple[str, Handler, Sequence[Incoming[Any]]]]:
    """Group what is new by tenant, then into runs of one handler, keeping order in a tenant."""
    by_tenant: dict[str, list[_Delivery]] = defaultdict(list)
    for delivery in batch:
        if delivery.handler is not None and delivery.incoming.id in fresh:
            fresh.discard(delivery.incoming.id)  # the same event twice in one batch
            by_tenant[delivery.incoming.tenant_id].append(delivery)
    for tenant_id, deliveries in by_tenant.items():
        run: list[Incoming[Any]] = []
        handler = deliveries[0].handler
        for delivery in deliveries:
            if delivery.handler is not handler:
                if handler is not None:
                    yield tenant_id, handler, run
                handler, run = delivery.handler, []
            run.append(delivery.incoming)
        if handler is not None:
            yield tenant_id, handler, run
