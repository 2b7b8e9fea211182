"""Events of webhooks."""

from typing import ClassVar

from shared_events.envelope import EventData
from shared_events.resources import WebhookEndpoint


class WebhookEndpointDisabled(EventData):
    """An endpoint stopped receiving; `endpoint.disabled_reason` says why."""

    event_type: ClassVar[str] = "webhook.endpoint_disabled"
    aggregate_type: ClassVar[str] = "endpoint"
    description: ClassVar[str] = "A webhook endpoint was disabled"

    endpoint: WebhookEndpoint
