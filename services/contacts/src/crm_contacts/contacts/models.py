"""Tables of contacts and of the identities they are known by."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Date, Index, String, Text, text
from sqlmodel import Field

from crm_contacts.tables import Base

NEVER = date(1970, 1, 1)
"""When whoever never wrote did so: before everybody who did."""

_LIVE = text("deleted_at IS NULL")
_DELETED = text("deleted_at IS NOT NULL AND merged_into IS NULL AND erased_at IS NULL")


class Contact(Base, table=True):
    """A person or group a company talks with; `deleted_at` marks a soft deletion.

    Of one with `erased_at` there is nothing left but the id, which is never given again.

    `search_text`, `sort_name` and `tag_keys` follow from the other columns (see `search.derive`):
    computed here, they need no function in an index.
    """

    __tablename__ = "contacts"
    __table_args__ = (
        Index("idx_contacts_tenant", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
        Index(
            "idx_contacts_interacted", "tenant_id", "interacted_on", "id", postgresql_where=_LIVE
        ),
        Index("idx_contacts_name", "tenant_id", "sort_name", "id", postgresql_where=_LIVE),
        Index("idx_contacts_phone", "phone"),
        Index(
            "idx_contacts_tenant_phone",
            "tenant_id",
            "phone",
            unique=True,
            postgresql_where=text("phone IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index(
            "idx_contacts_pipeline",
            "tenant_id",
            "pipeline_id",
            "pipeline_status_id",
            postgresql_where=text("pipeline_id IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index(
            "idx_contacts_board",
            "tenant_id",
            "pipeline_status_id",
            "created_at",
            "id",
            postgresql_where=text("pipeline_status_id IS NOT NULL"),
        ),
        Index(
            "idx_contacts_search",
            "tenant_id",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={
                "tenant_id": "extensions.varchar_ops",
                "search_text": "extensions.gin_trgm_ops",
            },
            postgresql_where=_LIVE,
        ),
        Index(
            "idx_contacts_merged",
            "tenant_id",
            "merged_into",
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
        Index("idx_contacts_deleted", "tenant_id", "deleted_at", "id", postgresql_where=_DELETED),
        Index("idx_contacts_final", "deleted_at", postgresql_where=_DELETED),
        Index(
            "idx_contacts_email",
            "tenant_id",
            "email",
            postgresql_where=text("email IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index(
            "idx_contacts_tenant_tags",
            "tenant_id",
            "tag_keys",
            postgresql_using="gin",
            postgresql_ops={"tenant_id": "extensions.varchar_ops"},
            postgresql_where=_LIVE,
        ),
        Index(
            "idx_contacts_custom_fields",
            "tenant_id",
            "custom_fields",
            postgresql_using="gin",
            postgresql_ops={
                "tenant_id": "extensions.varchar_ops",
                "custom_fields": "jsonb_path_ops",
            },
            postgresql_where=text("custom_fields <> '{}' AND deleted_at IS NULL"),
        ),
        Index("idx_contacts_tags", "tag_keys", postgresql_using="gin", postgresql_where=_LIVE),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    phone: str | None = Field(default=None, max_length=50)
    email: str | None = Field(default=None, max_length=255)
    profile_picture_url: str | None = columns.maybe_text()
    tags: list[str] = columns.texts()
    custom_fields: dict[str, Any] = columns.document()
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    language: str | None = Field(default=None, max_length=35)
    timezone: str | None = Field(default=None, max_length=64)
    source: str = Field(max_length=50)
    push_name: str | None = Field(default=None, max_length=255)
    first_interaction_at: datetime | None = columns.maybe_moment()
    last_interaction_at: datetime | None = columns.maybe_moment()
    interacted_on: date = Field(
        default=NEVER,
        sa_column=Column(Date, nullable=False, server_default=text(f"'{NEVER}'")),
    )
    """The day of `last_interaction_at`, written by a trigger: the order by it has an index of that.

    An index of the moment itself would be written for every message, and all others with it.
    """
    search_text: str = Field(default="", sa_column=Column(Text(collation="C"), nullable=False))
    sort_name: str = Field(default="", sa_column=Column(String(64, collation="C"), nullable=False))
    tag_keys: list[str] = columns.texts()
    deleted_at: datetime | None = columns.maybe_moment()
    erased_at: datetime | None = columns.maybe_moment()
    merged_into: UUID | None = None
    """Who it is by now; such a contact is deleted too, and never comes back by itself."""
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class ContactIdentity(Base, table=True):
    """One way WhatsApp shows a contact (docs/architecture.md, "Identity").

    Two aliases share a `canonical`; `value` is the alias WhatsApp reports. One that a message
    proved belongs to its contact for good: a number taken off a contact still leads to it. One that
    was only typed leads on to whoever it is really of: a contact that need not exist yet.
    """

    __tablename__ = "contact_identities"
    __table_args__ = (Index("idx_contact_identities_contact", "contact_id"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    kind: str = Field(primary_key=True, max_length=20)
    canonical: str = Field(primary_key=True, max_length=255)
    value: str = Field(max_length=255)
    contact_id: UUID
    proved: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    created_at: datetime = columns.stamped()
