"""What the service is made of."""

import asyncio
from functools import partial

from service_kit.main import run_service
from service_kit.service import Service
from shared_events import topology
from shared_events.messaging import MessageQueued
from shared_events.requests.channels import (
    CreateChannel,
    DeleteChannel,
    DriveChannel,
    GetChannel,
    GetQrCode,
    ListChannels,
    UpdateChannel,
)

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.driving import Driving
from crm_channels_waha.channels.requests import ChannelRequests
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.inbound.consumers import WahaInbox, waha_events
from crm_channels_waha.inbound.lids import LidLookup
from crm_channels_waha.inbound.retention import purge_raw_events
from crm_channels_waha.outbound.channel_sender import Pace
from crm_channels_waha.outbound.consumers import on_message_queued
from crm_channels_waha.outbound.sender import Sender
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.tables import SCHEMA
from crm_channels_waha.waha.client import make_http_client

PACKAGE = "crm_channels_waha"
_STATUS_CHECK_SECONDS = 5.0


def create_service(settings: ChannelsSettings) -> Service:
    """Compose the service; nothing is connected yet."""
    service = Service("channels-waha", settings, package=PACKAGE, schema=SCHEMA)
    database = service.database
    http = make_http_client()
    connections = Connections(settings, http)
    status = StatusBook(connections)

    requests = ChannelRequests(connections, is_production=settings.is_production)
    driving = Driving(database, connections, status, timeout=settings.waha_control_timeout_seconds)
    service.answer(
        "channels",
        {
            CreateChannel: requests.create,
            GetChannel: requests.get,
            ListChannels: requests.list,
            UpdateChannel: requests.update,
            DeleteChannel: requests.delete,
        },
        external={DriveChannel: driving.drive, GetQrCode: driving.qr_code},
    )

    from_waha = waha_events(WahaInbox(status).on_events)
    service.consume(topology.WAHA_MESSAGES, from_waha)
    service.consume(topology.WAHA_NOTICES, from_waha)
    service.background("lids", LidLookup(database, connections).run)
    service.background(
        "raw-events", partial(purge_raw_events, database, settings.raw_event_retention_days)
    )

    service.consume(topology.CHANNELS_OUTBOUND, {MessageQueued: on_message_queued})
    sender = Sender(database, connections, status, _pace(settings))
    service.background("sender", sender.run)

    async def watch_status() -> None:
        while True:
            await status.degrade_stuck(database, settings.waha_degraded_after_seconds)
            await asyncio.sleep(_STATUS_CHECK_SECONDS)

    service.background("status", watch_status)
    service.on_stop(http.aclose)
    return service


def _pace(settings: ChannelsSettings) -> Pace:
    return Pace(
        interval=settings.send_interval_seconds,
        unknown_wait=settings.waha_unknown_wait_seconds,
        retry=settings.waha_retry_seconds,
        retry_max=settings.waha_retry_max_seconds,
        give_up=settings.waha_give_up_seconds,
        stop_grace=settings.waha_stop_grace_seconds,
    )


def main() -> None:
    """The console script `crm-channels-waha`."""
    run_service(create_service, ChannelsSettings, package=PACKAGE, schema=SCHEMA)
