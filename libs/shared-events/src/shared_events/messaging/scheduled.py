"""Messages that wait for their time."""

from typing import Literal
from uuid import UUID

from shared_events.messaging.message import Message
from shared_events.requests import Command, ListQuery, Nothing


class ListScheduledMessages(ListQuery[Message], key="messaging.message.list_scheduled"):
    """Messages that wait for their `send_at`, the next to be sent first.

    Also those that were cancelled before it (`cancelled`), and those that could not be queued when
    it came (`failed`). What was queued is among the other messages.
    """

    contact_id: UUID | None = None
    conversation_id: UUID | None = None
    channel_id: UUID | None = None
    status: Literal["scheduled", "cancelled", "failed"] = "scheduled"


class CancelScheduledMessage(Command[Nothing], key="messaging.message.cancel_scheduled"):
    """Keep a message from being sent at its time; one that is queued already is a conflict.

    One that was cancelled already stays so.
    """

    message_id: UUID
