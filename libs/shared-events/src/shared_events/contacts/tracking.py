"""Trackings: where a contact came from, such as an advertisement or a campaign."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery

Source = Literal[
    "meta_ads",
    "google_ads",
    "tiktok_ads",
    "linkedin",
    "organic",
    "direct",
    "referral",
    "other",
]
Label = Annotated[str, StringConstraints(max_length=255)]


class _Origin(Contract):
    platform: Label | None = None
    campaign: Label | None = None
    ad_id: Label | None = None
    ad_url: bounds.Url | None = None
    click_id: Label | None = None
    utm_source: Label | None = None
    utm_medium: Label | None = None
    utm_campaign: Label | None = None
    utm_term: Label | None = None
    utm_content: Label | None = None


class TrackingEnrichment(Contract):
    """What a tracking says when it is read: what it states itself, and else what its links tell.

    `click_kind` is the parameter a link has the click in, such as `gclid`; `landing_host` and
    `landing_path` are the page the person came to, `referrer_host` where they came from. `device`,
    `os` and `browser` are told by the `user_agent` in `conversion_data`.
    """

    platform: Label | None = None
    click_id: Label | None = None
    click_kind: bounds.Word | None = None
    utm_source: Label | None = None
    utm_medium: Label | None = None
    utm_campaign: Label | None = None
    utm_term: Label | None = None
    utm_content: Label | None = None
    landing_host: Label | None = None
    landing_path: bounds.Url | None = None
    referrer_host: Label | None = None
    device: Label | None = None
    os: Label | None = None
    browser: Label | None = None
    enriched_at: datetime


class Tracking(_Origin):
    """One way a contact came to the company. `conversion_data` is the platform's own.

    What can be read out of `landing_url`, `referrer` and `user_agent` in it, and of `ad_url`, is in
    `enrichment` a moment later.
    """

    id: UUID
    contact_id: UUID
    session_id: UUID | None = None
    source: bounds.Word
    conversion_data: dict[str, Any] = Field(default_factory=dict)
    enrichment: TrackingEnrichment | None = None
    created_at: datetime


GivenLabel = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class CreateTracking(Command[Tracking], key="contacts.tracking.create"):
    """Note where a contact came from. A click that is on record is a conflict, `click_tracked`."""

    contact_id: UUID
    session_id: UUID | None = None
    source: Source
    platform: GivenLabel | None = None
    campaign: GivenLabel | None = None
    ad_id: GivenLabel | None = None
    ad_url: Annotated[bounds.Url, StringConstraints(min_length=1)] | None = None
    click_id: GivenLabel | None = None
    utm_source: GivenLabel | None = None
    utm_medium: GivenLabel | None = None
    utm_campaign: GivenLabel | None = None
    utm_term: GivenLabel | None = None
    utm_content: GivenLabel | None = None
    conversion_data: bounds.Document = Field(default_factory=dict)


class ListTrackings(ListQuery[Tracking], key="contacts.tracking.list"):
    """Where a contact came from, the latest first."""

    contact_id: UUID


class TrackingCreated(EventData, type="tracking.created", aggregate="contact", public=True):
    """It was noted where a contact came from."""

    tracking: Tracking


class TrackingEnriched(EventData, type="tracking.enriched", aggregate="contact", public=True):
    """It was read out of a tracking where its contact came from."""

    tracking: Tracking
