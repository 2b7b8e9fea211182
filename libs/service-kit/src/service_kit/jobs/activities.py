"""The worker of a service's jobs: the one activity behind every job's workflow."""

import asyncio

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from service_kit.jobs.dispatch import Advance
from service_kit.jobs.schemas import ADVANCE_JOB, JobRef
from service_kit.jobs.workflow import JobWorkflow
from service_kit.temporal import GRACE

_AT_ONCE = 2
"""Jobs a process works on: whatever waits for an answer needs connections, too."""
_WINDOW_SECONDS = 20.0
"""How long a job is worked on at a time."""
_BEAT_SECONDS = 3.0


class JobActivities:
    """Activities of a process."""

    def __init__(self, task_queue: str, advance: Advance) -> None:
        self._task_queue = task_queue
        self._advance = advance

    def worker(self, client: Client) -> Worker:
        """The worker for workflows and activities."""
        return Worker(
            client,
            task_queue=self._task_queue,
            workflows=[JobWorkflow],
            activities=[self.advance_job],
            max_cached_workflows=_AT_ONCE,
            max_concurrent_activities=_AT_ONCE,
            graceful_shutdown_timeout=GRACE,
        )

    @activity.defn(name=ADVANCE_JOB)
    async def advance_job(self, ref: JobRef) -> bool:
        """Work on a job for a while; whether there is more to do. Ends early with the worker."""
        beat = asyncio.create_task(_beat())  # a batch may wait long, for a lock or for others
        try:
            return await self._advance(ref, _WINDOW_SECONDS, activity.is_worker_shutdown)
        finally:
            beat.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)
