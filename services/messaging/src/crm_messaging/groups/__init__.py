"""Groups: what they are called, and who is in them."""

from service_kit.service import Service
from shared_events.channels.group import ChannelGroupReported
from shared_events.messaging.conversation import ListParticipants
from shared_events.topology import MESSAGING_CHANNEL_EVENTS

from crm_messaging.groups import consumers, requests


def add_to(service: Service) -> None:
    """What is asked about groups, and what channels tell of them."""
    service.answer(ListParticipants, requests.list_participants)
    reported = ChannelGroupReported
    service.on(MESSAGING_CHANNEL_EVENTS, reported, consumers.on_group_reported, together=True)
