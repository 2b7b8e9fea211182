"""Customers' endpoints that are gone or fail, and events that come late to us."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aio_pika
import orjson
import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from e2e.crm import Tenant
from e2e.stack import Platform
from shared_events import examples

from outages.causes import again_and_again, broker
from outages.watch import Watch

QUEUE = "webhooks.delivery.0"
LATE = timedelta(minutes=2)


def late(channel: aio_pika.abc.AbstractChannel, tenant: Tenant) -> Callable[[], Awaitable[object]]:
    """An event that was two minutes on its way."""

    async def publish() -> None:
        event_id = str(uuid4())
        event = examples.load("message.received") | {
            "event_id": event_id,
            "tenant_id": tenant.id,
            "occurred_at": (datetime.now(UTC) - LATE).isoformat(),
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


@pytest.mark.timeout(1200)
class TestWebhooks:
    async def test_are_late_fail_and_go_nowhere(
        self, platform: Platform, watch: Watch, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        async with WebhookReceiver() as gone, broker(platform) as channel:
            gone.default = Answer(status=410)
            receiver.default = Answer(status=500)
            for one in (gone, receiver):
                await tenant.endpoint(one, "message.received")
            await watch.sees(
                again_and_again(late(channel, tenant)),
                "WebhooksLate",
                "WebhooksFail",
                "EndpointDisabled gone",
                "DeliveriesGivenUp",
            )
