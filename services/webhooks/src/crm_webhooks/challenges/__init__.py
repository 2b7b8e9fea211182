"""Asking URLs whether webhooks are wanted there."""

from collections.abc import Callable

from service_kit.egress import Egress
from service_kit.service import Service

from crm_webhooks.challenges.job import Challenges
from crm_webhooks.deliveries.attempt import Dispatch
from crm_webhooks.deliveries.destinations import Destinations
from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.settings import WebhooksSettings


def add_to(
    service: Service,
    settings: WebhooksSettings,
    endpoints: EndpointRepository,
    egress: Egress,
    vault: Vault,
) -> Callable[[], None]:
    """The task that asks; returns what wakes it when there is somebody to ask."""
    challenges = Challenges(
        service.database,
        endpoints,
        Destinations(service.database, vault),
        Dispatch(settings, egress),
    )
    service.background("challenges", challenges.run)
    return challenges.wake
