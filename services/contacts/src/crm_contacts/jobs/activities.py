"""The worker of `contacts-jobs`: the one activity behind every job's workflow."""

import asyncio

from service_kit.temporal import GRACE
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from crm_contacts.jobs.runner import WINDOW_SECONDS, Runner
from crm_contacts.jobs.schemas import ADVANCE_JOB, TASK_QUEUE, JobRef
from crm_contacts.jobs.workflow import JobWorkflow

_AT_ONCE = 2
"""Jobs a process works on: whatever waits for an answer needs connections, too."""
_BEAT_SECONDS = 3.0


class JobActivities:
    """Activities of a process."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def worker(self, client: Client) -> Worker:
        """The worker for workflows and activities."""
        return Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[JobWorkflow],
            activities=[self.advance_job],
            max_cached_workflows=_AT_ONCE,
            max_concurrent_activities=_AT_ONCE,
            graceful_shutdown_timeout=GRACE,
        )

    @activity.defn(name=ADVANCE_JOB)
    async def advance_job(self, ref: JobRef) -> bool:
        """Work on a job for a while; whether there is more to do. Ends early with the worker."""
        beat = asyncio.create_task(_beat())  # a batch may wait long for a lock
        try:
            return await self._runner.advance(ref, WINDOW_SECONDS, activity.is_worker_shutdown)
        finally:
            beat.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)
