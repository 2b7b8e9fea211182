"""The tables of contact lists and of who was put on them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_contacts.tables import Base


class ContactList(Base, table=True):
    """A list; one with a filter is found by it, the others hold who was put on them."""

    __tablename__ = "contact_lists"
    __table_args__ = (Index("idx_contact_lists_tenant", "tenant_id", "id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    description: str | None = Field(default=None, max_length=1000)
    kind: str = Field(max_length=50)
    filter: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class ContactListMember(Base, table=True):
    """A contact on a static list. Who is deleted stays on it, unseen, and may be restored."""

    __tablename__ = "contact_list_members"
    __table_args__ = (Index("idx_contact_list_members_contact", "tenant_id", "contact_id"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    list_id: UUID = Field(primary_key=True, foreign_key="contacts.contact_lists.id")
    contact_id: UUID = Field(primary_key=True, foreign_key="contacts.contacts.id")
    added_by: UUID | None = None
    added_at: datetime = columns.moment()
