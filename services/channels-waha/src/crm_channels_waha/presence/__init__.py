"""What people see of us in a chat beside messages: that they were read, that somebody types."""

from service_kit.service import Service
from shared_events import topology
from shared_events.channels.presence import ShowTyping
from shared_events.messaging.conversation import ConversationRead

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.presence.seeing import Seeing
from crm_channels_waha.presence.typing_signs import TypingSigns
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """What was read is shown behind the event; typing while it is asked for."""
    seeing = Seeing(service.database, connections)
    queue = topology.CHANNELS_OUTBOUND
    service.on(queue, ConversationRead, seeing.on_conversation_read, together=True)
    service.background("seen", seeing.run)
    signs = TypingSigns(service.database, connections, settings.typing_interval_seconds)
    service.answer_external(ShowTyping, signs.show)
