"""Dead letters: what they are, why they died, and sending them back (`crm-<service> dlq`)."""

import asyncio
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from shared_events import topology

from service_kit.settings import ServiceSettings

_STAMPS = (
    *("x-attempt", "x-last-error", "x-dead-reason", "x-delivery-count"),
    *("x-death", "x-first-death", "x-last-death"),
)
"""What the delay queues and the broker wrote on the way here."""


async def peek(
    settings: ServiceSettings, queue: topology.EventQueue, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` dead letters of a live queue, oldest first, left where they are."""
    connection = await aio_pika.connect(settings.amqp_url)
    async with connection:
        channel = await connection.channel()
        letters = await _take(channel, queue, limit)
        return [_described(letter) for letter in letters]  # unacknowledged: they return


async def redrive(settings: ServiceSettings, queue: topology.EventQueue, limit: int) -> int:
    """Send up to `limit` dead letters back to their queue with fresh attempts; returns how many.

    Each is published to the queue itself and confirmed before its letter is removed; consumers
    deduplicate by the event's own id.
    """
    connection = await aio_pika.connect(settings.amqp_url)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        letters = await _take(channel, queue, limit)
        for letter in letters:
            headers = {k: v for k, v in letter.headers.items() if not k.startswith(_STAMPS)}
            message = aio_pika.Message(
                letter.body,
                headers=headers,
                message_id=f"{(letter.message_id or '').partition('#')[0]}#redriven",
                correlation_id=letter.correlation_id,
                content_type=letter.content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await channel.default_exchange.publish(message, queue.name)
            await letter.ack()
        return len(letters)


async def _take(
    channel: aio_pika.abc.AbstractChannel, queue: topology.EventQueue, limit: int
) -> list[AbstractIncomingMessage]:
    dead = await channel.get_queue(queue.dead_letters.name, ensure=True)
    letters: list[AbstractIncomingMessage] = []
    async with asyncio.timeout(30):
        while len(letters) < limit and (letter := await dead.get(fail=False)) is not None:
            letters.append(letter)
    return letters


def _described(letter: AbstractIncomingMessage) -> dict[str, Any]:
    deaths: Any = letter.headers.get("x-death") or [{}]
    return {
        "message_id": letter.message_id,
        "event_type": letter.headers.get("event_type"),
        "tenant_id": letter.headers.get("tenant_id"),
        "reason": letter.headers.get("x-dead-reason") or deaths[0].get("reason"),
        "detail": letter.headers.get("x-last-error"),
        "bytes": len(letter.body),
    }
