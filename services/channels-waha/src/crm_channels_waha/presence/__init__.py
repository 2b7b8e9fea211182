"""What people see of us beside messages: that they were read, typing, that we take no calls."""

from service_kit.service import Service
from shared_events import topology
from shared_events.channels.presence import ShowTyping
from shared_events.channels.traffic import ChannelCallReported
from shared_events.messaging.conversation import ConversationRead

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.presence.rejecting import Rejecting
from crm_channels_waha.presence.seeing import Seeing
from crm_channels_waha.presence.typing_signs import TypingSigns
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """What was read or rings is seen to behind the event; typing while it is asked for."""
    queue = topology.CHANNELS_OUTBOUND
    seeing = Seeing(service.database, connections)
    service.on(queue, ConversationRead, seeing.on_conversation_read, together=True)
    service.background("seen", seeing.chats.run)
    rejecting = Rejecting(service.database, connections)
    service.on(queue, ChannelCallReported, rejecting.on_call_reported, together=True)
    service.background("calls", rejecting.calls.run)
    signs = TypingSigns(service.database, connections, settings.typing_interval_seconds)
    service.answer_external(ShowTyping, signs.show)
