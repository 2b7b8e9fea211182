"""Answers to requests about sessions."""

from collections.abc import Callable
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events.messaging.session import (
    AssignSession,
    CloseSession,
    GetSession,
    GetSessions,
    ListContactSessions,
    ListSessionAssignments,
    ListSessions,
    ReopenSession,
    Session,
    SessionAssignment,
)
from shared_events.requests import Page
from sqlalchemy import false, select, text

from crm_messaging import visibility
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import assigning, models, repository, service
from crm_messaging.sessions.repository import SESSIONS

_C = SESSIONS.table.c
_NEWEST_FIRST = Order(
    "sessions",
    [(_C.started_at, AwareDatetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)
_A = assigning.ASSIGNMENTS.table.c
_LAST_ASSIGNED = Order(
    "assignments",
    [(_A.assigned_at, AwareDatetime), (_A.id, UUID)],
    tenant=_A.tenant_id,
    descending=True,
)


async def get_session(tx: Transaction, request: GetSession, call: Call) -> Session:
    """Read one session; NotFoundError."""
    await visibility.check(tx, "session", request.session_id, call)
    return await repository.get(tx, request.session_id)


async def get_sessions(tx: Transaction, request: GetSessions, call: Call) -> Page[Session]:
    """Read several sessions, in no order."""
    query = select(models.Session).where(_C.id.in_(request.ids), *visibility.seen(call, "sessions"))
    return Page(data=[repository.resource(row) for row in await SESSIONS.find(tx, query)])


async def list_sessions(tx: Transaction, request: ListSessions, call: Call) -> Page[Session]:
    """Find sessions, newest first; `me` is whoever asks."""
    query = select(models.Session).where(
        _C.opened_by != repository.HISTORY, *visibility.seen(call, "sessions")
    )
    # Spelled out, as the partial index has it: a value of the statement would fit none.
    if request.status == "active":
        query = query.where(text("sessions.status = 'active'"))
    elif request.status is not None:
        query = query.where(_C.status == request.status)
    for column in ("contact_id", "channel_id"):
        if (value := getattr(request, column)) is not None:
            query = query.where(_C[column] == value)
    match request.assigned_agent_id:
        case None:
            pass
        case "none":
            query = query.where(_C.assigned_agent_id.is_(None))
        case "me":
            mine = _C.assigned_agent_id == call.user_id if call.user_id else false()
            query = query.where(mine)
        case agent_id:
            query = query.where(_C.assigned_agent_id == agent_id)
    return await _NEWEST_FIRST.page(tx, query, request, SESSIONS, repository.resource)


async def list_contact_sessions(
    tx: Transaction, request: ListContactSessions, call: Call
) -> Page[Session]:
    """The sessions of one contact; NotFoundError when there is no such contact."""
    await replicas.known_contact(tx, request.contact_id)
    return await list_sessions(tx, request, call)


async def assign_session(tx: Transaction, request: AssignSession, call: Call) -> Session:
    """Give a session to an agent, or to nobody."""
    await visibility.check(tx, "session", request.session_id, call)
    expected: set[UUID | None] | None = None
    if "expected_assignee_id" in request.model_fields_set:
        expected = {request.expected_assignee_id}
    elif call.principal.own_only:  # whoever has taken it meanwhile keeps it
        expected = {None, call.user_id}
    return await service.assign(
        tx,
        request.session_id,
        request.agent_id,
        expected_version=call.expected_version,
        expected_assignees=expected,
        by=call.user_id,
    )


async def list_assignments(
    tx: Transaction, request: ListSessionAssignments, call: Call
) -> Page[SessionAssignment]:
    """Who had a session, newest first; NotFoundError when there is no such session."""
    await visibility.check(tx, "session", request.session_id, call)
    await repository.get(tx, request.session_id)
    query = select(models.SessionAssignment).where(_A.session_id == request.session_id)
    return await _LAST_ASSIGNED.page(tx, query, request, assigning.ASSIGNMENTS, assigning.shown)


async def reopen_session(tx: Transaction, request: ReopenSession, call: Call) -> Session:
    """Let a session that ended go on."""
    await visibility.check(tx, "session", request.session_id, call)
    return await service.reopen(tx, request.session_id, expected_version=call.expected_version)


class SessionClosing:
    """Closes sessions for agents and lets `ended` know, so that their workflows end too."""

    def __init__(self, ended: Callable[[UUID, str], None] | None) -> None:
        self._ended = ended

    async def close_session(self, tx: Transaction, request: CloseSession, call: Call) -> Session:
        """End a session; one that has ended already is answered unchanged."""
        await visibility.check(tx, "session", request.session_id, call)
        session = await service.close(
            tx,
            request.session_id,
            request.reason,
            note=request.note,
            expected_version=call.expected_version,
        )
        if (ended := self._ended) is not None:
            reason = session.end_reason or request.reason
            tx.after_commit(lambda: ended(session.id, reason))
        return session
