"""What cannot be applied, told or believed, and a relay that hangs."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika
import pytest
from e2e.stack import Platform
from service_kit.bus import MAX_HEADER_CHARACTERS

from outages.causes import again_and_again, all_of, broker, database, held
from outages.watch import Watch

QUEUE = "messaging.channel_events"
REQUESTS = "contacts.queries"

_PARKED = """
INSERT INTO webhooks.outbox_events (event_id, event_type, event_version, aggregate_id,
    aggregate_type, tenant_id, occurred_at, payload, trace_context)
VALUES ($1, 'webhook.endpoint_disabled', '1', $1, 'endpoint', 'nobody', now(), '{}', $2)
"""
# As a relay that lives and takes no shard: the others leave it its half.
_HANGS = """
SELECT set_config('search_path', 'messaging', true),
    pg_advisory_xact_lock_shared(hashtext('outbox_messaging'))
"""


def poison(channel: aio_pika.abc.AbstractChannel) -> Callable[[], Awaitable[object]]:
    """What is no event, as some other program might publish."""
    headers = {"event_type": "channel.message_received", "event_version": "1", "tenant_id": "x"}
    message = aio_pika.Message(b"{", headers={**headers, "event_id": str(uuid4())})
    return lambda: channel.default_exchange.publish(message, f"{QUEUE}.0")


@asynccontextmanager
async def dead_letters(platform: Platform) -> AsyncIterator[None]:
    """Messages come that nobody can read; in the end an operator drops them."""
    async with broker(platform) as channel:
        async with again_and_again(poison(channel)):
            yield
        live = await channel.get_queue(f"{QUEUE}.0")
        assert live.declaration_result.message_count == 0
        await (await channel.get_queue(f"{QUEUE}.dlq")).purge()


@asynccontextmanager
async def forgery(platform: Platform) -> AsyncIterator[None]:
    """Somebody who may publish asks something, once, and no key of ours has signed it."""
    async with broker(platform) as channel:
        message = aio_pika.Message(b"{}", message_id="forged", reply_to="nowhere")
        await channel.default_exchange.publish(message, REQUESTS)
        yield


@asynccontextmanager
async def unpublishable(platform: Platform) -> AsyncIterator[None]:
    """An event has more headers than AMQP carries; in the end somebody takes it out."""
    event_id = uuid4()
    headers = json.dumps({"tracestate": "x" * (MAX_HEADER_CHARACTERS + 1)})
    async with database(platform) as connection:
        await connection.execute(_PARKED, event_id, headers)
        yield
        await connection.execute("DELETE FROM webhooks.outbox_events WHERE event_id = $1", event_id)


@pytest.mark.timeout(1200)
class TestBus:
    async def test_carries_what_nobody_can_take(self, platform: Platform, watch: Watch) -> None:
        await watch.sees(
            all_of(
                *(dead_letters(platform), forgery(platform), unpublishable(platform)),
                held(platform, _HANGS),
            ),
            f"DeadLetters {QUEUE}.dlq",
            f"ConsumerFails {QUEUE}",
            f"RequestsUnproven {REQUESTS} contacts",
            "OutboxParked webhooks",
            "OutboxUnled messaging",
        )
