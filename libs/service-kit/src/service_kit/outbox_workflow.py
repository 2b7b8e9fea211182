"""`OutboxProcessorWorkflow`: drives a service's outbox when no relay leads.

One activity per window instead of one per event, so that its history stays short and holds no
event. Temporal's sandbox imports this module for each run, so it imports nothing of ours.
"""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import workflow
from temporalio.common import RetryPolicy

DRAIN_OUTBOX = "drain_outbox"


class OutboxProcessorInput(BaseModel):
    """How the outbox is drained, all through a run's life.

    So many events at once, so long between two looks; an event that no queue takes is tried so
    often, so far apart at most. `window` is how long one activity drains.
    """

    model_config = ConfigDict(frozen=True)

    batch_size: int = 100
    poll_interval: timedelta = timedelta(seconds=1)
    max_retries: int = 5
    retry_backoff: timedelta = timedelta(seconds=30)
    window: timedelta = timedelta(seconds=60)


def workflow_id(service: str) -> str:
    """The one outbox workflow of a service."""
    return f"outbox-processor-{service}"


def task_queue(service: str) -> str:
    """Where its work waits: a queue of its own, since only this service may touch its outbox."""
    return f"outbox-queue-{service}"


@workflow.defn(name="OutboxProcessorWorkflow")
class OutboxProcessorWorkflow:
    """Runs one drain window after the other, for ever."""

    @workflow.run
    async def run(self, how: OutboxProcessorInput) -> None:
        """Never returns; continues as new when its history grows."""
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.execute_activity(
                DRAIN_OUTBOX,
                how,
                result_type=int,
                start_to_close_timeout=how.window + timedelta(seconds=30),
                heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            )
        workflow.continue_as_new(how)
