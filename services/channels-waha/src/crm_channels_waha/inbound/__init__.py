"""From WAHA: raw events become domain events, or are kept."""

from functools import partial

from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events import topology
from shared_events.channels import raw_event

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.inbound.consumers import WahaInbox
from crm_channels_waha.inbound.events import read_waha_event
from crm_channels_waha.inbound.lids import LidLookup
from crm_channels_waha.inbound.raw_events import RawEventRequests
from crm_channels_waha.inbound.retention import purge_raw_events
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service, settings: ChannelsSettings, connections: Connections, status: StatusBook
) -> None:
    """Both queues of WAHA's events, the look-up of hidden ids, what is kept raw and its end."""
    inbox = WahaInbox(status, settings.profile_picture_days, settings.group_look_days)
    for queue in (topology.WAHA_MESSAGES, topology.WAHA_NOTICES):
        service.consume(queue, read_waha_event, inbox.on_events, together=True)
    requests = RawEventRequests(inbox)
    service.answer(raw_event.ListRawEvents, requests.list)
    service.answer(raw_event.GetRawEvent, requests.get)
    service.answer(raw_event.ReplayRawEvent, requests.replay)
    service.answer(raw_event.ReplayRawEvents, requests.replay_range)
    service.background("lids", LidLookup(service.database, connections).run)
    service.background(
        "raw-events",
        partial(
            purge_forever,
            service.database,
            "purge",
            partial(purge_raw_events, days=settings.raw_event_retention_days),
            every_seconds=3600,
        ),
    )
