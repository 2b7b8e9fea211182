"""The activity of the session workflow. Doing it twice does it once."""

from service_kit.database import Database
from temporalio import activity

from crm_messaging.sessions import repository, service
from crm_messaging.sessions.schemas import CLOSE_SESSION_IF_IDLE, Ending, Outcome, Watch


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
