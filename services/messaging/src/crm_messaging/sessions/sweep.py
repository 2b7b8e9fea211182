"""The sweep: what Temporal missed. It works with Temporal down."""

import asyncio
from uuid import UUID

import structlog
from service_kit.database import Database, is_infrastructure

from crm_messaging.sessions import repository, service
from crm_messaging.sessions.consumers import watch
from crm_messaging.sessions.lifecycles import Lifecycles
from crm_messaging.sessions.schemas import INACTIVITY

log = structlog.get_logger()

_BATCH = 200
_PURGE_RECEIPTS = "DELETE FROM parked_receipts WHERE created_at < now() - interval '7 days'"


class Sweep:
    """Ends silent sessions and starts missing workflows; one process at a time does it."""

    def __init__(
        self,
        database: Database,
        lifecycles: Lifecycles,
        *,
        seconds: float,
        grace_seconds: float,
    ) -> None:
        self._database = database
        self._lifecycles = lifecycles
        self._seconds = seconds
        self._grace_seconds = grace_seconds

    async def run(self) -> None:
        """Sweep forever."""
        while True:
            seen: set[UUID] = set()
            while await self.once(seen):
                pass  # full batches: there is more
            await asyncio.sleep(self._seconds)

    async def once(self, seen: set[UUID]) -> bool:
        """Sweep one batch; returns whether there may be more to do at once.

        Sessions in `seen` have had their turn and are left alone; those of this batch are added.
        """
        async with self._database.system("sweep") as tx:
            if not await tx.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('session_sweep'))"):
                return False
            await tx.execute(_PURGE_RECEIPTS)
            overdue = await repository.overdue(tx, self._grace_seconds, _BATCH, seen)
            seen.update(session.id for session in overdue)
            expired = [session.id for session in overdue if await self._expire(session)]
            unwatched = await repository.without_workflow(tx, _BATCH)
        if expired:
            log.info("sweep_expired_sessions", count=len(expired))
        watched = await watch(self._lifecycles, self._database, unwatched)
        return len(overdue) == _BATCH or watched == _BATCH

    async def _expire(self, session: repository.Watched) -> bool:
        """End one session. That one cannot be ended must not keep the others open."""
        try:
            async with self._database.tenant(session.tenant_id) as tx:
                ended = await service.end(tx, session.id, INACTIVITY, seen=session.total_messages)
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.exception("session_not_expired", session=str(session.id))
            return False
        return ended is not None
