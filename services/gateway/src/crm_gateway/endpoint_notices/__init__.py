"""Letters to a company's admins about webhook endpoints that fail."""

from service_kit.service import Service
from shared_events.topology import GATEWAY_ENDPOINT_NOTICES
from shared_events.webhooks.endpoint import WebhookEndpointDisabled, WebhookEndpointFailing

from crm_gateway.endpoint_notices.consumers import EndpointNotices
from crm_gateway.mail.letters import Letters
from crm_gateway.mail.post import Post


def add_to(service: Service, post: Post, letters: Letters) -> None:
    """Who hears of them."""
    notices = EndpointNotices(post, letters)
    service.on(GATEWAY_ENDPOINT_NOTICES, WebhookEndpointFailing, notices.on_failing)
    service.on(GATEWAY_ENDPOINT_NOTICES, WebhookEndpointDisabled, notices.on_disabled)
