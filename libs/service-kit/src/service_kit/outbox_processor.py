"""The work behind a service's `OutboxProcessorWorkflow`, and keeping that workflow there."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import Worker

from service_kit.outbox_workflow import (
    DRAIN_OUTBOX,
    OutboxProcessorInput,
    OutboxProcessorWorkflow,
    task_queue,
    workflow_id,
)
from service_kit.relay import Relay, RelayOptions
from service_kit.settings import ServiceSettings
from service_kit.temporal import CALL_SECONDS, GRACE, UNREACHABLE

_LOOK_SECONDS = 10.0
"""Between two looks whether somebody ended the workflow."""
_BEAT_SECONDS = 5.0


def configured(settings: ServiceSettings) -> OutboxProcessorInput:
    """The workflow's input as these settings have it."""
    return OutboxProcessorInput(
        batch_size=settings.outbox_batch_size,
        poll_interval=timedelta(seconds=settings.outbox_poll_seconds),
        max_retries=settings.outbox_max_retries,
        retry_backoff=timedelta(seconds=settings.outbox_retry_backoff_seconds),
        window=timedelta(seconds=settings.outbox_drain_window_seconds),
    )


class OutboxProcessor:
    """Of one service: its worker, which drains this relay's outbox and no other."""

    def __init__(self, service: str, relay: Relay, how: OutboxProcessorInput) -> None:
        self._service = service
        self._relay = relay
        self._how = how

    def worker(self, client: Client) -> Worker:
        """The worker of the service's own queue; it runs one window at a time."""
        return Worker(
            client,
            task_queue=task_queue(self._service),
            workflows=[OutboxProcessorWorkflow],
            activities=[self.drain_outbox],
            max_cached_workflows=1,
            max_concurrent_activities=1,
            graceful_shutdown_timeout=GRACE,
        )

    async def keep(self, client: Client) -> None:
        """Begin the workflow, then see that it stays, for ever; raises when it cannot begin.

        A run of earlier is ended first: it would go on as the settings and queue of its day had
        it. It holds nothing but its input, so nothing is lost with it.
        """
        await self._start(client, WorkflowIDConflictPolicy.TERMINATE_EXISTING)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(TimeoutError, *UNREACHABLE):
                async with asyncio.timeout(CALL_SECONDS):
                    await self._start(client, WorkflowIDConflictPolicy.USE_EXISTING)

    async def _start(self, client: Client, if_it_runs: WorkflowIDConflictPolicy) -> None:
        await client.start_workflow(
            OutboxProcessorWorkflow.run,
            self._how,
            id=workflow_id(self._service),
            task_queue=task_queue(self._service),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=if_it_runs,
        )

    @activity.defn(name=DRAIN_OUTBOX)
    async def drain_outbox(self, how: OutboxProcessorInput) -> int:
        """Drain for a window while no relay leads; returns how many events it published.

        All of it on one connection. Ends early when the worker stops, so that another one takes
        over at once.
        """
        options = RelayOptions(
            how.batch_size,
            how.poll_interval.total_seconds(),
            how.max_retries,
            how.retry_backoff.total_seconds(),
        )
        drained = 0
        beat = asyncio.create_task(_beat())  # a drain may wait long for the broker
        try:
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(how.window.total_seconds()),
                    self._relay.standby(options) as drain,
                ):
                    while not activity.is_worker_shutdown():
                        drained += await drain() or 0
                        await _sleep(options.poll_seconds)
        finally:
            beat.cancel()
        return drained


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)


async def _sleep(seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()
