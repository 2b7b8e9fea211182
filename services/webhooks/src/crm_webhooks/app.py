"""The webhooks service, put together."""

from service_kit.incoming import every_event
from service_kit.main import run_service
from service_kit.service import Service
from shared_events import topology

from crm_webhooks.deliveries.claims import Claims
from crm_webhooks.deliveries.destinations import Destinations
from crm_webhooks.deliveries.egress import Egress
from crm_webhooks.deliveries.ingest import Ingest
from crm_webhooks.deliveries.requests import DeliveryRequests
from crm_webhooks.deliveries.results import Results
from crm_webhooks.deliveries.retention import purge_forever
from crm_webhooks.deliveries.sender import Sender
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.requests import EndpointRequests
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.event_log.consumer import log_events
from crm_webhooks.models import SCHEMA
from crm_webhooks.settings import WebhooksSettings

PACKAGE = "crm_webhooks"
_LOG_LINGER_SECONDS = 0.25
"""Nobody waits for the event log, so it is written in large batches."""


def create_service(settings: WebhooksSettings) -> Service:
    """Everything the process runs, ready to start."""
    service = Service("webhooks", settings, package=PACKAGE, schema=SCHEMA)
    vault = Vault(settings.encryption_key.get_secret_value())
    egress = Egress(settings.allowed_networks)
    endpoints = EndpointRepository(vault)

    results = Results(service.database, endpoints, settings.retry_schedule_seconds)
    sender = Sender(settings, egress, Destinations(service.database, vault), results)
    claims = Claims(service.database, sender, lease_seconds=settings.webhook_lease_seconds)
    sender.on_room = claims.wake
    results.on_due = claims.wake_in
    service.background("sender", sender.run)
    service.background("claims", claims.run)
    service.background(
        "retention", lambda: purge_forever(service.database, settings.webhook_retention_days)
    )

    ingest = Ingest(sender, lease_seconds=settings.webhook_lease_seconds)
    for queue in (topology.WEBHOOKS_DELIVERY, topology.CONTACT_WEBHOOK):
        service.consume(queue, every_event(ingest.on_events))
    service.consume(topology.DOMAIN_EVENTS_ALL, every_event(log_events), linger=_LOG_LINGER_SECONDS)

    service.answer(
        "webhooks",
        {
            **EndpointRequests(endpoints, egress, plain_http=settings.plain_http).handlers(),
            **DeliveryRequests(endpoints).handlers(),
        },
    )
    return service


def main() -> None:
    """Console script `crm-webhooks`."""
    run_service(create_service, WebhooksSettings, package=PACKAGE, schema=SCHEMA)
