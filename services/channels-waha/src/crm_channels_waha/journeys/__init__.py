"""Where messages are that we owe WhatsApp."""

from service_kit.service import Service
from shared_events.channels.journey import ListChannelLegs

from crm_channels_waha.journeys.requests import list_legs


def add_to(service: Service) -> None:
    """What is asked about the ways of messages."""
    service.answer(ListChannelLegs, list_legs)
