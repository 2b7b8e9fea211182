"""The activity of the session workflow. Doing it twice does it once."""

from service_kit.database import Database
from service_kit.temporal import GRACE, MakeWorker
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from crm_messaging.sessions import repository, service
from crm_messaging.sessions.schemas import (
    CLOSE_SESSION_IF_IDLE,
    SESSION_QUEUE,
    Ending,
    Outcome,
    Watch,
)
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow

_CACHED_WORKFLOWS = 10
"""A session sleeps for minutes between two activations: replaying its dozen events when it wakes
costs 1 ms or so, keeping it in memory for that long 40 KB."""


class SessionActivities:
    """Activities that need the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name=CLOSE_SESSION_IF_IDLE)
    async def close_session_if_idle(self, ending: Ending) -> Outcome:
        """End the session, or tell how it stands now; its event commits with it."""
        async with self._database.tenant(ending.tenant_id) as tx:
            ended = await service.end(tx, ending.session_id, ending.reason, seen=ending.seen)
            if ended is not None:
                return Outcome(ended=True)
            session = await repository.find(tx, ending.session_id)
        if session is None or session.status != "active":
            return Outcome(ended=False)
        return Outcome(
            ended=False,
            active=Watch(
                session_id=session.id,
                tenant_id=ending.tenant_id,
                last_interaction_at=session.last_interaction_at,
                timeout_seconds=session.timeout_seconds,
                total_messages=session.total_messages,
            ),
        )


def session_worker(activities: SessionActivities, at_once: int) -> MakeWorker:
    """The worker of `session-queue`; `at_once` bounds the activities that hold a connection."""

    def make(client: Client) -> Worker:
        return Worker(
            client,
            task_queue=SESSION_QUEUE,
            workflows=[SessionLifecycleWorkflow],
            activities=[activities.close_session_if_idle],
            max_cached_workflows=_CACHED_WORKFLOWS,
            max_concurrent_workflow_tasks=8,
            max_concurrent_activities=at_once,
            graceful_shutdown_timeout=GRACE,
        )

    return make
