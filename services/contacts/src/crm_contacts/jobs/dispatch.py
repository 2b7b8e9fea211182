"""Seeing to it that jobs are worked on: a workflow for each, or the process itself.

Nobody who asks for a job waits for Temporal. A job that was lost on the way, or whose workflow
stands still, is found again when it is due.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from service_kit.database import Database

from crm_contacts.jobs import repository
from crm_contacts.jobs.runner import Runner
from crm_contacts.jobs.schemas import TASK_QUEUE, JobRef, workflow_id

if TYPE_CHECKING:
    from service_kit.temporal import Temporal

LOOK_SECONDS = 5.0
_TURN_SECONDS = 2.0
_PURGE_EVERY_SECONDS = 600.0

Start = Callable[[JobRef], Awaitable[bool]]
"""Starts the workflow of a job; whether it has one now."""


class Dispatch:
    """Finds jobs that are due, and has them worked on."""

    def __init__(self, database: Database, runner: Runner, start: Start | None) -> None:
        self._database = database
        self._runner = runner
        self._start = start
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """There is a job to look after now."""
        self._asked.set()

    async def run(self) -> None:
        """Look after jobs, for ever."""
        ours: list[JobRef] = []
        while True:
            self._asked.clear()
            async with self._database.system("jobs") as tx:
                due = await repository.due(tx)
            for ref in due:
                if ref not in ours and not await self._started(ref):
                    ours.append(ref)
            # Without Temporal they take turns here.
            ours = [ref for ref in ours if await self._runner.advance(ref, _TURN_SECONDS)]
            if not ours:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._asked.wait()

    async def _started(self, ref: JobRef) -> bool:
        return self._start is not None and await self._start(ref)

    async def purge(self) -> None:
        """Remove what was kept of jobs and their files for long enough, for ever."""
        while True:
            more = True
            while more:
                async with self._database.system("jobs") as tx:
                    more = await repository.purge(tx)
            await asyncio.sleep(_PURGE_EVERY_SECONDS)


def starter(temporal: "Temporal") -> Start:
    """Starts workflows while Temporal is there."""
    from service_kit.temporal import CALL_SECONDS, UNREACHABLE
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

    from crm_contacts.jobs.workflow import JobWorkflow

    async def start(ref: JobRef) -> bool:
        if temporal.client is None:
            return False
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await temporal.client.start_workflow(
                    JobWorkflow.run,
                    ref,
                    id=workflow_id(ref),
                    task_queue=TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                )
        except (TimeoutError, *UNREACHABLE):
            return False
        return True

    return start
