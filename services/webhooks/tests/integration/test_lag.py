"""How late we are is told by what we alone decide about, for an operator is woken by it."""

from typing import Any

from crm_fakes.receiver import WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from prometheus_client import REGISTRY
from shared_events.webhooks.delivery import Redeliver
from shared_events.webhooks.endpoint import PatchEndpoint


def measured() -> float:
    """How many first attempts were measured so far."""
    return REGISTRY.get_sample_value("webhooks_lag_seconds_count") or 0.0


class TestLag:
    async def test_is_measured_of_each_event_once(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        before = measured()
        await tenant.contact_created()
        delivery = await tenant.settled(endpoint)
        assert measured() == before + 1
        await tenant.value(Redeliver(delivery_id=delivery["id"]))
        await receiver.wait_for_count(2)
        assert measured() == before + 1, "told again is not told late"

    async def test_is_not_what_a_customer_has_asked_to_wait_for(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint: dict[str, Any] = await tenant.endpoint(receiver.url)
        before = measured()
        for change in ({"enabled": False}, {"enabled": True, "rate_limit_per_minute": 600}):
            await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], **change))
            await tenant.contact_created(count=2)
        await receiver.wait_for_count(4)
        assert measured() == before
