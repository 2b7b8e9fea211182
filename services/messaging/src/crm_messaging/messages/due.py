"""Queueing messages when their time comes, in any number of processes, each message once.

Whoever is awake first takes the lead for as long as something is due; the others look again. So
messages of a conversation are queued in the order of their times. Nothing is remembered here: what
is due stands in the table, whoever dies and however long the database was away.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from service_kit.cause import Cause
from service_kit.database import Database, NotConnectedError, is_infrastructure
from service_kit.errors import ProblemError
from service_kit.rows import Shape

from crm_messaging.messages.scheduled import repository, service
from crm_messaging.messages.service import queue

log = structlog.get_logger()

_BATCH = 100
_LONGEST_SECONDS = 60.0
"""A connection that broke in silence is noticed by then."""
_BUSY_SECONDS = 0.5
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('messaging/scheduled', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('messaging/scheduled', 0))"
_DUE = """
SELECT tenant_id, id, correlation_id FROM scheduled_messages
WHERE status = 'scheduled' AND send_at <= now() ORDER BY send_at, id LIMIT $1
"""
_NEXT = """
SELECT extract(epoch FROM send_at - now())::float8 FROM scheduled_messages
WHERE status = 'scheduled' ORDER BY send_at, id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class _Due:
    tenant_id: str
    id: UUID
    correlation_id: str | None


_DUE_ONES = Shape(_Due)


class DueMessages:
    """Sleeps until the next message is due; one that is due earlier wakes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Queue what is due, forever; raises when the connection is lost."""
        connection = await self._database.dedicated("scheduled")
        try:
            await connection.execute("SET app.scope = 'scheduled'")
            await connection.add_listener(repository.WAKE, lambda *_: self._wake.set())
            connection.add_termination_listener(lambda *_: self._wake.set())
            while True:
                self._wake.clear()
                seconds = await self._look(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._wake.wait()
        finally:
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    async def _look(self, connection: asyncpg.Connection) -> float:
        """Queue what is due; returns the seconds to sleep."""
        if connection.is_closed():
            raise NotConnectedError("the connection broke")
        ahead = await connection.fetchval(_NEXT)
        if ahead is None or ahead > 0:
            return min(ahead or _LONGEST_SECONDS, _LONGEST_SECONDS)
        if not await connection.fetchval(_LOCK):
            return _BUSY_SECONDS
        for record in await connection.fetch(_DUE, _BATCH):
            await self._queue(_DUE_ONES.value(record))
        await connection.execute(_UNLOCK)  # when something is raised, the connection's end does it
        return 0.0  # there may be more

    async def _queue(self, due: _Due) -> None:
        """Queue one message. That one cannot be queued must not hold up the others."""
        cause = Cause(due.correlation_id)
        try:
            async with self._database.tenant(due.tenant_id, cause=cause) as tx:
                if (row := await repository.take(tx, due.id)) is not None:
                    message = repository.resource(row)
                    await queue(tx, message, fail_if_offline=row.fail_if_offline)
        except ProblemError as error:
            await self._fail(due, f"{error.problem.code}: {error.problem.detail}")
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.exception("scheduled_message_not_queued", message=str(due.id))
            await self._fail(due, f"internal_error: {type(error).__name__}")

    async def _fail(self, due: _Due, reason: str) -> None:
        async with self._database.tenant(due.tenant_id) as tx:
            message = await repository.lock(tx, due.id)
            if message is not None and message.status == "scheduled":
                await service.fail(tx, message, reason)
