"""Showing people that they were read, where a channel does so (docs/waha.md, "Seen and typing").

What is lost the next reading shows too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.messaging.conversation import ConversationRead

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.presence.fleeting import Fleeting
from crm_channels_waha.waha.client import Waha

_FRESH = timedelta(minutes=5)


class Seeing:
    """Shows what is read in the inbox; `chats` does it."""

    def __init__(self, database: Database, connections: Connections) -> None:
        self.chats = Fleeting[str](
            database, connections, is_wanted=lambda channel: channel.send_seen, do=Waha.send_seen
        )

    async def on_conversation_read(
        self, tx: Transaction, events: Sequence[Event[ConversationRead]]
    ) -> None:
        """Take those that were read just now."""
        del tx
        since = datetime.now(UTC) - _FRESH
        for event in events:
            if event.data.chat_id is not None and event.body.occurred_at >= since:
                self.chats.add((event.tenant_id, event.data.channel_id), event.data.chat_id)
