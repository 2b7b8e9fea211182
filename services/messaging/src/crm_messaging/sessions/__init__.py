"""Conversations: opened by a first message, ended by an agent or by silence.

Temporal's sandbox imports this package for the workflow alone, so the door imports what it needs
only when it is opened.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service_kit.service import Service

    from crm_messaging.sessions.lifecycles import Lifecycles
    from crm_messaging.settings import MessagingSettings


def add_to(service: "Service", settings: "MessagingSettings") -> None:
    """What is asked about sessions; the workflow that ends each, and the sweep behind it."""
    from shared_events.messaging import session

    from crm_messaging.sessions import requests
    from crm_messaging.sessions.assigner import Assigner
    from crm_messaging.sessions.sweep import Sweep

    service.answer(session.GetSession, requests.get_session)
    service.answer(session.GetSessions, requests.get_sessions)
    service.answer(session.ListSessions, requests.list_sessions)
    service.answer(session.ListContactSessions, requests.list_contact_sessions)
    service.answer(session.AssignSession, requests.assign_session)
    service.answer(session.ListSessionAssignments, requests.list_assignments)
    service.answer(session.ReopenSession, requests.reopen_session)
    lifecycles = _add_workflows(service, settings)
    closing = requests.SessionClosing(lifecycles.ended if lifecycles else None)
    service.answer(session.CloseSession, closing.close_session)
    sweep = Sweep(
        service.database,
        lifecycles,
        seconds=settings.sweep_seconds,
        grace_seconds=settings.sweep_grace_seconds,
        check_seconds=settings.check_seconds,
    )
    service.background("sweep", sweep.run)
    service.background("assigner", Assigner(service.database).run)


def _add_workflows(service: "Service", settings: "MessagingSettings") -> "Lifecycles | None":
    """A workflow for every session; None, and none of its packages, where there is no Temporal."""
    from shared_events.messaging.session import SessionStarted
    from shared_events.topology import MESSAGING_WORKFLOWS

    if service.temporal is None:
        service.ignore(MESSAGING_WORKFLOWS, SessionStarted)
        return None
    from crm_messaging.sessions.activities import SessionActivities, session_worker
    from crm_messaging.sessions.consumers import SessionStarter
    from crm_messaging.sessions.lifecycles import Lifecycles

    lifecycles = Lifecycles(service.temporal)
    starter = SessionStarter(lifecycles)
    activities = SessionActivities(service.database)
    service.on(MESSAGING_WORKFLOWS, SessionStarted, starter.on_session_started)
    service.temporal.worker(session_worker(activities, settings.db_pool_size))
    service.background("session-starter", starter.run)
    service.background("signal-ended", lifecycles.signal_ended)
    return lifecycles
