"""Tables of erasures, and of what keeps contacts from them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index
from sqlmodel import Field

from crm_contacts.tables import Base


class Erasure(Base, table=True):
    """An erasure, from the request to its certificate.

    `traces` is what services search by; it is emptied when the erasure is done.
    """

    __tablename__ = "erasures"
    __table_args__ = (Index("idx_erasures_contact", "tenant_id", "contact_id", unique=True),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID
    state: str = Field(max_length=50)
    requested_by: UUID | None = None
    requested_at: datetime = columns.moment()
    approved_by: UUID | None = None
    approved_at: datetime | None = columns.maybe_moment()
    done_at: datetime | None = columns.maybe_moment()
    traces: dict[str, Any] = columns.document()
    services: dict[str, Any] = columns.document()
    """Who has reported: when, and how many of what were erased."""
    version: int = 1


class LegalHold(Base, table=True):
    """A contact that must not be erased."""

    __tablename__ = "legal_holds"

    tenant_id: str = columns.tenant_id(primary_key=True)
    contact_id: UUID = Field(primary_key=True)
    reason: str = Field(max_length=1000)
    placed_by: UUID | None = None
    placed_at: datetime = columns.moment()
