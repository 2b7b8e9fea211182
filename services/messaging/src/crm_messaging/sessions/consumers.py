"""Every session gets its workflow, from its `session.started` event."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.messaging.session import SessionStarted

from crm_messaging.sessions import repository
from crm_messaging.sessions.lifecycles import Lifecycles


class SessionStarter:
    """Starts workflows. One that cannot be started now is left to the sweep."""

    def __init__(self, lifecycles: Lifecycles) -> None:
        self._lifecycles = lifecycles

    async def on_session_started(
        self, tx: Transaction, events: Sequence[Event[SessionStarted]]
    ) -> None:
        """Start the workflows of these sessions and mark those that were."""
        started = await self._lifecycles.start(
            [
                repository.Watched(
                    id=event.data.session.id,
                    tenant_id=event.tenant_id,
                    total_messages=event.data.session.total_messages,
                    last_interaction_at=event.data.session.last_interaction_at,
                    timeout_seconds=event.data.session.timeout_seconds,
                )
                for event in events
            ]
        )
        if started:
            await repository.mark_watched(tx, started)
