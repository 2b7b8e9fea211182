"""The timeline of a contact: what happened to it, entry by entry."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import ListQuery

Category = Literal["general", "call", "label", "note", "pipeline", "session", "tracking"]


class TimelineEntry(Contract):
    """One thing that happened; its id is that of the event behind it.

    `payload` holds what changed, by the event's `type`.
    """

    id: UUID
    contact_id: UUID
    type: bounds.ErrorCode
    category: bounds.Word
    title: bounds.Name
    payload: dict[str, Any]
    occurred_at: datetime


class ListTimeline(ListQuery[TimelineEntry], key="contacts.timeline.list"):
    """What happened to a contact, the latest first."""

    contact_id: UUID
    category: Category | None = Field(default=None, description="Only entries of this kind.")
