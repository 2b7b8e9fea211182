"""Conversations: opened by a first message, ended by an agent or by silence.

Temporal's sandbox imports this package for the workflow alone, so the door imports what it needs
only when it is opened.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service_kit.service import Service

    from crm_messaging.settings import MessagingSettings
    from crm_messaging.temporal import Temporal


def add_to(service: "Service", settings: "MessagingSettings", temporal: "Temporal | None") -> None:
    """What is asked about sessions; the workflow that ends each, and the sweep behind it."""
    from shared_events.messaging import session
    from shared_events.topology import MESSAGING_WORKFLOWS

    from crm_messaging.sessions import requests
    from crm_messaging.sessions.activities import SessionActivities, session_worker
    from crm_messaging.sessions.consumers import SessionStarter
    from crm_messaging.sessions.lifecycles import Lifecycles
    from crm_messaging.sessions.sweep import Sweep

    lifecycles = Lifecycles(temporal, service.database)
    service.answer(session.GetSession, requests.get_session)
    service.answer(session.ListSessions, requests.list_sessions)
    service.answer(session.ListContactSessions, requests.list_contact_sessions)
    service.answer(session.AssignSession, requests.assign_session)
    service.answer(session.CloseSession, requests.SessionClosing(lifecycles.ended).close_session)
    starter = SessionStarter(lifecycles, service.database)
    service.on(MESSAGING_WORKFLOWS, session.SessionStarted, starter.on_session_started)
    sweep = Sweep(
        service.database,
        lifecycles,
        seconds=settings.sweep_seconds,
        grace_seconds=settings.sweep_grace_seconds,
    )
    service.background("sweep", sweep.run)
    service.background("session-starter", starter.run)
    if temporal is not None:
        temporal.worker(session_worker(SessionActivities(service.database), settings.db_pool_size))
        service.background("signal-ended", lifecycles.signal_ended)
