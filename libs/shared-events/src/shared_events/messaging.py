"""Events of messaging: sessions and messages."""

from typing import ClassVar
from uuid import UUID

from shared_events.envelope import Contract, EventData
from shared_events.resources import Message, Session, SessionStatus


class ContactSummary(Contract):
    """The contact as a webhook receiver wants to show it."""

    id: UUID
    name: str
    phone: str | None = None


class SessionSummary(Contract):
    """The conversation a message belongs to."""

    id: UUID
    status: SessionStatus


class ChannelSummary(Contract):
    """The number a message came through."""

    id: UUID
    name: str


class MessageEvent(EventData):
    """What every message event says."""

    aggregate_type: ClassVar[str] = "session"

    message: Message
    contact: ContactSummary
    session: SessionSummary
    channel: ChannelSummary


class MessageReceived(MessageEvent):
    """A customer wrote."""

    event_type: ClassVar[str] = "message.received"
    description: ClassVar[str] = "A customer's message was stored"


class MessageQueued(MessageEvent):
    """An agent wrote; the channel will send it. `to` is the WhatsApp chat id."""

    event_type: ClassVar[str] = "message.queued"
    description: ClassVar[str] = "A message to a customer was accepted for sending"

    to: str
    reply_to_external_id: str | None = None


class MessageSent(MessageEvent):
    """WhatsApp took an outbound message, or one was typed on the company's phone."""

    event_type: ClassVar[str] = "message.sent"
    description: ClassVar[str] = "WhatsApp accepted an outbound message"


class MessageDelivered(MessageEvent):
    """The customer's phone has the message."""

    event_type: ClassVar[str] = "message.delivered"
    description: ClassVar[str] = "An outbound message reached the customer's phone"


class MessageRead(MessageEvent):
    """The customer opened the message."""

    event_type: ClassVar[str] = "message.read"
    description: ClassVar[str] = "The customer read an outbound message"


class MessagePlayed(MessageEvent):
    """The customer played a voice note or video."""

    event_type: ClassVar[str] = "message.played"
    description: ClassVar[str] = "The customer played an outbound voice or video message"


class MessageFailed(MessageEvent):
    """An outbound message failed; `message.failure_reason` says why."""

    event_type: ClassVar[str] = "message.failed"
    description: ClassVar[str] = "An outbound message failed"


class SessionEvent(EventData):
    """What every session event says."""

    aggregate_type: ClassVar[str] = "session"

    session: Session
    contact: ContactSummary
    channel: ChannelSummary


class SessionStarted(SessionEvent):
    """The first message opened a conversation."""

    event_type: ClassVar[str] = "session.started"
    description: ClassVar[str] = "A conversation started"


class SessionAssigned(SessionEvent):
    """The conversation has another agent, or none."""

    event_type: ClassVar[str] = "session.assigned"
    description: ClassVar[str] = "A conversation was assigned"

    previous_agent_id: UUID | None = None


class SessionClosed(SessionEvent):
    """Somebody ended the conversation. Exactly one terminal event per session."""

    event_type: ClassVar[str] = "session.closed"
    description: ClassVar[str] = "A conversation was closed"


class SessionExpired(SessionEvent):
    """Silence ended the conversation. Exactly one terminal event per session."""

    event_type: ClassVar[str] = "session.expired"
    description: ClassVar[str] = "A conversation expired after silence"
