"""What this service publishes can be read by others; what others publish, by this service."""

from datetime import timedelta
from typing import Any

import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually, read_back
from shared_events import registry, topology

INTERNAL = [event for event in registry.BY_TYPE.values() if not event.public]


class TestPublished:
    async def test_endpoint_disabled_reads_back(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.answer(Answer(410))
        await tenant.contact_created()

        (row,) = await eventually(lambda: tenant.outbox("webhook.endpoint_disabled"))
        envelope = read_back(row)
        assert str(envelope.aggregate_id) == endpoint["id"]
        assert envelope.data.endpoint.disabled_reason == "gone"

    async def test_endpoint_failing_reads_back(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        async with tenant.database.tenant(tenant.id) as tx:
            await tx.execute(
                "UPDATE webhook_endpoints SET failing_since = now() - interval '91 hours',"
                " failed_deliveries = 99, failing_hours = 99 WHERE id = $1",
                endpoint["id"],
            )
        receiver.answer(Answer(500))
        await tenant.contact_created()

        (row,) = await eventually(lambda: tenant.outbox("webhook.endpoint_failing"))
        envelope = read_back(row)
        assert str(envelope.aggregate_id) == endpoint["id"]
        assert envelope.data.percent == 75
        assert envelope.data.disabled_at - envelope.data.failing_since == timedelta(hours=120)

    async def test_delivery_exhausted_reads_back(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.answer(*[Answer(500)] * 4)
        (event_id,) = await tenant.contact_created()

        (row,) = await eventually(lambda: tenant.outbox("webhook.delivery_exhausted"))
        envelope = read_back(row)
        assert str(envelope.aggregate_id) == endpoint["id"]
        assert str(envelope.data.delivery.event_id) == event_id


class TestConsumed:
    @pytest.mark.parametrize("event", registry.PUBLIC, ids=lambda e: e.event_type)
    async def test_every_public_event_is_delivered(
        self, event: Any, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        """Only the envelope is read, so any `data` will do."""
        await tenant.endpoint(receiver.url, event_types=[event.event_type])
        data = {"n": 2**53 - 1, "text": 'olá ☕ "/\\'}
        event_id = await tenant.publish_anything(event, data)
        got = await receiver.wait_for(lambda r: r.id == event_id)
        assert got.type == event.event_type
        assert got.json["data"] == data

    @pytest.mark.parametrize("event", INTERNAL, ids=lambda e: e.event_type)
    def test_internal_events_are_not_bound(self, event: Any) -> None:
        keys = {key for _, key in topology.WEBHOOKS_OUTBOUND.sources}
        assert event.event_type not in keys
