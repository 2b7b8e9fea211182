"""Webhooks' part of the archive of a subject export (docs/adr/0021)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events.envelope import Contract
from shared_events.requests import Query
from shared_events.webhooks.delivery import DeliveryStatus

MOST_AGGREGATES = 100


class SubjectDelivery(Contract):
    """What was sent of a person to one of the company's systems, and when: not its words.

    Of the address there is the host only: the rest may be a secret of the company's.
    """

    event_id: UUID
    event_type: str
    endpoint_host: Annotated[str, StringConstraints(max_length=255)] | None = None
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None = None
    created_at: datetime
    updated_at: datetime


class SubjectDeliveries(Contract):
    """Deliveries, and where more of them follow."""

    data: list[SubjectDelivery]
    next_cursor: int | None = None


class ListSubjectDeliveries(Query[SubjectDeliveries], key="webhooks.subject.list_deliveries"):
    """What was sent of these contacts, conversations and sessions, as far as the log goes back."""

    aggregate_ids: list[UUID] = Field(min_length=1, max_length=MOST_AGGREGATES)
    cursor: int = Field(default=0, ge=0, lt=2**63)
