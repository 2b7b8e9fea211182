"""Seeing to it that jobs are worked on: a workflow for each, or the process itself.

Nobody who asks for a job waits for Temporal. A job that was lost on the way, or whose workflow
stands still, is found again when it is due.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from service_kit.database import Database, Transaction
from service_kit.jobs.schemas import JobRef, task_queue, workflow_id

if TYPE_CHECKING:
    from service_kit.service import Service
    from service_kit.temporal import Temporal

LOOK_SECONDS = 5.0
_TURN_SECONDS = 2.0

Start = Callable[[JobRef], Awaitable[bool]]
"""Starts the workflow of a job; whether it has one now."""
Due = Callable[[Transaction], Awaitable[list[JobRef]]]
"""Jobs of all tenants that somebody has to look after, each given to one caller."""


class Advance(Protocol):
    """Works on a job for so many seconds, or until `is_over`; whether there is more to do."""

    async def __call__(
        self, ref: JobRef, seconds: float = ..., is_over: Callable[[], bool] = ...
    ) -> bool:
        """Raises what a dependency that is away raises: worth trying again."""
        ...


class Dispatch:
    """Finds jobs that are due, and has them worked on."""

    def __init__(
        self, database: Database, scope: str, due: Due, advance: Advance, start: Start | None
    ) -> None:
        self._database = database
        self._scope = scope
        self._due = due
        self._advance = advance
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
            async with self._database.system(self._scope) as tx:
                due = await self._due(tx)
            for ref in due:
                if ref not in ours and not await self._started(ref):
                    ours.append(ref)
            # Without Temporal they take turns here.
            ours = [ref for ref in ours if await self._advance(ref, _TURN_SECONDS)]
            if not ours:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._asked.wait()

    async def _started(self, ref: JobRef) -> bool:
        return self._start is not None and await self._start(ref)


def see_to(service: "Service", scope: str, due: Due, advance: Advance) -> Dispatch:
    """Have a service's jobs worked on; `scope` is that of its system transactions, and their name.

    Returns what is woken when there is a new one.
    """
    start = None
    if service.temporal is not None:
        from service_kit.jobs.activities import JobActivities

        start = starter(service.temporal, service.name.noun, scope)
        queue = task_queue(service.name.noun, scope)
        service.temporal.worker(JobActivities(queue, advance).worker)
    dispatch = Dispatch(service.database, scope, due, advance, start)
    service.background(scope, dispatch.run)
    return dispatch


def starter(temporal: "Temporal", noun: str, scope: str) -> Start:
    """Starts workflows while Temporal is there."""
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

    from service_kit.jobs.workflow import JobWorkflow
    from service_kit.temporal import CALL_SECONDS, UNREACHABLE

    async def start(ref: JobRef) -> bool:
        if temporal.client is None:
            return False
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await temporal.client.start_workflow(
                    JobWorkflow.run,
                    ref,
                    id=workflow_id(noun, ref),
                    task_queue=task_queue(noun, scope),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                )
        except (TimeoutError, *UNREACHABLE):
            return False
        return True

    return start
