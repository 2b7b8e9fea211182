"""The sweep: what Temporal missed. It works with Temporal down, and in any number of processes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from service_kit.database import Database, is_infrastructure

from crm_messaging.sessions import repository, service
from crm_messaging.sessions.repository import Due
from crm_messaging.sessions.schemas import INACTIVITY

if TYPE_CHECKING:
    from crm_messaging.sessions.lifecycles import Lifecycles

log = structlog.get_logger()

_BATCH = 200
_STARTS_A_SECOND = 100
"""A Temporal that lost everything is not stormed with all of it at once."""
_PURGE = tuple(
    f"DELETE FROM {table} WHERE created_at < now() - interval '7 days'"  # noqa: S608 - our own
    for table in ("parked_receipts", "parked_changes", "calls")
)


class Sweep:
    """Ends silent sessions and starts lost workflows anew. It reads what is due, and no more.

    Each step is a short transaction of its own or a call to Temporal, never one within the other.
    """

    def __init__(
        self,
        database: Database,
        lifecycles: "Lifecycles | None",
        *,
        seconds: float,
        grace_seconds: float,
        check_seconds: float,
    ) -> None:
        self._database = database
        self._lifecycles = lifecycles
        self._seconds = seconds
        self._grace_seconds = grace_seconds
        # Where there is no Temporal, a session is looked at when its time is up.
        self._check_seconds = check_seconds if lifecycles else None
        self._keeps_up = True

    async def run(self) -> None:
        """Sweep forever."""
        while True:
            async with self._database.system("sweep") as tx:
                for purge in _PURGE:
                    await tx.execute(purge)
            self._keeps_up = True
            while await self.once() == _BATCH:
                pass  # there may be more
            await asyncio.sleep(self._seconds)

    async def once(self) -> int:
        """Sweep one batch; returns of how many sessions."""
        async with self._database.system("sweep") as tx:
            due = await repository.take_due(
                tx,
                grace_seconds=self._grace_seconds,
                check_seconds=self._check_seconds,
                again_seconds=self._seconds,
                limit=_BATCH,
            )
        expired = [session for session in due if session.overdue and await self._expire(session)]
        if expired:
            log.info("sweep_expired_sessions", count=len(expired))
        await self._find_lost([session for session in due if not session.overdue])
        return len(due)

    async def _expire(self, session: Due) -> bool:
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

    async def _find_lost(self, sessions: Sequence[Due]) -> None:
        """Start the workflows that do not run, so many a second.

        While Temporal is away or does not keep up, it is asked once a sweep: what ends sessions in
        its place must not wait for it.
        """
        if self._lifecycles is None or not self._keeps_up:
            return
        lost = await self._lifecycles.lost(sessions)
        started = await self._lifecycles.start(lost) if lost else 0
        self._keeps_up = lost is not None and started == len(lost)
        if started:
            log.info("sweep_started_workflows", count=started)
            await asyncio.sleep(started / _STARTS_A_SECOND)
