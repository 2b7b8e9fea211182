"""What the service is made of."""

from service_kit.main import run_service
from service_kit.service import Service
from shared_events.services import CHANNELS

from crm_channels_waha import channels, inbound, outbound
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.client import make_http_client


def create_service(settings: ChannelsSettings) -> Service:
    """Compose the service; nothing is connected yet."""
    service = Service(CHANNELS, settings)
    http = make_http_client()
    connections = Connections(settings, http)
    status = StatusBook(connections)
    channels.add_to(service, settings, connections, status)
    inbound.add_to(service, settings, connections, status)
    outbound.add_to(service, settings, connections, status)
    service.on_stop(http.aclose)
    return service


def main() -> None:
    """The console script `crm-channels-waha`."""
    run_service(CHANNELS, create_service, ChannelsSettings)
