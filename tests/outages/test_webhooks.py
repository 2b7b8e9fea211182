"""Customers' endpoints that are gone or fail, and events that come late to us."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aio_pika
import orjson
import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from e2e.crm import Tenant
from e2e.stack import Platform
from shared_events import examples

from outages.causes import again_and_again, all_of, broker
from outages.watch import Watch

QUEUE = "webhooks.delivery.0"
LATE = timedelta(minutes=2)


def told(
    channel: aio_pika.abc.AbstractChannel, tenant: Tenant, *, ago: timedelta = timedelta()
) -> Callable[[], Awaitable[object]]:
    """An event, which was so long on its way to us."""

    async def publish() -> None:
        event_id = str(uuid4())
        event = examples.load("message.received") | {
            "event_id": event_id,
            "tenant_id": tenant.id,
            "occurred_at": (datetime.now(UTC) - ago).isoformat(),
        }
        headers = {
            "event_id": event_id,
            "event_type": event["event_type"],
            "event_version": "1",
            "aggregate_id": event["aggregate_id"],
            "tenant_id": tenant.id,
        }
        message = aio_pika.Message(orjson.dumps(event), headers=headers)
        await channel.default_exchange.publish(message, QUEUE)

    return publish


@asynccontextmanager
async def endpoint(tenant: Tenant, receiver: WebhookReceiver, *, says: int) -> AsyncIterator[None]:
    """A customer's program takes nothing, until the customer gives it up."""
    receiver.default = Answer(status=says)
    created = await tenant.endpoint(receiver, "message.received")
    yield
    await tenant.request("DELETE", f"/webhook-endpoints/{created['id']}", 204)


@pytest.mark.timeout(1200)
class TestWebhooks:
    async def test_are_late(
        self, platform: Platform, watch: Watch, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver, "message.received")
        async with broker(platform) as channel:
            cause = again_and_again(told(channel, tenant, ago=LATE))
            await watch.sees(cause, "WebhooksLate")

    async def test_fail_and_go_nowhere(
        self, platform: Platform, watch: Watch, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        async with WebhookReceiver() as gone, broker(platform) as channel:
            await watch.sees(
                all_of(
                    endpoint(tenant, gone, says=410),
                    endpoint(tenant, receiver, says=500),
                    again_and_again(told(channel, tenant)),
                ),
                "WebhooksFail",
                "EndpointDisabled gone",
                "DeliveriesGivenUp",
            )
