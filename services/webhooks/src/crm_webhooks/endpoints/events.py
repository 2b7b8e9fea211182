"""What others hear of an endpoint: they may be other systems, and the event log remembers."""

from shared_events.webhooks.endpoint import WebhookEndpoint, WebhookEndpointDisabled
from yarl import URL


def disabled(endpoint: WebhookEndpoint) -> WebhookEndpointDisabled:
    """It stopped receiving. The query of its URL is left out: customers put tokens there."""
    url = URL(endpoint.url, encoded=True).with_query(None).with_fragment(None)
    return WebhookEndpointDisabled(endpoint=endpoint.model_copy(update={"url": str(url)}))
