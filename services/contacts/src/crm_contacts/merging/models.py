"""What is kept of a merge, to undo it by."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index
from sqlmodel import Field

from crm_contacts.tables import Base


class ContactMerge(Base, table=True):
    """A merge that may be undone.

    `taken`: the winner's columns that changed, each with its value before and after. `stood`:
    where the loser was in a pipeline. `moved`: which rows went over, by table.
    """

    __tablename__ = "contact_merges"
    __table_args__ = (
        Index("idx_contact_merges_loser", "tenant_id", "loser_id", "merged_at"),
        Index("idx_contact_merges_winner", "tenant_id", "winner_id"),
        Index("idx_contact_merges_age", "merged_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    winner_id: UUID
    loser_id: UUID
    taken: dict[str, Any] = columns.document()
    stood: dict[str, Any] = columns.document()
    moved: dict[str, Any] = columns.document()
    merged_at: datetime = columns.moment()
