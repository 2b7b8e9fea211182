"""Whether channels hear: what they heard, who is deaf, and what is done about it."""

from functools import partial

from service_kit.service import Service
from shared_events import topology
from shared_events.channels.channel import GetChannelHealth

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.hearing.repository import Patience
from crm_channels_waha.liveness.ears import listening
from crm_channels_waha.liveness.requests import get_health
from crm_channels_waha.liveness.watch import Watch
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service, settings: ChannelsSettings, connections: Connections, status: StatusBook
) -> None:
    """The watch, and what is asked about a channel's health."""
    patience = Patience(
        settings.waha_quiet_seconds,
        settings.waha_quiet_max_seconds,
        settings.waha_deaf_grace_seconds,
        settings.waha_repair_seconds,
        settings.waha_repair_max_seconds,
    )
    queues = [
        queue.name
        for waha_events in (topology.WAHA_MESSAGES, topology.WAHA_NOTICES)
        for queue in waha_events.partitions(settings.bus_partitions)
    ]

    watch = Watch(
        service.database,
        connections,
        status,
        patience,
        settings.history_settle,
        partial(listening, service, queues),
    )
    service.background("liveness", watch.run)
    service.answer(GetChannelHealth, get_health)
