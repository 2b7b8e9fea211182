"""Messages: what is said in a conversation."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary
from shared_events.requests import Command, ListQuery, Moment, Query

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


class Message(Contract):
    """One chat message. `seq` is gap-free within its conversation; `sent_at` is WhatsApp's time.

    One that was deleted for everyone has `revoked_at`; what it said is kept.
    """

    id: UUID
    contact_id: UUID
    session_id: UUID | None = None
    conversation_id: UUID | None = None
    channel_id: UUID
    external_id: bounds.ExternalId | None = None
    direction: Direction
    origin: bounds.Word
    content_type: ContentType
    content: bounds.MessageText | None = None
    media_url: bounds.Url | None = None
    media_mime_type: bounds.MimeType | None = None
    reply_to_id: UUID | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: MessageStatus
    sent_by: UUID | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None
    failed_at: datetime | None = None
    failure_reason: bounds.Reason | None = None
    revoked_at: datetime | None = None
    seq: int
    created_at: datetime
    updated_at: datetime


class SendMessage(Command[Message], key="messaging.message.send"):
    """Queue a message to a contact. Text needs `content`; media needs `media_url`.

    Answers at once with status `queued`; it never waits for WhatsApp.
    """

    contact_id: UUID
    channel_id: UUID
    content_type: Literal["text", "image", "video", "audio", "voice", "document"] = "text"
    content: Annotated[str, StringConstraints(max_length=4096)] | None = None
    media_url: Annotated[HttpUrl, Field(max_length=2048)] | None = None
    media_mime_type: str | None = Field(default=None, max_length=255)
    reply_to_id: UUID | None = None
    metadata: bounds.Document = Field(default_factory=dict)


class GetMessage(Query[Message], key="messaging.message.get"):
    """Read one message."""

    message_id: UUID


MessageSort = Literal["sent_at", "-sent_at"]


class ListMessages(ListQuery[Message], key="messaging.message.list"):
    """Find messages, in the order they were said: oldest first, or newest first (`-sent_at`).

    A message's place is decided when it is stored and never changes: WhatsApp's time, where that
    can be true, else ours. The filters by time go by it too.
    """

    session_id: UUID | None = None
    contact_id: UUID | None = None
    channel_id: UUID | None = None
    direction: Direction | None = None
    status: MessageStatus | None = None
    content_type: ContentType | None = None
    search: str | None = Field(default=None, min_length=1, max_length=200)
    sent_at_gte: Moment | None = Field(default=None, alias="sent_at[gte]")
    sent_at_lt: Moment | None = Field(default=None, alias="sent_at[lt]")
    sort: MessageSort = "sent_at"


class ListContactMessages(ListMessages, key="messaging.message.list_of_contact"):
    """The messages of one contact; an unknown contact is not found."""

    contact_id: UUID


class ListSessionMessages(ListMessages, key="messaging.message.list_of_session"):
    """The messages of one session; an unknown session is not found."""

    session_id: UUID


class MessageEvent(EventData, aggregate="session"):
    """What every message event says."""

    message: Message
    contact: ContactSummary
    session: SessionSummary
    channel: ChannelSummary


class MessageReceived(MessageEvent, type="message.received", public=True):
    """A customer's message was stored."""


class MessageQueued(MessageEvent, type="message.queued", public=True):
    """A message to a customer was accepted for sending. `to` is the WhatsApp chat id."""

    to: bounds.ChatId
    reply_to_external_id: bounds.ExternalId | None = None


class MessageSent(MessageEvent, type="message.sent", public=True):
    """WhatsApp accepted an outbound message, or one was typed on the company's phone."""


class MessageDelivered(MessageEvent, type="message.delivered", public=True):
    """An outbound message reached the customer's phone."""


class MessageRead(MessageEvent, type="message.read", public=True):
    """The customer read an outbound message."""


class MessagePlayed(MessageEvent, type="message.played", public=True):
    """The customer played an outbound voice or video message."""


class MessageFailed(MessageEvent, type="message.failed", public=True):
    """An outbound message failed; `message.failure_reason` says why."""


class MessageRevoked(MessageEvent, type="message.revoked", public=True):
    """A message was deleted for everyone; what it said is kept."""
