"""Numbers: whether they are on WhatsApp, and how WhatsApp writes them."""

from functools import partial

from service_kit.purging import purge_forever
from service_kit.service import Service
from shared_events.channels.number import CheckNumbers

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.numbers import repository
from crm_channels_waha.numbers.looking_up import Numbers
from crm_channels_waha.numbers.requests import NumberRequests
from crm_channels_waha.settings import ChannelsSettings


def add_to(
    service: Service, settings: ChannelsSettings, connections: Connections, numbers: Numbers
) -> None:
    """What is asked about numbers, and the end of what was found out."""
    requests = NumberRequests(
        service.database,
        connections,
        numbers,
        per_day=settings.number_checks_per_day,
        timeout=settings.waha_control_timeout_seconds,
    )
    service.answer_external(CheckNumbers, requests.check)
    longest = max(numbers.freshness.there, numbers.freshness.missing)
    purge = partial(repository.purge, seconds=longest)
    service.background(
        "number-checks",
        partial(purge_forever, service.database, "purge", purge, every_seconds=3600),
    )
