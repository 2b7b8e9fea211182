"""What can happen to a session, whoever asks: an agent, its workflow or the sweep."""

from collections.abc import Collection
from uuid import UUID

from asyncpg import UniqueViolationError
from service_kit.database import Transaction
from service_kit.errors import ConflictError, ExpectedVersion, InvalidError, PreconditionFailedError
from shared_events.messaging.session import (
    Session,
    SessionClosed,
    SessionExpired,
    SessionReopened,
)

from crm_messaging.conversations import repository as conversations
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import assigning, repository
from crm_messaging.sessions.assigning import Assignment
from crm_messaging.sessions.schemas import CANCELLED, INACTIVITY

SYSTEM_REASONS = frozenset(
    {INACTIVITY, CANCELLED, "contact_erased", "channel_removed", "merged", repository.HISTORY}
)
"""Only the system ends sessions for these."""


async def end(
    tx: Transaction,
    session_id: UUID,
    reason: str,
    *,
    seen: int | None = None,
    note: str | None = None,
) -> Session | None:
    """End an active session and say so; silence expires it, everything else closes it.

    None, and no event, when it has ended already or has other than `seen` messages: so however
    many ends race, there is exactly one terminal event.
    """
    expires = reason == INACTIVITY
    session = await repository.end(
        tx,
        session_id,
        "expired" if expires else "closed",
        reason[:50],
        seen=seen,
        custom_fields={"closing_note": note} if note else None,
    )
    if session is None:
        return None
    await conversations.follow(tx, session)
    contact, channel = await replicas.summaries(tx, session.contact_id, session.channel_id)
    event = SessionExpired if expires else SessionClosed
    tx.outbox.add(event(session=session, contact=contact, channel=channel), session.id)
    if session.assigned_agent_id is not None:
        await replicas.wake_assigner(tx, [tx.tenant_id])
    return session


async def close(
    tx: Transaction,
    session_id: UUID,
    reason: str,
    *,
    note: str | None,
    expected_version: ExpectedVersion,
) -> Session:
    """Close on behalf of a person. One that has ended already is answered as it is."""
    if reason in SYSTEM_REASONS:
        raise InvalidError.field("reason", "reserved_reason", "Only the system closes for this.")
    session = await repository.get(tx, session_id, lock=True)
    if session.status != "active":
        return session
    PreconditionFailedError.check(expected_version, session.version)
    return await end(tx, session_id, reason, note=note) or session


async def reopen(
    tx: Transaction, session_id: UUID, *, expected_version: ExpectedVersion
) -> Session:
    """Let a session that ended go on, and say so. One that is active is answered as it is.

    ConflictError `session_active` when its contact has another active one on the channel, and
    `session_of_history` for what was said before we listened.
    """
    session = await repository.get(tx, session_id, lock=True)
    if session.status == "active":
        return session
    if session.end_reason == repository.HISTORY:
        raise ConflictError("session_of_history", "It is imported history, and was never open.")
    PreconditionFailedError.check(expected_version, session.version)
    try:
        reopened = await repository.reopen(tx, session_id) or session
    except UniqueViolationError:
        raise ConflictError(
            "session_active", "The contact has another active session on this channel."
        ) from None
    await conversations.follow(tx, reopened)
    contact, channel = await replicas.summaries(tx, session.contact_id, session.channel_id)
    tx.outbox.add(SessionReopened(session=reopened, contact=contact, channel=channel), session.id)
    await replicas.wake_assigner(tx, [tx.tenant_id])
    return reopened


async def assign(
    tx: Transaction,
    session_id: UUID,
    agent_id: UUID | None,
    *,
    expected_version: ExpectedVersion,
    expected_assignees: Collection[UUID | None] | None = None,
    by: UUID | None = None,
) -> Session:
    """Give the session to an active agent, or to nobody; the same agent again changes nothing.

    `expected_assignees`: only if one of these has it, else PreconditionFailedError
    `assignee_changed` names who has. Two who claim it at once are told apart by it.
    """
    # Asked before the lock, for which messages wait.
    is_active = True if agent_id is None else await replicas.is_active_agent(tx, agent_id)
    session = await repository.get(tx, session_id, lock=True)
    PreconditionFailedError.check(expected_version, session.version)
    if session.status != "active":
        raise ConflictError("session_ended", "The session has ended.")
    if session.assigned_agent_id == agent_id:
        return session
    if expected_assignees is not None and session.assigned_agent_id not in expected_assignees:
        raise PreconditionFailedError(
            "assignee_changed",
            "Somebody else has the session by now.",
            assigned_agent_id=session.assigned_agent_id and str(session.assigned_agent_id),
        )
    if not is_active:
        raise InvalidError.field(
            "agent_id",
            "unknown_agent",
            "There is no such active agent.",
            may_come=is_active is None,
        )
    one = Assignment(tx.tenant_id, session, agent_id, "requested", by)
    (assigned,) = await assigning.assign(tx, [one])
    return assigned
