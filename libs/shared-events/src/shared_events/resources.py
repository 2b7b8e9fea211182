"""The nouns as customers see them: the same shapes answer REST, fill replies and ride in events."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared_events.envelope import Contract
from shared_events.identity import IdentityKind

Direction = Literal["inbound", "outbound"]
ContentType = Literal[
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "contact",
    "poll",
    "unsupported",
]
MessageStatus = Literal["queued", "sent", "failed", "delivered", "read", "played", "received"]
SessionStatus = Literal["active", "closed", "expired"]
ChannelStatus = Literal[
    "created", "pairing", "connected", "degraded", "logged_out", "failed", "stopped"
]
DeliveryStatus = Literal["pending", "delivered", "retrying", "exhausted", "cancelled"]


class Identity(Contract):
    """One way WhatsApp shows a person (design section 4)."""

    kind: IdentityKind
    value: str


class Contact(Contract):
    """A person or group a company talks with. `phone` is E.164, for display; it may be absent."""

    id: UUID
    name: str
    phone: str | None = None
    email: str | None = None
    profile_picture_url: str | None = None
    tags: list[str] = Field(default_factory=list)
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    language: str | None = None
    timezone: str | None = None
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    identities: list[Identity] = Field(default_factory=list)
    source: str
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class Message(Contract):
    """One chat message. `seq` is gap-free within its session; `sent_at` is WhatsApp's time."""

    id: UUID
    contact_id: UUID
    session_id: UUID | None = None
    channel_id: UUID
    external_id: str | None = None
    direction: Direction
    origin: str
    content_type: ContentType
    content: str | None = None
    media_url: str | None = None
    media_mime_type: str | None = None
    reply_to_id: UUID | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: MessageStatus
    sent_by: UUID | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None
    failed_at: datetime | None = None
    failure_reason: str | None = None
    seq: int
    created_at: datetime
    updated_at: datetime


class Session(Contract):
    """A conversation: opened by the first message, ended by an agent or by silence."""

    id: UUID
    contact_id: UUID
    channel_id: UUID
    project_id: str
    status: SessionStatus
    assigned_agent_id: UUID | None = None
    started_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None
    last_interaction_at: datetime
    timeout_seconds: int
    total_messages: int
    version: int
    created_at: datetime
    updated_at: datetime


class WahaConnection(Contract):
    """Where a channel's WAHA session runs; the API key is never shown."""

    base_url: str
    session: str


class Channel(Contract):
    """A connected WhatsApp number. `webhook_hmac_key` is filled only on creation and rotation."""

    id: UUID
    name: str
    type: Literal["waha"]
    status: ChannelStatus
    status_reason: str | None = None
    phone: str | None = None
    waha: WahaConnection
    webhook_url: str
    webhook_hmac_key: str | None = None
    session_timeout_minutes: float
    session_timeout_seconds: int
    allow_groups: bool
    version: int
    created_at: datetime
    updated_at: datetime


class WebhookEndpoint(Contract):
    """A customer's URL. `secret` is filled only on creation and rotation."""

    id: UUID
    url: str
    description: str | None = None
    event_types: list[str]
    headers: dict[str, str] = Field(default_factory=dict)
    enabled: bool
    disabled_reason: str | None = None
    secret: str | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class DeliveryAttempt(Contract):
    """One try to hand a delivery over."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    response_excerpt: str | None = None


class WebhookDelivery(Contract):
    """What is owed to one endpoint for one event."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = None
    last_status_code: int | None = None
    last_error: str | None = None
    created_at: datetime
    updated_at: datetime
    attempt_log: list[DeliveryAttempt] | None = None
