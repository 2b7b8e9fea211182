"""`JobWorkflow`: has a job worked on until it is done, held or ended.

One activity for many batches, so that its history stays short and holds nothing of anybody. How
far the job is stands in the database: a run that is lost is begun anew, and goes on from there.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from service_kit.jobs.schemas import ADVANCE_JOB, JobRef

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_AT_ONCE = timedelta(minutes=10)
"""Reading a large file is one activity, too."""
_SILENCE = timedelta(seconds=15)


@workflow.defn(name="JobWorkflow")
class JobWorkflow:
    """Works on one job; there is none while a job is held."""

    @workflow.run
    async def run(self, ref: JobRef) -> None:
        """Return when there is nothing more to do."""
        more = True
        while more:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(ref)
            more = await workflow.execute_activity(
                ADVANCE_JOB,
                ref,
                result_type=bool,
                start_to_close_timeout=_AT_ONCE,
                heartbeat_timeout=_SILENCE,
                retry_policy=_RETRY,
            )
