"""The requests about deliveries (`shared_events.requests.webhooks`)."""

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.requests import Page
from shared_events.webhooks.delivery import GetDelivery, ListDeliveries, Redeliver, WebhookDelivery

from crm_webhooks.deliveries import repository
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

    async def redeliver(self, tx: Transaction, request: Redeliver, call: Call) -> WebhookDelivery:
        """Send it again with the full schedule. A disabled endpoint gets it once enabled."""
        del call
        original = await repository.get(tx, request.delivery_id)
        # The lock also orders redeliveries of one delivery that are asked for at the same time.
        await self._endpoints.lock(tx, original.endpoint_id, None)
        again = await repository.replay(tx, original.id)
        await self._endpoints.announce(tx, original.endpoint_id)
        return again
