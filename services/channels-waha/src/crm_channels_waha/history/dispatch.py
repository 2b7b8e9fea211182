"""Seeing to it that imports are worked on: a workflow for each, or the process itself.

Nobody who asks for an import waits for Temporal. One that was lost on the way, or whose workflow
stands still, is found again when it is due.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from service_kit.database import Database

from crm_channels_waha.history import repository
from crm_channels_waha.history.runner import Runner
from crm_channels_waha.history.schemas import TASK_QUEUE, ImportRef, workflow_id

if TYPE_CHECKING:
    from service_kit.temporal import Temporal

_LOOK_SECONDS = 5.0
_TURN_SECONDS = 2.0

Start = Callable[[ImportRef], Awaitable[bool]]
"""Starts the workflow of an import; whether it has one now."""


class Dispatch:
    """Finds imports that are due, and has them worked on."""

    def __init__(self, database: Database, runner: Runner, start: Start | None) -> None:
        self._database = database
        self._runner = runner
        self._start = start
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """There is an import to look after now."""
        self._asked.set()

    async def run(self) -> None:
        """Look after imports, for ever."""
        ours: list[ImportRef] = []
        while True:
            self._asked.clear()
            async with self._database.system("history") as tx:
                due = await repository.due(tx)
            for ref in due:
                if ref not in ours and not await self._started(ref):
                    ours.append(ref)
            # Without Temporal they take turns here.
            ours = [ref for ref in ours if await self._runner.advance(ref, _TURN_SECONDS)]
            if not ours:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._asked.wait()

    async def _started(self, ref: ImportRef) -> bool:
        return self._start is not None and await self._start(ref)


def starter(temporal: "Temporal") -> Start:
    """Starts workflows while Temporal is there."""
    from service_kit.temporal import CALL_SECONDS, UNREACHABLE
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

    from crm_channels_waha.history.workflow import HistoryImportWorkflow

    async def start(ref: ImportRef) -> bool:
        if temporal.client is None:
            return False
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await temporal.client.start_workflow(
                    HistoryImportWorkflow.run,
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
