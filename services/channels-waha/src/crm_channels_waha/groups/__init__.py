"""Groups: what they are called is looked up when they are seen first, not only once it changes."""

from service_kit.service import Service

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.groups import repository
from crm_channels_waha.groups.looking import Subjects
from crm_channels_waha.looks import Looks, Pace
from crm_channels_waha.settings import ChannelsSettings

_AT_ONCE, _ATTEMPTS = 32, 6


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """The task that looks groups up, unless a setting says that nobody wants it."""
    if not settings.group_look_days:
        return
    pace = Pace(
        at_once=_AT_ONCE,
        interval_seconds=settings.group_look_interval_seconds,
        pause_seconds=settings.group_look_pause_seconds,
        attempts=_ATTEMPTS,
    )
    subjects = Subjects(service.database, connections, pace)
    looks = Looks(service.database, "groups", pace, repository.claim, subjects.look)
    service.background("groups", looks.run)
