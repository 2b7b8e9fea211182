"""Starting and ending session workflows. Always bounded, never needed: the sweep covers for it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import structlog
from service_kit.database import Database
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from crm_messaging.sessions import repository
from crm_messaging.sessions.schemas import SESSION_QUEUE, Watch, workflow_id
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from crm_messaging.temporal import CALL_SECONDS, UNREACHABLE, Temporal

log = structlog.get_logger()

_AT_ONCE = 20


class Lifecycles:
    """The workflows of this service's sessions."""

    def __init__(self, temporal: Temporal | None, database: Database) -> None:
        self._temporal = temporal
        self._database = database
        self._ended: asyncio.Queue[tuple[str, UUID]] = asyncio.Queue()

    @property
    def _client(self) -> Client | None:
        return self._temporal.client if self._temporal else None

    async def start(self, sessions: Sequence[repository.Watched]) -> list[UUID]:
        """Start the workflow of each; returns those that have one, after a second at most."""
        client = self._client
        if client is None or not sessions:
            return []
        started: list[UUID] = []
        slots = asyncio.Semaphore(_AT_ONCE)
        with suppress(TimeoutError):
            async with asyncio.timeout(CALL_SECONDS):
                await asyncio.gather(*(_start(client, s, slots, started) for s in sessions))
        return started

    def ended(self, tenant_id: str, session_id: UUID) -> None:
        """An agent may just have ended this session: its workflow need not wait for the deadline.

        To be called before the commit; nothing is signalled unless it happens.
        """
        if self._client is not None:
            self._ended.put_nowait((tenant_id, session_id))

    async def signal_ended(self) -> None:
        """Tell the workflows of ended sessions, forever."""
        while True:
            tenant_id, session_id = await self._ended.get()
            client = self._client
            async with self._database.tenant(tenant_id) as tx:
                # The lock waits for the transaction that ends the session.
                session = await repository.find(tx, session_id, lock=True)
            if client is None or session is None or session.end_reason is None:
                continue
            handle = client.get_workflow_handle(workflow_id(session_id))
            with suppress(TimeoutError, *UNREACHABLE):  # it finds out at its deadline
                async with asyncio.timeout(CALL_SECONDS):
                    await handle.signal(SessionLifecycleWorkflow.close_session, session.end_reason)


async def _start(
    client: Client,
    session: repository.Watched,
    slots: asyncio.Semaphore,
    started: list[UUID],
) -> None:
    async with slots:
        try:
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
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        except WorkflowAlreadyStartedError:
            log.debug("workflow_exists", session=str(session.id))
        except UNREACHABLE as error:
            log.warning("workflow_not_started", session=str(session.id), error=repr(error))
            return
    started.append(session.id)
