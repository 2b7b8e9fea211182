"""Channels: connected WhatsApp numbers, their settings and their state."""

from service_kit.egress import Egress
from service_kit.resealing import SealedColumn
from service_kit.service import Service
from shared_events.channels import channel

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.driving import Driving
from crm_channels_waha.channels.requests import ChannelRequests
from crm_channels_waha.channels.servers import Servers
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service,
    settings: ChannelsSettings,
    connections: Connections,
    status: StatusBook,
    egress: Egress,
) -> None:
    """What is asked about channels, and the watch over their state."""
    requests = ChannelRequests(connections, egress, is_production=settings.is_production)
    service.answer(channel.CreateChannel, requests.create)
    service.answer(channel.GetChannel, requests.get)
    service.answer(channel.GetChannels, requests.get_many)
    service.answer(channel.ListChannels, requests.list)
    service.answer(channel.UpdateChannel, requests.update)
    service.answer(channel.DeleteChannel, requests.delete)
    driving = Driving(
        service.database, connections, status, timeout=settings.waha_control_timeout_seconds
    )
    service.answer_external(channel.DriveChannel, driving.drive)
    service.answer_external(channel.GetQrCode, driving.qr_code)
    service.keeps_sealed(
        SealedColumn("channels", "waha_api_key_encrypted", connections.seal, ("channels", "status"))
    )
    servers = Servers(service.database, connections)
    service.turns_keys("webhooks at WAHA", servers.register)
    service.examines("WAHA", servers.examine)
    service.background("restrictions", lambda: status.restrictions.watch(service.database))
    service.background(
        "status", lambda: status.watch(service.database, settings.waha_degraded_after_seconds)
    )
