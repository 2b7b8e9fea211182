"""Groups: what they are called is looked up when they are seen first, not only once it changes."""

from service_kit.service import Service

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.groups.looking import GroupLooks, Pace
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """The task that looks groups up, unless a setting says that nobody wants it."""
    if not settings.group_look_days:
        return
    pace = Pace(settings.group_look_interval_seconds, settings.group_look_pause_seconds)
    service.background("groups", GroupLooks(service.database, connections, pace).run)
