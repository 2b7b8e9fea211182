"""Imports of history: what was said on a number before, read from WAHA behind the request."""

from service_kit.jobs.dispatch import see_to
from service_kit.service import Service
from shared_events.channels.history import (
    CreateHistoryImport,
    DriveHistoryImport,
    GetHistoryImport,
)

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.history import repository
from crm_channels_waha.history.requests import HistoryRequests
from crm_channels_waha.history.runner import Runner
from crm_channels_waha.settings import ChannelsSettings


def add_to(service: Service, settings: ChannelsSettings, connections: Connections) -> None:
    """What is asked about imports of history, and whoever works on them."""
    runner = Runner(service.database, connections, settings.group_look_days)
    dispatch = see_to(service, "history", repository.IMPORTS.due, runner.advance)
    requests = HistoryRequests(dispatch.wake, settings.history_settle)
    service.answer(CreateHistoryImport, requests.create)
    service.answer(GetHistoryImport, requests.get)
    service.answer(DriveHistoryImport, requests.drive)
