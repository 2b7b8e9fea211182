"""From WAHA: raw events become domain events, or are kept."""

from functools import partial

from service_kit.service import Service
from shared_events import topology

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.inbound.consumers import WahaInbox, read_waha_event
from crm_channels_waha.inbound.lids import LidLookup
from crm_channels_waha.inbound.retention import purge_raw_events
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service, settings: ChannelsSettings, connections: Connections, status: StatusBook
) -> None:
    """Both queues of WAHA's events, the look-up of hidden ids, the end of what is kept raw."""
    inbox = WahaInbox(status)
    for queue in (topology.WAHA_MESSAGES, topology.WAHA_NOTICES):
        service.consume(queue, read_waha_event, inbox.on_events, together=True)
    service.background("lids", LidLookup(service.database, connections).run)
    service.background(
        "raw-events",
        partial(purge_raw_events, service.database, settings.raw_event_retention_days),
    )
