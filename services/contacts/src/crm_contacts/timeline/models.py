"""The timeline of a contact."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_contacts.tables import Base


class ContactEvent(Base, table=True):
    """One entry: something that happened to a contact. `id` is the id of the event behind it."""

    __tablename__ = "contact_events"
    __table_args__ = (
        Index(
            "idx_contact_events_contact", "tenant_id", "contact_id", text("occurred_at DESC"), "id"
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID
    type: str = Field(max_length=100)
    category: str = Field(max_length=50)
    title: str = Field(max_length=255)
    payload: dict[str, Any] = columns.document()
    occurred_at: datetime = columns.moment()
    created_at: datetime = columns.stamped()
