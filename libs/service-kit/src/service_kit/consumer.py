"""Consuming events: in order, in batches, each exactly once (docs/architecture.md, "The bus").

The messages of a batch are applied in one transaction with their inbox rows; FastStream then
acknowledges them together. What goes wrong decides what happens next:

- the database or broker is away: the batch waits unacknowledged and is tried again. While the
  database answers others, that is believed of a batch only a few times;
- the message cannot be read (`PoisonError`): to the dead letters at once, with the reason;
- anything else that goes wrong with several companies' messages: each company goes by itself;
- somebody holds a row for too long: the company's messages are set aside (`service_kit.aside`);
- anything else: the company's messages are halved until the one that fails is alone; that goes
  through the delay queues (`consumer_retry_delays_seconds`) and after the last of them to the dead
  letters.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from aio_pika import IncomingMessage
from shared_events import topology

from service_kit import inbox, metrics, tracing
from service_kit.aside import Aside
from service_kit.batch import Records
from service_kit.bundles import Letter, Message, opened
from service_kit.bus import Publisher
from service_kit.database import (
    Database,
    is_busy,
    is_infrastructure,
    is_tenant_id,
)
from service_kit.errors import PoisonError, UnknownEventError
from service_kit.incoming import Decoder, Incoming, Read
from service_kit.retries import Retries
from service_kit.runs import runs

log = structlog.get_logger()

_MAX_BACKOFF_SECONDS = 10.0
_PATIENCE = 4
"""How often a batch may find the database away that is not; 0.7 s of waiting in all."""
_ASIDE_BACKOFF_SECONDS = 1.0
_LOCK_SECONDS = 0.2
"""How long a company that goes by itself, because somebody held a row, may make others wait."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One event, and the letter it came in, maybe with others (`service_kit.bundles`)."""

    message: Message
    read: Read
    letter: Letter

    @property
    def incoming(self) -> Incoming[Any]:
        return self.read.incoming

    @property
    def in_batch(self) -> bool:
        return self.letter.batch is not None


class HeldTooLongError(Exception):
    """Somebody held what was wanted for as long as messages may be set aside."""


class Consumer:
    """Takes one queue for one purpose; `name` is its name in the inbox and the metrics."""

    def __init__(
        self,
        queue: topology.EventQueue,
        name: str,
        decode: Decoder,
        *,
        database: Database,
        publisher: Publisher,
        retry_delays: Sequence[float],
        at_once: int = 100,
    ) -> None:
        """`at_once`: events of a transaction at most, unless one message is more."""
        self.queue = queue
        self.name = name
        self._decode = decode
        self._database = database
        self._at_once = at_once
        self._retries = Retries(queue, name, publisher, retry_delays)
        self._in_hand: dict[int, float] = {}
        self._aside = Aside[_Delivery](name, self._apply_aside, self._give_up)

    def oldest_seconds(self) -> float:
        """How long the longest of what is in hand has been there."""
        in_hand = (time.monotonic() - since for since in self._in_hand.values())
        return max(self._aside.oldest_seconds(), *in_hand, 0.0)

    async def leave(self) -> None:
        """Let go of what was set aside; it returns to the queue with the connection."""
        await self._aside.leave()

    def check(self) -> None:
        """Raise what ended the work on messages set aside, if anything did."""
        self._aside.check()

    async def handle(self, messages: Sequence[IncomingMessage]) -> None:
        """Settle every message: applied, delayed or among the dead letters."""
        self._in_hand[id(messages)] = time.monotonic()
        try:
            await self._handle(messages)
        finally:
            del self._in_hand[id(messages)]

    async def _handle(self, messages: Sequence[IncomingMessage]) -> None:
        metrics.CONSUMER_BATCH_SIZE.labels(self.name).observe(len(messages))
        batch = messages if isinstance(messages, Records) else None
        letters = [Letter(message, batch) for message in messages]
        deliveries: list[_Delivery] = []
        unread: list[tuple[Message, PoisonError | UnknownEventError]] = []
        try:
            for letter in letters:
                if deliveries and len(deliveries) + letter.events > self._at_once:
                    await self._settle(deliveries)
                    deliveries = []
                self._open(letter, deliveries, unread)
            if deliveries:
                await self._settle(deliveries)
            for message, reason in unread:
                await self._postpone(message, reason)
        finally:
            for letter in letters:
                letter.leave()

    def _open(
        self,
        letter: Letter,
        deliveries: list[_Delivery],
        unread: list[tuple[Message, PoisonError | UnknownEventError]],
    ) -> None:
        """The events of a letter, and what of it cannot be read."""
        try:
            events = opened(letter.message)
        except PoisonError as error:
            unread.append((letter.message, error))
            return
        for event in events:
            try:
                deliveries.append(_Delivery(event, self._read(event), letter))
            except (PoisonError, UnknownEventError) as error:
                unread.append((event, error))

    def _read(self, message: Message) -> Read:
        try:
            read = self._decode(message)
        except (PoisonError, UnknownEventError):
            raise
        except Exception as error:  # reading does no I/O, so trying again cannot help
            log.exception("undecodable", consumer=self.name)
            raise PoisonError("undecodable", type(error).__name__) from error
        if not is_tenant_id(read.incoming.tenant_id):
            raise PoisonError("invalid_tenant", "the tenant id cannot be one")
        return read

    async def _settle(
        self, batch: Sequence[_Delivery], *, lock_seconds: float | None = None
    ) -> None:
        """Apply a batch, however long the database takes to come back."""
        batch = await self._without_those_aside(batch)
        if not batch:
            return
        backoff, failures = 0.1, 0
        while True:
            try:
                await self._apply(batch, lock_seconds)
                return
            except Exception as error:
                if is_infrastructure(error) or (is_busy(error) and not batch[0].in_batch):
                    failures += 1
                    if failures < _PATIENCE or not await self._database.answers():
                        log.warning(
                            "consumer_waits", consumer=self.name, error=type(error).__name__
                        )
                        await asyncio.sleep(backoff)
                        backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
                        continue
                await self._settle_apart(batch, error)
                return

    async def _settle_apart(self, batch: Sequence[_Delivery], error: Exception) -> None:
        """What went wrong is of one company, and the others' messages are good."""
        companies = _by_tenant(batch)
        if len(companies) > 1:
            for theirs in companies.values():
                await self._settle(theirs, lock_seconds=_LOCK_SECONDS)
        elif is_busy(error) and all(delivery.in_batch for delivery in batch):
            await self._set_aside(batch[0].incoming.tenant_id, batch)
        else:
            await self._settle_halves(batch, error)

    async def _settle_halves(self, batch: Sequence[_Delivery], error: Exception) -> None:
        """The good ones still go together."""
        if len(batch) == 1:
            await self._postpone(batch[0].message, error)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle])
        await self._settle(batch[middle:])

    async def _without_those_aside(self, batch: Sequence[_Delivery]) -> Sequence[_Delivery]:
        """What is of a company that waits aside already waits there too, in its place."""
        rest = []
        for delivery in batch:
            tenant_id = delivery.incoming.tenant_id
            if tenant_id in self._aside:
                await self._set_aside(tenant_id, [delivery])
            else:
                rest.append(delivery)
        return rest

    async def _set_aside(self, tenant_id: str, deliveries: Sequence[_Delivery]) -> None:
        for delivery in deliveries:
            delivery.letter.keep()
        await self._aside.add(tenant_id, deliveries)

    async def _apply_aside(self, deliveries: Sequence[_Delivery]) -> bool:
        """Apply them; False while the lock is held. While the database is away it waits."""
        while (error := await self._failure(deliveries)) and is_infrastructure(error):  # noqa: ASYNC110
            await asyncio.sleep(_ASIDE_BACKOFF_SECONDS)
        if error is not None and is_busy(error):
            return False
        for delivery in deliveries if error is not None else ():  # each on its own: few wait here
            if alone := await self._failure([delivery]):
                await self._postpone(delivery.message, alone)
        for delivery in deliveries:
            await delivery.letter.settle()
        return True

    async def _failure(self, deliveries: Sequence[_Delivery]) -> Exception | None:
        """Apply them; what went wrong, or None."""
        try:
            await self._apply(deliveries)
        except Exception as error:
            return error
        return None

    async def _give_up(self, deliveries: Sequence[_Delivery]) -> None:
        """They waited for too long: to the delay queues, in order."""
        for delivery in deliveries:
            held = HeldTooLongError("a row was held for too long")
            await self._postpone(delivery.message, held)
            await delivery.letter.settle()

    async def _apply(self, batch: Sequence[_Delivery], lock_seconds: float | None = None) -> None:
        begun = time.perf_counter()
        # What a batch asks the database is shown in the chain of its first message.
        with tracing.continued(batch[0].incoming.cause.trace_context):
            await self._apply_in_one(batch, lock_seconds)
        seconds = time.perf_counter() - begun
        self._record("success", len(batch), seconds)
        tracing.record(
            f"consume {self.name}", (d.incoming.cause.trace_context for d in batch), seconds
        )

    async def _apply_in_one(self, batch: Sequence[_Delivery], lock_seconds: float | None) -> None:
        tenants = sorted({delivery.incoming.tenant_id for delivery in batch})
        async with self._database.tenants(tenants, lock_seconds=lock_seconds) as tx:
            fresh = await inbox.claim(tx, self.name, [d.incoming.id for d in batch])
            for run in runs(_fresh(batch, fresh)):
                await tx.act_for(*(tenants if run.handling.together else [run.tenant_id]))
                await run.handling.handler(tx, run.messages)

    def _record(self, status: str, count: int, seconds: float) -> None:
        observed = metrics.MESSAGE_PROCESSING_SECONDS.labels(self.name, status)
        for _ in range(count):
            observed.observe(seconds)
        metrics.MESSAGE_PROCESSING.labels(self.name, status).inc(count)

    async def _postpone(self, message: Message, error: Exception) -> None:
        self._record("error", 1, 0.0)
        await self._retries.postpone(message, error)


def _by_tenant(batch: Iterable[_Delivery]) -> dict[str, list[_Delivery]]:
    found: dict[str, list[_Delivery]] = defaultdict(list)
    for delivery in batch:
        found[delivery.incoming.tenant_id].append(delivery)
    return found


def _fresh(batch: Iterable[_Delivery], fresh: set[UUID]) -> Iterator[Read]:
    """What is new; an event that is twice in the batch is new once."""
    for delivery in batch:
        if delivery.incoming.id in fresh:
            fresh.discard(delivery.incoming.id)
            yield delivery.read
