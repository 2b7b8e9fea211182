"""Dead letters: what they are, why they died, sending them back, dropping them (`dlq`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from shared_events import topology

from service_kit.settings import ServiceSettings

DIED_AT = "x-dead-at"
"""The header that says when, in seconds since 1970."""
_STAMPS = (
    *("x-attempt", "x-last-error", "x-dead-reason", "x-delivery-count", DIED_AT),
    *("x-death", "x-first-death", "x-last-death"),
)
"""What the delay queues and the broker wrote on the way here."""
_GET_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; None asks for nothing. Ages are in seconds."""

    message_id: str | None = None
    reason: str | None = None
    tenant_id: str | None = None
    event_type: str | None = None
    older_than: float | None = None
    younger_than: float | None = None

    def __call__(self, letter: "Letter") -> bool:
        """Whether this letter is one of them. An age nobody knows is older than any."""
        return (
            self.message_id in (None, letter.message_id)
            and self.reason in (None, letter.reason)
            and self.tenant_id in (None, letter.tenant_id)
            and self.event_type in (None, letter.event_type)
            and (self.older_than is None or letter.age >= self.older_than)
            and (self.younger_than is None or letter.age < self.younger_than)
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, still in its queue until it is settled."""

    taken: AbstractIncomingMessage

    @property
    def message_id(self) -> str:
        """The id of the message it was, the same however often it died."""
        return (self.taken.message_id or "").partition("#")[0]

    @property
    def reason(self) -> str | None:
        """Ours, or else the broker's: `expired`, `rejected`, `delivery_limit`."""
        deaths: Any = self.taken.headers.get("x-death") or [{}]
        reason = self.taken.headers.get("x-dead-reason") or deaths[0].get("reason")
        return None if reason is None else str(reason)

    @property
    def tenant_id(self) -> str | None:
        """Whose it is."""
        return _text(self.taken, "tenant_id")

    @property
    def event_type(self) -> str | None:
        """What it told; WAHA's own word for a raw webhook."""
        return _text(self.taken, "event_type") or _text(self.taken, "waha_event")

    @property
    def age(self) -> float:
        """Seconds since it died; infinite when nobody wrote that down."""
        died_at: Any = self.taken.headers.get(DIED_AT)
        if isinstance(died_at, int | float):
            return time.time() - died_at
        deaths: Any = self.taken.headers.get("x-death") or [{}]
        at = deaths[0].get("time")
        return time.time() - at.timestamp() if isinstance(at, datetime) else float("inf")

    def summary(self) -> dict[str, Any]:
        """One line of a list; it holds no words of anybody."""
        known = self.age != float("inf")
        died_at = datetime.fromtimestamp(time.time() - self.age, UTC) if known else None
        return {
            "message_id": self.message_id,
            "event_type": self.event_type,
            "tenant_id": self.tenant_id,
            "reason": self.reason,
            "detail": self.taken.headers.get("x-last-error"),
            "died_at": died_at.isoformat(timespec="seconds") if died_at else None,
            "bytes": len(self.taken.body),
        }

    def whole(self) -> dict[str, Any]:
        """All of it, with headers and body."""
        return {
            **self.summary(),
            "headers": {name: str(value) for name, value in self.taken.headers.items()},
            "body": self.taken.body.decode(errors="replace"),
        }


Wants = Callable[[Letter], bool]
"""Whether a letter is one of those looked for."""


def _text(letter: AbstractIncomingMessage, header: str) -> str | None:
    value = letter.headers.get(header)
    return None if value is None else str(value)


async def look(
    settings: ServiceSettings, queue: topology.EventQueue, wanted: Wanted, limit: int
) -> list[Letter]:
    """Up to `limit` of the letters of a live queue, oldest first; they stay where they are."""
    async with _channel(settings) as channel:
        return [letter async for letter in _letters(channel, queue, wanted, limit)]


async def redrive(
    settings: ServiceSettings,
    queue: topology.EventQueue,
    wanted: Wanted,
    limit: int,
    *,
    rate: float | None = None,
) -> int:
    """Send letters back to their queue with fresh attempts, `rate` a second; returns how many.

    Each is published to the queue itself and confirmed before its letter is removed; consumers
    deduplicate by the event's own id.
    """
    count = 0
    async with _channel(settings) as channel:
        exchange = await channel.get_exchange(topology.returns(queue.service).name)
        async for letter in _letters(channel, queue, wanted, limit):
            await exchange.publish(_afresh(letter), queue.name)
            await letter.taken.ack()
            count += 1
            if rate is not None:
                await asyncio.sleep(1 / rate)
    return count


async def drop(
    settings: ServiceSettings, queue: topology.EventQueue, wanted: Wants, limit: int
) -> Sequence[dict[str, Any]]:
    """Remove letters for good; returns them whole, for whoever may want them after all."""
    dropped = []
    async with _channel(settings) as channel:
        async for letter in _letters(channel, queue, wanted, limit):
            await letter.taken.ack()
            dropped.append(letter.whole())
    return dropped


def _afresh(letter: Letter) -> aio_pika.Message:
    taken = letter.taken
    return aio_pika.Message(
        taken.body,
        headers={k: v for k, v in taken.headers.items() if not k.startswith(_STAMPS)},
        message_id=f"{letter.message_id}#redriven",
        correlation_id=taken.correlation_id,
        content_type=taken.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


@asynccontextmanager
async def _channel(settings: ServiceSettings) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(settings.amqp_url)
    async with connection:
        yield await connection.channel(on_return_raises=True)


async def _letters(
    channel: AbstractChannel, queue: topology.EventQueue, wanted: Wants, limit: int
) -> AsyncIterator[Letter]:
    """Walk the queue as it was at the start; what is not acknowledged returns to its place."""
    dead = await channel.get_queue(queue.dead_letters.name, ensure=True)
    found = 0
    for _ in range(dead.declaration_result.message_count or 0):
        async with asyncio.timeout(_GET_SECONDS):
            taken = await dead.get(fail=False)
        if taken is None or found == limit:
            return
        if wanted(letter := Letter(taken)):
            found += 1
            yield letter
