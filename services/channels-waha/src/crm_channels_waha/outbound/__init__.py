"""To WAHA: the ledger of what we owe WhatsApp, and the senders that work it off."""

from service_kit.service import Service
from shared_events import topology
from shared_events.messaging.message import MessageChangeRequested, MessageQueued

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.numbers.looking_up import Numbers
from crm_channels_waha.outbound.channel_sender import Pace
from crm_channels_waha.outbound.consumers import on_change_requested, on_message_queued
from crm_channels_waha.outbound.expiring import Expiry
from crm_channels_waha.outbound.sender import Sender
from crm_channels_waha.outbound.stalled import StallAlarm
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service,
    settings: ChannelsSettings,
    connections: Connections,
    status: StatusBook,
    numbers: Numbers,
) -> None:
    """What is queued enters the ledger; the sender works it off."""
    service.on(topology.CHANNELS_OUTBOUND, MessageQueued, on_message_queued, together=True)
    queue, requested = topology.CHANNELS_OUTBOUND, MessageChangeRequested
    service.on(queue, requested, on_change_requested, together=True)
    sender = Sender(service.database, connections, status, numbers, Pace.of(settings))
    service.background("sender", sender.run)
    alarm = StallAlarm(service.database, settings.waha_stalled_after_seconds)
    service.background("stall_alarm", alarm.run)
    service.background("expiry", Expiry(service.database).run)
