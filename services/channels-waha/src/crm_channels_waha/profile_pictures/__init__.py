"""Profile pictures: looked at when people write, kept as files, told of."""

from service_kit.service import Service

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.looks import Looks, Pace
from crm_channels_waha.profile_pictures import repository
from crm_channels_waha.profile_pictures.looking import Pictures
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """The task that looks at pictures, unless a setting says that nobody wants them."""
    if not settings.profile_picture_days:
        return
    pace = Pace(
        at_once=settings.media_at_once,
        interval_seconds=settings.profile_picture_interval_seconds,
        pause_seconds=settings.profile_picture_pause_seconds,
        attempts=settings.media_attempts,
    )
    max_bytes = settings.media_limits["image"]
    pictures = Pictures(service.database, connections, settings.media_store, pace, max_bytes)
    looks = Looks(service.database, "pictures", pace, repository.claim, pictures.look)
    service.background("profile-pictures", looks.run)
