"""Imports of history: what was said on a number before, read from WAHA behind the request.

Temporal's sandbox imports this package for the workflow alone, so the door imports what it needs
only when it is opened.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service_kit.service import Service

    from crm_channels_waha.channels.connection import Connections
    from crm_channels_waha.settings import ChannelsSettings


def add_to(service: "Service", settings: "ChannelsSettings", connections: "Connections") -> None:
    """What is asked about imports of history, and whoever works on them."""
    from shared_events.channels import history

    from crm_channels_waha.history.dispatch import Dispatch, starter
    from crm_channels_waha.history.requests import HistoryRequests
    from crm_channels_waha.history.runner import Runner

    runner = Runner(service.database, connections)
    start = None
    if service.temporal is not None:
        from crm_channels_waha.history.activities import HistoryActivities

        start = starter(service.temporal)
        service.temporal.worker(HistoryActivities(runner).worker)
    dispatch = Dispatch(service.database, runner, start)
    service.background("history", dispatch.run)
    requests = HistoryRequests(dispatch.wake, settings.history_settle)
    service.answer(history.CreateHistoryImport, requests.create)
    service.answer(history.GetHistoryImport, requests.get)
    service.answer(history.DriveHistoryImport, requests.drive)
