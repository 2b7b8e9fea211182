"""What the service is made of."""

from service_kit.egress import Egress
from service_kit.main import run_service
from service_kit.service import Service
from shared_events.services import CHANNELS

from crm_channels_waha import (
    channels,
    erasures,
    groups,
    history,
    inbound,
    journeys,
    labels,
    liveness,
    media,
    numbers,
    outbound,
    presence,
    profile_pictures,
)
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.status import StatusBook
from crm_channels_waha.numbers.freshness import Freshness
from crm_channels_waha.numbers.looking_up import Numbers
from crm_channels_waha.outbound.distrusting import DISTRUST
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp


def create_service(settings: ChannelsSettings) -> Service:
    """Compose the service; nothing is connected yet."""
    service = Service(CHANNELS, settings)
    egress = Egress.by_setting(settings.waha_allowed_networks, is_production=settings.is_production)
    http = WahaHttp(egress)
    connections = Connections(settings, http)
    status = StatusBook(connections)
    channels.add_to(service, settings, connections, status, egress)
    inbound.add_to(service, settings, connections, status)
    known = Numbers(service.database, Freshness.of(settings))
    numbers.add_to(service, settings, connections, known)
    outbound.add_to(service, settings, connections, status, known)
    presence.add_to(service, settings, connections)
    media.add_to(service, settings, connections)
    profile_pictures.add_to(service, settings, connections)
    groups.add_to(service, settings, connections)
    labels.add_to(service, connections)
    journeys.add_to(service)
    history.add_to(service, settings, connections)
    liveness.add_to(service, settings, connections, status)
    erasures.add_to(service, settings.media_store)
    service.examines("media store", settings.media_store.examine)
    service.on_stop(http.aclose)
    return service


def main() -> None:
    """The console script `crm-channels-waha`."""
    run_service(CHANNELS, create_service, ChannelsSettings, [DISTRUST])
