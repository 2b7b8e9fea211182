"""The activity of the outbox workflow, and how its one workflow is started."""

import asyncio
from contextlib import suppress

from service_kit.relay import Relay
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import Worker

from crm_messaging.outbox_processor.schemas import (
    DRAIN_OUTBOX,
    OUTBOX_QUEUE,
    OUTBOX_WORKFLOW_ID,
    DrainWindow,
)
from crm_messaging.outbox_processor.workflow import OutboxProcessorWorkflow
from crm_messaging.settings import MessagingSettings
from crm_messaging.temporal import CALL_SECONDS, GRACE, IDENTITY, UNREACHABLE, Temporal


class OutboxActivities:
    """Activities that need the relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    @activity.defn(name=DRAIN_OUTBOX)
    async def drain_outbox(self, window: DrainWindow) -> int:
        """Drain every `poll_seconds` while no relay leads; returns how many events it published.

        Ends early when the worker stops, so that another one takes over at once.
        """
        drained = 0
        beat = asyncio.create_task(_beat())  # a drain may wait long for the broker
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(window.seconds), self._relay.standby() as drain:
                    while not activity.is_worker_shutdown():
                        drained += await drain() or 0
                        await _sleep(window.poll_seconds)
        finally:
            beat.cancel()
        return drained


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(5)


async def _sleep(seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()


class OutboxDriver:
    """Keeps the workflow there, should somebody have ended it."""

    def __init__(
        self, temporal: Temporal, activities: OutboxActivities, settings: MessagingSettings
    ) -> None:
        self._temporal = temporal
        self._activities = activities
        self._window = DrainWindow(
            seconds=settings.outbox_drain_window_seconds,
            poll_seconds=settings.outbox_poll_seconds,
        )
        self._every = settings.sweep_seconds

    def worker(self, client: Client) -> Worker:
        """The worker of `outbox-queue`."""
        return Worker(
            client,
            task_queue=OUTBOX_QUEUE,
            workflows=[OutboxProcessorWorkflow],
            activities=[self._activities.drain_outbox],
            max_concurrent_activities=1,
            identity=IDENTITY,
            graceful_shutdown_timeout=GRACE,
        )

    async def keep_running(self) -> None:
        """Look for the workflow now and then, for ever."""
        while True:
            await asyncio.sleep(self._every)
            if self._temporal.client is not None:
                with suppress(TimeoutError, *UNREACHABLE):
                    async with asyncio.timeout(CALL_SECONDS):
                        await self.ensure_running(self._temporal.client)

    async def ensure_running(self, client: Client) -> None:
        """Start the workflow unless it runs; raises what the client raises when it is away."""
        await client.start_workflow(
            OutboxProcessorWorkflow.run,
            self._window,
            id=OUTBOX_WORKFLOW_ID,
            task_queue=OUTBOX_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
