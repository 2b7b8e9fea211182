"""What was said before we listened, or while a channel was deaf: it joins its conversations."""

from service_kit.service import Service
from shared_events.channels.history import ChannelHistoryRead
from shared_events.topology import MESSAGING_HISTORY

from crm_messaging.history.consumers import on_history_read


def add_to(service: Service) -> None:
    """What channels read from the history of chats."""
    service.on(MESSAGING_HISTORY, ChannelHistoryRead, on_history_read, together=True)
