"""Webhook deliveries: what is owed to one endpoint for one event."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Moment, Query

DeliveryStatus = Literal["pending", "delivered", "retrying", "exhausted", "cancelled"]

DeliveryTrigger = Literal["event", "redelivery", "recovery", "replay", "test"]
"""Why something is owed: it happened, somebody wants it again, or wants to see it arrive."""


class DeliveryAttempt(Contract):
    """One try to hand a delivery over.

    A kept connection has no `dns_ms` and no `connect_ms` (which has TLS in it); `first_byte_ms` is
    from the beginning until the answer's headers. `body_truncated` says that of the answer's body
    only its first 64 KB were read.
    """

    number: int
    started_at: datetime
    duration_ms: int
    dns_ms: int | None = None
    connect_ms: int | None = None
    first_byte_ms: int | None = None
    status_code: int | None = None
    error: bounds.Word | None = None
    response_excerpt: str | None = None
    body_truncated: bool = False


class WebhookDelivery(Contract):
    """What is owed to one endpoint for one event."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    trigger: DeliveryTrigger = "event"
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = None
    last_status_code: int | None = None
    last_error: bounds.Word | None = None
    created_at: datetime
    updated_at: datetime
    attempt_log: list[DeliveryAttempt] | None = None


class WebhookDeliveryExhausted(
    EventData, type="webhook.delivery_exhausted", aggregate="endpoint", public=True
):
    """A webhook delivery was given up: its last attempt failed.

    The endpoint it was for is not sent this, and of a delivery of this that is given up nothing is
    told: there is at most one for each delivery of anything else.
    """

    delivery: WebhookDelivery


class ListDeliveries(ListQuery[WebhookDelivery], key="webhooks.delivery.list"):
    """What was owed to one endpoint, newest first."""

    endpoint_id: UUID
    status: DeliveryStatus | None = None
    event_type: str | None = Field(default=None, max_length=100)
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")


class GetDelivery(Query[WebhookDelivery], key="webhooks.delivery.get"):
    """One delivery with its attempts."""

    delivery_id: UUID


class Redeliver(Command[WebhookDelivery], key="webhooks.delivery.redeliver"):
    """Send one delivery again, with the full retry schedule and the same webhook-id."""

    delivery_id: UUID


class Latency(Contract):
    """Milliseconds until half, 95 and 99 of a hundred answers were there."""

    p50: float
    p95: float
    p99: float


class EndpointStats(Contract):
    """How an endpoint does: by its newest deliveries, at most 1,000, and by what waits now.

    `since` is when the oldest of those was created. `success_rate` is of what is settled; `errors`
    counts failed attempts by class. `waiting` is counted up to 10,000: there may be more.
    `limited_until` is when the endpoint's rate limit lets the next of those go, if it holds them.
    """

    endpoint_id: UUID
    deliveries: int
    since: datetime | None
    delivered: int
    exhausted: int
    success_rate: float | None
    attempts: int
    latency_ms: Latency | None
    errors: dict[str, int]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    waiting: int
    oldest_due_at: datetime | None
    limited_until: datetime | None = None


class GetEndpointStats(Query[EndpointStats], key="webhooks.delivery.stats"):
    """How an endpoint does."""

    endpoint_id: UUID
