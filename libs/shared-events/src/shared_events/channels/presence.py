"""What people see of us in a chat beside messages."""

from typing import Literal
from uuid import UUID

from shared_events import bounds
from shared_events.requests import Command, Nothing

TypingState = Literal["typing", "paused"]


class ShowTyping(Command[Nothing], key="channels.presence.typing"):
    """Show in a chat that somebody types, or does no longer; it may be dropped."""

    channel_id: UUID
    chat_id: bounds.ChatId
    state: TypingState
