"""What may be shown in a conversation beside messages."""

from uuid import UUID

from shared_events.channels.presence import TypingState
from shared_events.requests import Command, Nothing


class ShowTypingIn(Command[Nothing], key="gateway.presence.typing"):
    """Show in a conversation that somebody types, or does no longer (`paused`).

    Said again every few seconds while it is so, for WhatsApp ends it by itself. What comes more
    often is dropped, and so is what WhatsApp cannot be shown now: it answers 204 all the same.
    """

    conversation_id: UUID
    state: TypingState
