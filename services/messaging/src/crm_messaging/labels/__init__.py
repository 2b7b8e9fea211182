"""Labels of WhatsApp Business on chats."""

from service_kit.service import Service
from shared_events.channels.label import ChannelChatLabelled, ChannelLabelChanged
from shared_events.topology import MESSAGING_CHANNEL_EVENTS, MESSAGING_REPLICAS

from crm_messaging.labels import consumers


def add_to(service: Service) -> None:
    """What channels tell of labels, and of chats that have them."""
    changed, labelled = consumers.on_label_changed, consumers.on_chat_labelled
    service.on(MESSAGING_REPLICAS, ChannelLabelChanged, changed, together=True)
    service.on(MESSAGING_CHANNEL_EVENTS, ChannelChatLabelled, labelled, together=True)
