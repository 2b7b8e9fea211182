"""Every session gets its workflow, from its `session.started` event."""

import asyncio
from collections.abc import Sequence

import structlog
from service_kit.database import Transaction
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

    def __init__(self, lifecycles: Lifecycles) -> None:
        self._lifecycles = lifecycles
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
            await self._lifecycles.start(sessions)
