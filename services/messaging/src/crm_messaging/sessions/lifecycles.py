"""Starting and ending session workflows. Always bounded, never needed: the sweep covers for it."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog
from service_kit.temporal import CALL_SECONDS, UNREACHABLE, Temporal
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from crm_messaging.sessions.repository import Watched
from crm_messaging.sessions.schemas import SESSION_QUEUE, Watch, workflow_id
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow

log = structlog.get_logger()

_AT_ONCE = 5
_LIST_SECONDS = 3.0


class Lifecycles:
    """The workflows of this service's sessions. Nothing here may be awaited in a transaction."""

    def __init__(self, temporal: Temporal) -> None:
        self._temporal = temporal
        self._ended: asyncio.Queue[tuple[UUID, str]] = asyncio.Queue()

    async def lost(self, sessions: Sequence[Watched]) -> list[Watched] | None:
        """Those without a running workflow, by one call for all; None while nobody can tell.

        One that was started a moment ago may be among them: Temporal's lists lag a little.
        """
        client = self._temporal.client
        if client is None:
            return None
        if not sessions:
            return []
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                running = {found.id async for found in client.list_workflows(_running(sessions))}
        except (TimeoutError, *UNREACHABLE) as error:
            log.warning("workflows_not_listed", error=repr(error))
            return None
        return [session for session in sessions if workflow_id(session.id) not in running]

    async def start(self, sessions: Sequence[Watched]) -> int:
        """Start the workflow of each that has none running; returns how many have one now."""
        client = self._temporal.client
        if client is None:
            return 0
        slots = asyncio.Semaphore(_AT_ONCE)
        return sum(await asyncio.gather(*(_start(client, s, slots) for s in sessions)))

    def ended(self, session_id: UUID, reason: str) -> None:
        """This session has ended: its workflow need not wait for the deadline."""
        if self._temporal.client is not None:
            self._ended.put_nowait((session_id, reason))

    async def signal_ended(self) -> None:
        """Tell the workflows of ended sessions, forever."""
        while True:
            session_id, reason = await self._ended.get()
            if (client := self._temporal.client) is None:
                continue
            handle = client.get_workflow_handle(workflow_id(session_id))
            with suppress(TimeoutError, *UNREACHABLE):  # it finds out at its deadline
                async with asyncio.timeout(CALL_SECONDS):
                    await handle.signal(SessionLifecycleWorkflow.close_session, reason)


def _running(sessions: Iterable[Watched]) -> str:
    ids = ", ".join(f"'{workflow_id(session.id)}'" for session in sessions)
    return f"ExecutionStatus = 'Running' AND WorkflowId IN ({ids})"


async def _start(client: Client, session: Watched, slots: asyncio.Semaphore) -> bool:
    """The database is the truth: whatever became of an earlier run, an active session has one."""
    try:
        async with slots, asyncio.timeout(CALL_SECONDS):
            await client.start_workflow(
                SessionLifecycleWorkflow.run,
                Watch(
                    session_id=session.id,
                    tenant_id=session.tenant_id,
                    last_interaction_at=session.last_interaction_at,
                    timeout_seconds=session.timeout_seconds,
                    total_messages=session.total_messages,
                ),
                id=workflow_id(session.id),
                task_queue=SESSION_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
    except (TimeoutError, *UNREACHABLE) as error:
        log.warning("workflow_not_started", session=str(session.id), error=repr(error))
        return False
    return True
