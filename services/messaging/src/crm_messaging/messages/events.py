"""The event that tells of a step a message took."""

from dataclasses import dataclass

from shared_events.messaging.message import (
    Message,
    MessageDelivered,
    MessageEvent,
    MessageFailed,
    MessagePlayed,
    MessageRead,
    MessageReceived,
    MessageRevoked,
    MessageSent,
)
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

from crm_messaging.messages.receipts import Step

_EVENTS: dict[Step, type[MessageEvent]] = {
    "received": MessageReceived,
    "sent": MessageSent,
    "delivered": MessageDelivered,
    "read": MessageRead,
    "played": MessagePlayed,
    "failed": MessageFailed,
    "revoked": MessageRevoked,
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a message was said: what its events show beside it."""

    contact: ContactSummary
    session: SessionSummary
    channel: ChannelSummary


def telling(message: Message, step: Step, conversation: Conversation) -> MessageEvent:
    """The event for the step the message has just taken."""
    return _EVENTS[step](
        message=message,
        contact=conversation.contact,
        session=conversation.session,
        channel=conversation.channel,
    )
