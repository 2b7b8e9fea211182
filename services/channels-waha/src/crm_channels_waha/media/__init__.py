"""Files: fetched from WAHA as messages bring them, kept, and known by an id."""

from service_kit.service import Service
from shared_events.channels import media

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.media import requests
from crm_channels_waha.media.fetching import Fetching
from crm_channels_waha.media.worker import Limits, MediaWorker
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """What is asked about files, and the worker that fetches those of messages."""
    service.answer(media.UploadMedia, requests.upload)
    service.answer(media.GetMedia, requests.get)
    service.answer(media.LocateMedia, requests.locate)
    limits = Limits(
        at_once=settings.media_at_once,
        per_server=settings.media_per_server,
        attempts=settings.media_attempts,
        retry_seconds=settings.media_retry_seconds,
        retry_max_seconds=settings.media_retry_max_seconds,
        # A link's download and, where that is dead, a new link's, with the putting away of it.
        lease_seconds=3 * settings.media_timeout_seconds + 60,
    )
    fetching = Fetching(connections, settings.media_store, settings.media_limits)
    service.background("media", MediaWorker(service.database, fetching, limits).run)
