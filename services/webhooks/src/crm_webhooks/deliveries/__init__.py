"""What is owed to endpoints, and how it is handed over."""

from service_kit.egress import Egress
from service_kit.incoming import read_bytes
from service_kit.service import Service
from shared_events import topology
from shared_events.webhooks import delivery, endpoint

from crm_webhooks.deliveries.claims import Claims
from crm_webhooks.deliveries.destinations import Destinations
from crm_webhooks.deliveries.ingest import Ingest
from crm_webhooks.deliveries.requests import DeliveryRequests
from crm_webhooks.deliveries.results import Results
from crm_webhooks.deliveries.retention import purge_forever
from crm_webhooks.deliveries.sender import Sender
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.settings import WebhooksSettings


def add_to(
    service: Service,
    settings: WebhooksSettings,
    endpoints: EndpointRepository,
    egress: Egress,
    vault: Vault,
) -> None:
    """Public events become deliveries; the sender works them off; customers may look and resend."""
    database, lease_seconds = service.database, settings.webhook_lease_seconds
    results = Results(database, endpoints, settings.retry_schedule_seconds)
    sender = Sender(settings, egress, Destinations(database, vault), results)
    claims = Claims(database, sender, lease_seconds=lease_seconds)
    sender.on_room = claims.wake
    results.on_due = claims.wake_in
    service.background("sender", sender.run)
    service.background("claims", claims.run)
    service.background(
        "retention", lambda: purge_forever(database, settings.webhook_retention_days)
    )
    ingest = Ingest(sender, lease_seconds=lease_seconds)
    service.consume(topology.WEBHOOKS_DELIVERY, read_bytes, ingest.on_events, together=True)
    service.consume(topology.CONTACT_WEBHOOK, read_bytes, ingest.on_events, together=True)
    requests = DeliveryRequests(endpoints)
    service.answer(delivery.ListDeliveries, requests.list)
    service.answer(delivery.GetDelivery, requests.get)
    service.answer(delivery.Redeliver, requests.redeliver)
    service.answer(delivery.GetEndpointStats, requests.stats)
    service.answer(endpoint.SendTest, requests.test)
