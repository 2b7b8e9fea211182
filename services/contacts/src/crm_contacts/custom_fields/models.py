"""The table of custom fields' definitions."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index
from sqlmodel import Field

from crm_contacts.tables import Base


class CustomField(Base, table=True):
    """What is said of the values under one key of contacts' `custom_fields`."""

    __tablename__ = "custom_fields"
    __table_args__ = (
        Index("idx_custom_fields_key", "tenant_id", "key", unique=True),
        Index("idx_custom_fields_tenant", "tenant_id", "position", "id"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    key: str = Field(max_length=64)
    label: str = Field(max_length=255)
    type: str = Field(max_length=50)
    required: bool
    options: list[str] = columns.texts()
    position: int
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()
