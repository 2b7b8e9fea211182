"""What was said before we listened, or while a channel was deaf: it joins its conversations."""

from service_kit.service import Service
from shared_events.channels.history import ChannelChangesRead, ChannelHistoryRead
from shared_events.topology import MESSAGING_HISTORY

from crm_messaging.history.changes import on_changes_read
from crm_messaging.history.consumers import on_history_read


def add_to(service: Service) -> None:
    """What channels read from the history of chats."""
    service.on(MESSAGING_HISTORY, ChannelHistoryRead, on_history_read, together=True)
    service.on(MESSAGING_HISTORY, ChannelChangesRead, on_changes_read, together=True)
