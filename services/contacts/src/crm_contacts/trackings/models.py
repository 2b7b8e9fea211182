"""The table of trackings."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_contacts.tables import Base


class Tracking(Base, table=True):
    """One way a contact came to the company; a click is on record once."""

    __tablename__ = "trackings"
    __table_args__ = (
        Index("idx_trackings_contact", "tenant_id", "contact_id", "id"),
        Index(
            "idx_trackings_click",
            "tenant_id",
            "click_id",
            unique=True,
            postgresql_where=text("click_id IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID = Field(foreign_key="contacts.contacts.id")
    session_id: UUID | None = None
    source: str = Field(max_length=50)
    platform: str | None = Field(default=None, max_length=255)
    campaign: str | None = Field(default=None, max_length=255)
    ad_id: str | None = Field(default=None, max_length=255)
    ad_url: str | None = columns.maybe_text()
    click_id: str | None = Field(default=None, max_length=255)
    utm_source: str | None = Field(default=None, max_length=255)
    utm_medium: str | None = Field(default=None, max_length=255)
    utm_campaign: str | None = Field(default=None, max_length=255)
    utm_term: str | None = Field(default=None, max_length=255)
    utm_content: str | None = Field(default=None, max_length=255)
    conversion_data: dict[str, Any] = columns.document()
    created_at: datetime = columns.moment()


class TrackingEnrichment(Base, table=True):
    """What was read out of a tracking; it goes with it."""

    __tablename__ = "tracking_enrichments"

    tracking_id: UUID = Field(
        primary_key=True, foreign_key="contacts.trackings.id", ondelete="CASCADE"
    )
    tenant_id: str = columns.tenant_id()
    platform: str | None = Field(default=None, max_length=255)
    click_id: str | None = Field(default=None, max_length=255)
    click_kind: str | None = Field(default=None, max_length=50)
    utm_source: str | None = Field(default=None, max_length=255)
    utm_medium: str | None = Field(default=None, max_length=255)
    utm_campaign: str | None = Field(default=None, max_length=255)
    utm_term: str | None = Field(default=None, max_length=255)
    utm_content: str | None = Field(default=None, max_length=255)
    landing_host: str | None = Field(default=None, max_length=255)
    landing_path: str | None = columns.maybe_text()
    referrer_host: str | None = Field(default=None, max_length=255)
    device: str | None = Field(default=None, max_length=255)
    os: str | None = Field(default=None, max_length=255)
    browser: str | None = Field(default=None, max_length=255)
    enriched_at: datetime = columns.moment()
