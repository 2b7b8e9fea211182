"""Events of channels-waha: what happened on a WhatsApp number, free of WAHA's shapes."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared_events.envelope import Contract, EventData
from shared_events.resources import Channel, ContentType, Direction, Identity


class ChannelRef(Contract):
    """What a consumer needs to know of the channel, so that it never has to ask."""

    id: UUID
    name: str
    session_timeout_seconds: int


class Person(Contract):
    """Who the message concerns: the customer in a direct chat, the participant in a group.

    `identities` are ordered strongest first (phone before LID) and never empty.
    """

    identities: list[Identity] = Field(min_length=1)
    push_name: str | None = None


class Media(Contract):
    """An attachment. `state` is `unavailable` when WAHA did not download it."""

    url: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    duration_seconds: int | None = None
    state: Literal["available", "unavailable"]


class ChannelMessageReceived(EventData):
    """A message appeared in a chat: from the customer, or typed on the company's own phone."""

    event_type: ClassVar[str] = "channel.message_received"
    aggregate_type: ClassVar[str] = "conversation"
    description: ClassVar[str] = "A message appeared in a WhatsApp chat"

    channel: ChannelRef
    chat_id: str
    is_group: bool = False
    external_id: str
    direction: Direction
    origin: Literal["customer", "phone", "api"]
    person: Person
    content_type: ContentType
    content: str | None = None
    media: Media | None = None
    reply_to_external_id: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    sent_at: datetime


class ChannelMessageSent(EventData):
    """WhatsApp took a message of ours; `external_id` is its bare WhatsApp id."""

    event_type: ClassVar[str] = "channel.message_sent"
    aggregate_type: ClassVar[str] = "conversation"
    description: ClassVar[str] = "WhatsApp accepted an outbound message"

    channel_id: UUID
    message_id: UUID
    external_id: str | None
    sent_at: datetime


class ChannelMessageFailed(EventData):
    """A message of ours will not be sent."""

    event_type: ClassVar[str] = "channel.message_failed"
    aggregate_type: ClassVar[str] = "conversation"
    description: ClassVar[str] = "An outbound message could not be sent"

    channel_id: UUID
    message_id: UUID
    code: str
    reason: str
    failed_at: datetime


class ChannelMessageStatusReported(EventData):
    """A receipt from WhatsApp. Receipts repeat, skip levels and come out of order."""

    event_type: ClassVar[str] = "channel.message_status_reported"
    aggregate_type: ClassVar[str] = "conversation"
    description: ClassVar[str] = "WhatsApp reported the state of a message"

    channel_id: UUID
    external_id: str
    from_us: bool
    status: Literal["pending", "sent", "failed", "delivered", "read", "played"]
    participant: str | None = None
    error_code: str | None = None
    occurred_at: datetime


class ChannelCreated(EventData):
    """A number was connected to the product (not necessarily paired yet)."""

    event_type: ClassVar[str] = "channel.created"
    aggregate_type: ClassVar[str] = "channel"
    description: ClassVar[str] = "A channel was created"

    channel: Channel


class ChannelUpdated(EventData):
    """Name, timeout or switches of a channel changed."""

    event_type: ClassVar[str] = "channel.updated"
    aggregate_type: ClassVar[str] = "channel"
    description: ClassVar[str] = "A channel's settings changed"

    channel: Channel


class ChannelDeleted(EventData):
    """A channel is gone; its messages stay."""

    event_type: ClassVar[str] = "channel.deleted"
    aggregate_type: ClassVar[str] = "channel"
    description: ClassVar[str] = "A channel was deleted"

    channel_id: UUID


class ChannelStatusChanged(EventData):
    """A channel's connection to WhatsApp changed; `waha_status` is WAHA's own word, an open set."""

    event_type: ClassVar[str] = "channel.status_changed"
    aggregate_type: ClassVar[str] = "channel"
    description: ClassVar[str] = "A channel's connection state changed"

    channel: Channel
    previous_status: str
    waha_status: str
