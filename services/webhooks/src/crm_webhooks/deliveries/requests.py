"""The requests about deliveries (`shared_events.webhooks`)."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from shared_events.requests import Page
from shared_events.webhooks.delivery import (
    EndpointStats,
    GetDelivery,
    GetEndpointStats,
    ListDeliveries,
    Redeliver,
    WebhookDelivery,
)
from shared_events.webhooks.endpoint import SendTest, WebhookTest

from crm_webhooks.deliveries import models, repository, stats
from crm_webhooks.deliveries.body import write_body
from crm_webhooks.deliveries.trace import trace_headers
from crm_webhooks.endpoints.repository import EndpointRepository


class DeliveryRequests:
    """Answers them, each in the caller's transaction."""

    def __init__(self, endpoints: EndpointRepository) -> None:
        self._endpoints = endpoints

    async def list(
        self, tx: Transaction, request: ListDeliveries, call: Call
    ) -> Page[WebhookDelivery]:
        """What was owed to one endpoint, newest first."""
        del call
        await self._endpoints.get(tx, request.endpoint_id)
        return await repository.page(tx, request)

    async def get(self, tx: Transaction, request: GetDelivery, call: Call) -> WebhookDelivery:
        """One delivery with its attempts."""
        del call
        found = await repository.get(tx, request.delivery_id)
        log = await repository.attempts(tx, found.id)
        return found.model_copy(update={"attempt_log": log})

    async def stats(self, tx: Transaction, request: GetEndpointStats, call: Call) -> EndpointStats:
        """How an endpoint does."""
        del call
        await self._endpoints.get(tx, request.endpoint_id)
        return await stats.of_endpoint(tx, request.endpoint_id)

    async def redeliver(self, tx: Transaction, request: Redeliver, call: Call) -> WebhookDelivery:
        """Send it again with the full schedule. A disabled endpoint gets it once enabled."""
        del call
        original = await repository.get(tx, request.delivery_id)
        # The lock also orders redeliveries of one delivery that are asked for at the same time.
        await self._endpoints.lock(tx, original.endpoint_id, None)
        again = await repository.replay(tx, original.id)
        await self._endpoints.announce(tx, original.endpoint_id)
        return again

    async def test(self, tx: Transaction, request: SendTest, call: Call) -> WebhookDelivery:
        """Owe this endpoint a `webhook.test`; raises ConflictError while it is disabled."""
        endpoint = await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        if not endpoint.enabled:
            raise ConflictError("endpoint_disabled", "Nothing is sent to it before it is enabled.")
        told = WebhookTest(endpoint_id=endpoint.id, requested_by=call.user_id)
        event_id, now = uuid7(), datetime.now(UTC)
        event = models.OutboundEvent(
            tenant_id=tx.tenant_id,
            event_id=event_id,
            event_type=told.event_type,
            body=write_body(
                event_id, told.event_type, now, tx.tenant_id, told.model_dump(mode="json")
            ),
            correlation_id=trace_headers(call.correlation_id, None).get("X-Request-Id"),
            occurred_at=now,
        )
        owed = await repository.owe_test(tx, endpoint.id, event)
        await self._endpoints.announce(tx, endpoint.id)
        return owed
