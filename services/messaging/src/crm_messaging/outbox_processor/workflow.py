"""`OutboxProcessorWorkflow`: drives the outbox when no relay leads.

One activity per window instead of one per event, so that its history stays short.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from crm_messaging.outbox_processor.schemas import DRAIN_OUTBOX, DrainWindow


@workflow.defn(name="OutboxProcessorWorkflow")
class OutboxProcessorWorkflow:
    """Runs one drain window after the other, forever."""

    @workflow.run
    async def run(self, window: DrainWindow) -> None:
        """Never returns; continues as new when its history grows."""
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.execute_activity(
                DRAIN_OUTBOX,
                window,
                result_type=int,
                start_to_close_timeout=timedelta(seconds=window.seconds + 30),
                heartbeat_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            )
        workflow.continue_as_new(window)
