"""The activity of the outbox workflow, and how its one workflow is started."""

import asyncio
from contextlib import suppress

from service_kit.relay import Relay
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from crm_messaging.outbox_processor.schemas import (
    DRAIN_OUTBOX,
    OUTBOX_QUEUE,
    OUTBOX_WORKFLOW_ID,
    DrainWindow,
)
from crm_messaging.outbox_processor.workflow import OutboxProcessorWorkflow


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
        with suppress(TimeoutError):
            async with asyncio.timeout(window.seconds):
                while not activity.is_worker_shutdown():
                    drained += await self._relay.drain_while_leader_is_away() or 0
                    await _sleep(window.poll_seconds)
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


async def ensure_running(client: Client, window: DrainWindow) -> None:
    """Start the workflow unless it runs; raises what the client raises when Temporal is away."""
    await client.start_workflow(
        OutboxProcessorWorkflow.run,
        window,
        id=OUTBOX_WORKFLOW_ID,
        task_queue=OUTBOX_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
