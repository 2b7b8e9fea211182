"""The event that tells of a message's status."""

from dataclasses import dataclass

from shared_events.messaging.message import (
    Message,
    MessageDelivered,
    MessageEvent,
    MessageFailed,
    MessagePlayed,
    MessageRead,
    MessageReceived,
    MessageSent,
    MessageStatus,
)
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

_EVENTS: dict[MessageStatus, type[MessageEvent]] = {
    "received": MessageReceived,
    "sent": MessageSent,
    "delivered": MessageDelivered,
    "read": MessageRead,
    "played": MessagePlayed,
    "failed": MessageFailed,
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a message was said: what its events show beside it."""

    contact: ContactSummary
    session: SessionSummary
    channel: ChannelSummary


def telling(message: Message, conversation: Conversation) -> MessageEvent:
    """The event for the status the message has just got."""
    return _EVENTS[message.status](
        message=message,
        contact=conversation.contact,
        session=conversation.session,
        channel=conversation.channel,
    )
