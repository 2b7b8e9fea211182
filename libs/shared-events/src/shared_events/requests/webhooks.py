"""Requests webhooks answers."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events.requests.base import Kind, ListRequest, Nothing, Page, Request
from shared_events.resources import DeliveryStatus, WebhookDelivery, WebhookEndpoint

EventPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z]+\.(\*|[a-z_]+))$", max_length=100)
]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=100)]
Headers = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=20)
]


class CreateEndpoint(Request):
    """Have events sent to a URL. The reply alone carries the signing secret."""

    key: ClassVar[str] = "webhooks.endpoint.create"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[WebhookEndpoint]] = WebhookEndpoint

    url: HttpUrl
    description: str | None = Field(default=None, max_length=500)
    event_types: EventPatterns = Field(default_factory=lambda: ["*"])
    headers: Headers = Field(default_factory=dict)
    enabled: bool = True


class PatchEndpoint(Request):
    """Change an endpoint; what is left out stays. Pending deliveries follow the new settings."""

    key: ClassVar[str] = "webhooks.endpoint.patch"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[WebhookEndpoint]] = WebhookEndpoint
    path: ClassVar[tuple[str, ...]] = ("endpoint_id",)

    endpoint_id: UUID
    url: HttpUrl | None = None
    description: str | None = Field(default=None, max_length=500)
    event_types: EventPatterns | None = None
    headers: Headers | None = None
    enabled: bool | None = None


class GetEndpoint(Request):
    """Read one endpoint."""

    key: ClassVar[str] = "webhooks.endpoint.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[WebhookEndpoint]] = WebhookEndpoint
    path: ClassVar[tuple[str, ...]] = ("endpoint_id",)

    endpoint_id: UUID


class ListEndpoints(ListRequest):
    """All endpoints, newest first."""

    key: ClassVar[str] = "webhooks.endpoint.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[WebhookEndpoint]]] = Page[WebhookEndpoint]


class DeleteEndpoint(Request):
    """Stop sending to a URL; what is still owed is cancelled."""

    key: ClassVar[str] = "webhooks.endpoint.delete"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Nothing]] = Nothing
    path: ClassVar[tuple[str, ...]] = ("endpoint_id",)

    endpoint_id: UUID


class ListDeliveries(ListRequest):
    """What was owed to one endpoint, newest first."""

    key: ClassVar[str] = "webhooks.delivery.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[WebhookDelivery]]] = Page[WebhookDelivery]
    path: ClassVar[tuple[str, ...]] = ("endpoint_id",)

    endpoint_id: UUID
    status: DeliveryStatus | None = None
    event_type: str | None = Field(default=None, max_length=100)


class GetDelivery(Request):
    """One delivery with its attempts."""

    key: ClassVar[str] = "webhooks.delivery.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[WebhookDelivery]] = WebhookDelivery
    path: ClassVar[tuple[str, ...]] = ("delivery_id",)

    delivery_id: UUID


class Redeliver(Request):
    """Send one delivery again, with the full retry schedule and the same webhook-id."""

    key: ClassVar[str] = "webhooks.delivery.redeliver"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[WebhookDelivery]] = WebhookDelivery
    path: ClassVar[tuple[str, ...]] = ("delivery_id",)

    delivery_id: UUID
