"""Webhook deliveries: what is owed to one endpoint for one event."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Command, ListQuery, Query

DeliveryStatus = Literal["pending", "delivered", "retrying", "exhausted", "cancelled"]


class DeliveryAttempt(Contract):
    """One try to hand a delivery over."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None = None
    error: bounds.Word | None = None
    response_excerpt: str | None = None


class WebhookDelivery(Contract):
    """What is owed to one endpoint for one event."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = None
    last_status_code: int | None = None
    last_error: bounds.Word | None = None
    created_at: datetime
    updated_at: datetime
    attempt_log: list[DeliveryAttempt] | None = None


class ListDeliveries(ListQuery[WebhookDelivery], key="webhooks.delivery.list"):
    """What was owed to one endpoint, newest first."""

    endpoint_id: UUID
    status: DeliveryStatus | None = None
    event_type: str | None = Field(default=None, max_length=100)


class GetDelivery(Query[WebhookDelivery], key="webhooks.delivery.get"):
    """One delivery with its attempts."""

    delivery_id: UUID


class Redeliver(Command[WebhookDelivery], key="webhooks.delivery.redeliver"):
    """Send one delivery again, with the full retry schedule and the same webhook-id."""

    delivery_id: UUID
