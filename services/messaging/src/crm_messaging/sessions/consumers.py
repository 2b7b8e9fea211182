"""Every session gets its workflow, from its `session.started` event."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import structlog
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.messaging.session import SessionStarted

from crm_messaging.sessions import repository
from crm_messaging.sessions.lifecycles import Lifecycles

log = structlog.get_logger()

_MOST_WAITING = 10_000
_AT_ONCE = 100


class SessionStarter:
    """Starts workflows, after the commit and in no transaction: nobody waits for Temporal.

    One that cannot be started now, or is forgotten by a process that ends, is left to the sweep.
    """

    def __init__(self, lifecycles: Lifecycles, database: Database) -> None:
        self._lifecycles = lifecycles
        self._database = database
        self._waiting: asyncio.Queue[repository.Watched] = asyncio.Queue(_MOST_WAITING)

    async def on_session_started(
        self, tx: Transaction, events: Sequence[Event[SessionStarted]]
    ) -> None:
        """Have the workflows of these sessions started."""
        sessions = [
            repository.Watched(
                id=event.data.session.id,
                tenant_id=event.tenant_id,
                total_messages=event.data.session.total_messages,
                last_interaction_at=event.data.session.last_interaction_at,
                timeout_seconds=event.data.session.timeout_seconds,
            )
            for event in events
        ]
        tx.after_commit(lambda: self._add(sessions))

    def _add(self, sessions: Sequence[repository.Watched]) -> None:
        for session in sessions:
            if self._waiting.full():
                log.warning("workflows_left_to_the_sweep")
                return
            self._waiting.put_nowait(session)

    async def run(self) -> None:
        """Start what waits, for ever."""
        while True:
            sessions = [await self._waiting.get()]
            while len(sessions) < _AT_ONCE and not self._waiting.empty():
                sessions.append(self._waiting.get_nowait())
            await watch(self._lifecycles, self._database, sessions)


async def watch(
    lifecycles: Lifecycles, database: Database, sessions: Sequence[repository.Watched]
) -> int:
    """Start their workflows and note which run; returns how many do."""
    tenants = {session.id: session.tenant_id for session in sessions}
    started: dict[str, list[UUID]] = defaultdict(list)
    for session_id in await lifecycles.start(sessions):
        started[tenants[session_id]].append(session_id)
    for tenant_id, session_ids in started.items():
        async with database.tenant(tenant_id) as tx:
            await repository.mark_watched(tx, session_ids)
    return sum(map(len, started.values()))
