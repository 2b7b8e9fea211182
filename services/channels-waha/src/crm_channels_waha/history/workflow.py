"""`HistoryImportWorkflow`: has an import of history worked on until it is done, held or ended.

One activity for many pages, so that its history stays short and holds nothing of anybody. How far
the import is stands in the database: a run that is lost is begun anew, and goes on from there.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from crm_channels_waha.history.schemas import ADVANCE_HISTORY, ImportRef

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_AT_ONCE = timedelta(minutes=5)
_SILENCE = timedelta(seconds=15)


@workflow.defn(name="HistoryImportWorkflow")
class HistoryImportWorkflow:
    """Works on one import; there is none while it is held."""

    @workflow.run
    async def run(self, ref: ImportRef) -> None:
        """Return when there is nothing more to do."""
        more = True
        while more:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(ref)
            more = await workflow.execute_activity(
                ADVANCE_HISTORY,
                ref,
                result_type=bool,
                start_to_close_timeout=_AT_ONCE,
                heartbeat_timeout=_SILENCE,
                retry_policy=_RETRY,
            )
