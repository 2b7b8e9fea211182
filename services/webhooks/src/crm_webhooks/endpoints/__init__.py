"""The URLs customers have events sent to."""

from collections.abc import Callable

from service_kit.egress import Egress
from service_kit.service import Service
from shared_events.webhooks import endpoint

from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.endpoints.requests import EndpointRequests
from crm_webhooks.settings import WebhooksSettings


def add_to(
    service: Service,
    settings: WebhooksSettings,
    repository: EndpointRepository,
    egress: Egress,
    on_challenge: Callable[[], None],
) -> None:
    """What is asked about endpoints; `on_challenge` is called when one is to be challenged."""
    requests = EndpointRequests(repository, egress, on_challenge, plain_http=settings.plain_http)
    service.answer(endpoint.CreateEndpoint, requests.create)
    service.answer(endpoint.GetEndpoint, requests.get)
    service.answer(endpoint.ListEndpoints, requests.list)
    service.answer(endpoint.PatchEndpoint, requests.patch)
    service.answer(endpoint.DeleteEndpoint, requests.delete)
    service.answer(endpoint.RotateSecret, requests.rotate_secret)
    service.answer(endpoint.VerifyEndpoint, requests.verify)
