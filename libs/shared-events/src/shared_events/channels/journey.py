"""Journeys of messages, as far as channels-waha has them in hand."""

from shared_events.journeys import Legs, MessageIds
from shared_events.requests import Query


class ListChannelLegs(Query[Legs], key="channels.leg.list"):
    """What became of messages that we owe WhatsApp."""

    message_ids: MessageIds
