"""What others hear of an endpoint: they may be other systems, and the event log remembers."""

from datetime import datetime

from shared_events.webhooks.endpoint import (
    WebhookEndpoint,
    WebhookEndpointDisabled,
    WebhookEndpointFailing,
)
from yarl import URL


def disabled(endpoint: WebhookEndpoint) -> WebhookEndpointDisabled:
    """It stopped receiving."""
    return WebhookEndpointDisabled(endpoint=_told(endpoint))


def failing(
    endpoint: WebhookEndpoint,
    *,
    percent: int,
    failing_since: datetime,
    failed_deliveries: int,
    disabled_at: datetime,
) -> WebhookEndpointFailing:
    """It is this far on the way to being disabled."""
    return WebhookEndpointFailing(
        endpoint=_told(endpoint),
        percent=percent,
        failing_since=failing_since,
        failed_deliveries=failed_deliveries,
        disabled_at=disabled_at,
    )


def _told(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Without the query of its URL: customers put tokens there."""
    url = URL(endpoint.url, encoded=True).with_query(None).with_fragment(None)
    return endpoint.model_copy(update={"url": str(url)})
