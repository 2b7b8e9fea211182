"""The worker of `channels-history`: the one activity behind every import's workflow."""

import asyncio

from service_kit.temporal import GRACE
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from crm_channels_waha.history.runner import WINDOW_SECONDS, Runner
from crm_channels_waha.history.schemas import ADVANCE_HISTORY, TASK_QUEUE, ImportRef
from crm_channels_waha.history.workflow import HistoryImportWorkflow

_AT_ONCE = 2
"""Imports a process works on: live traffic comes first."""
_BEAT_SECONDS = 3.0


class HistoryActivities:
    """Activities of a process."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def worker(self, client: Client) -> Worker:
        """The worker for workflows and activities."""
        return Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[HistoryImportWorkflow],
            activities=[self.advance_history],
            max_cached_workflows=_AT_ONCE,
            max_concurrent_activities=_AT_ONCE,
            graceful_shutdown_timeout=GRACE,
        )

    @activity.defn(name=ADVANCE_HISTORY)
    async def advance_history(self, ref: ImportRef) -> bool:
        """Work on an import for a while; whether there is more to do. Ends with the worker."""
        beat = asyncio.create_task(_beat())  # WAHA may take long for a page
        try:
            return await self._runner.advance(ref, WINDOW_SECONDS, activity.is_worker_shutdown)
        finally:
            beat.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)
