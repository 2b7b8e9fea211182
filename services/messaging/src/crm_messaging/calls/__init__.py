"""Calls: who rings, and what became of it."""

from service_kit.service import Service
from shared_events.channels.traffic import ChannelCallReported
from shared_events.topology import MESSAGING_CHANNEL_EVENTS

from crm_messaging.calls.consumers import on_call_reported


def add_to(service: Service) -> None:
    """What channels tell of calls."""
    queue = MESSAGING_CHANNEL_EVENTS
    service.on(queue, ChannelCallReported, on_call_reported, together=True)
