"""The webhooks service, put together."""

from service_kit.egress import Egress
from service_kit.main import run_service
from service_kit.resealing import SealedColumn
from service_kit.sealing import Seal
from service_kit.service import Service
from shared_events.services import WEBHOOKS

from crm_webhooks import challenges, deliveries, endpoints, erasures, event_log, recoveries
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.settings import WebhooksSettings


def create_service(settings: WebhooksSettings) -> Service:
    """Everything the process runs, ready to start."""
    service = Service(WEBHOOKS, settings)
    seal = Seal(settings.encryption_key)
    vault = Vault(seal)
    egress = Egress.by_setting(
        settings.webhook_allowed_networks, is_production=settings.is_production
    )
    repository = EndpointRepository(vault)
    on_challenge = challenges.add_to(service, settings, repository, egress, vault)
    endpoints.add_to(service, settings, repository, egress, on_challenge)
    deliveries.add_to(service, settings, repository, egress, vault)
    recoveries.add_to(service, repository)
    event_log.add_to(service, settings)
    for table, column in (("endpoint_secrets", "secret"), ("webhook_endpoints", "headers")):
        service.keeps_sealed(SealedColumn(table, column, seal, (table, "deliver")))
    erasures.add_to(service)
    return service


def main() -> None:
    """Console script `crm-webhooks`."""
    run_service(WEBHOOKS, create_service, WebhooksSettings)
