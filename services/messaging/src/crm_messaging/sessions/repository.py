"""SQL of sessions. Rows are always locked in the order of (channel, contact)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.rows import Rows, Shape
from shared_events.messaging.session import Session, SessionStatus

from crm_messaging.sessions import models
from crm_messaging.sessions.waiting import Talk

SessionKey = tuple[str, UUID, UUID]
"""Tenant, channel and contact."""

HISTORY = "history"
"""What opened and ended what was said before we listened: no session that anybody worked on."""

_OPEN = """
INSERT INTO sessions (id, tenant_id, project_id, channel_id, contact_id, conversation_id, status,
    chat_id, opened_by, timeout_seconds, total_messages, first_inbound_at, first_outbound_at,
    waiting_since, started_at, last_interaction_at)
SELECT o.id, o.tenant_id, o.tenant_id, o.channel_id, o.contact_id, o.conversation_id, 'active',
    o.chat_id, o.opened_by, o.timeout_seconds, o.messages, o.inbound_at, o.outbound_at,
    o.waiting_since, now(), now()
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::int[],
    $8::int[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::uuid[])
    AS o(id, tenant_id, channel_id, contact_id, chat_id, opened_by, timeout_seconds, messages,
        inbound_at, outbound_at, waiting_since, conversation_id)
ORDER BY o.channel_id, o.contact_id
ON CONFLICT (tenant_id, channel_id, contact_id) WHERE status = 'active' DO UPDATE SET
    total_messages = sessions.total_messages + excluded.total_messages,
    last_interaction_at = greatest(sessions.last_interaction_at, clock_timestamp()),
    timeout_seconds = excluded.timeout_seconds,
    chat_id = coalesce(excluded.chat_id, sessions.chat_id),
    conversation_id = coalesce(sessions.conversation_id, excluded.conversation_id),
    first_inbound_at = coalesce(sessions.first_inbound_at, excluded.first_inbound_at),
    first_outbound_at = coalesce(sessions.first_outbound_at, excluded.first_outbound_at),
    waiting_since = CASE WHEN excluded.first_outbound_at IS NULL
        THEN coalesce(sessions.waiting_since, excluded.waiting_since)
        ELSE excluded.waiting_since END,
    updated_at = now()
RETURNING *
"""
_END = """
UPDATE sessions SET status = $2, ended_at = now(), end_reason = $3,
    custom_fields = custom_fields || $4::jsonb, version = version + 1, updated_at = now()
WHERE id = $1 AND status = 'active' AND ($5::int IS NULL OR total_messages = $5)
RETURNING *
"""
# Its turn is at once: the sweep looks for its workflow, which ended with it. Whoever has left since
# has it no more.
_REOPEN = """
UPDATE sessions SET status = 'active', ended_at = NULL, end_reason = NULL, check_at = now(),
    assigned_agent_id = (SELECT agent_id FROM agent_refs
        WHERE tenant_id = $2 AND agent_id = assigned_agent_id AND active FOR SHARE),
    last_interaction_at = clock_timestamp(), reopen_count = reopen_count + 1,
    version = version + 1, updated_at = now()
WHERE id = $1 AND tenant_id = $2 AND status <> 'active'
RETURNING *
"""
TAKE_DUE = """
WITH due AS (
    SELECT id, last_interaction_at + make_interval(secs => timeout_seconds + $1) AS ends_at
    FROM sessions WHERE status = 'active' AND check_at <= now()
    ORDER BY check_at LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE sessions s SET check_at = least(
    greatest(due.ends_at, now() + make_interval(secs => $3)),
    now() + make_interval(secs => $2 * (0.8 + 0.2 * random())))
FROM due WHERE s.id = due.id
RETURNING s.id, s.tenant_id, s.total_messages, s.last_interaction_at, s.timeout_seconds,
    due.ends_at <= now() AS overdue
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """Messages about to join the active session of a contact, or to open one.

    `conversation_id` is a group's.
    """

    tenant_id: str
    channel_id: UUID
    contact_id: UUID
    chat_id: str | None
    opened_by: str
    timeout_seconds: int
    messages: int
    talk: Talk
    conversation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The session the messages belong to. `opened`: they are its first."""

    session: Session
    opened: bool


SESSIONS = Rows(models.Session)
_SHOWN = tuple(Session.model_fields)


def resource(row: models.Session) -> Session:
    """A row as customers see it."""
    return Session.model_validate({name: getattr(row, name) for name in _SHOWN})


async def join(tx: Transaction, openings: Sequence[Opening]) -> dict[SessionKey, Joined]:
    """Find or open the one active session of each, and count the messages in.

    Database time moves `last_interaction_at`, not WhatsApp's: a late message keeps nobody waiting.
    """
    ids = [uuid7() for _ in openings]
    rows = await SESSIONS.find(
        tx,
        _OPEN,
        ids,
        [o.tenant_id for o in openings],
        [o.channel_id for o in openings],
        [o.contact_id for o in openings],
        [o.chat_id for o in openings],
        [o.opened_by for o in openings],
        [o.timeout_seconds for o in openings],
        [o.messages for o in openings],
        [o.talk.first_inbound_at for o in openings],
        [o.talk.first_outbound_at for o in openings],
        [o.talk.waiting_since for o in openings],
        [o.conversation_id for o in openings],
    )
    opened = set(ids)
    return {
        (row.tenant_id, row.channel_id, row.contact_id): Joined(resource(row), row.id in opened)
        for row in rows
    }


async def end(
    tx: Transaction,
    session_id: UUID,
    status: SessionStatus,
    reason: str,
    *,
    seen: int | None = None,
    custom_fields: dict[str, Any] | None = None,
) -> Session | None:
    """End an active session; None when it has ended, or has other than `seen` messages."""
    row = await SESSIONS.first(tx, _END, session_id, status, reason, custom_fields or {}, seen)
    return resource(row) if row is not None else None


async def reopen(tx: Transaction, session_id: UUID) -> Session | None:
    """Let a session that ended go on; None when it has not.

    Raises UniqueViolationError when its contact has another active one on the channel.
    """
    row = await SESSIONS.first(tx, _REOPEN, session_id, tx.tenant_id)
    return resource(row) if row is not None else None


async def find(tx: Transaction, session_id: UUID, *, lock: bool = False) -> Session | None:
    """One session, locked until the transaction ends if asked for; None when there is none."""
    suffix = " FOR UPDATE" if lock else ""
    one = f"SELECT * FROM sessions WHERE id = $1{suffix}"  # noqa: S608
    row = await SESSIONS.first(tx, one, session_id)
    return resource(row) if row is not None else None


async def get(tx: Transaction, session_id: UUID, *, lock: bool = False) -> Session:
    """As `find`, but NotFoundError when there is none."""
    session = await find(tx, session_id, lock=lock)
    if session is None:
        raise NotFoundError("session")
    return session


async def active_chat_id(tx: Transaction, contact_id: UUID, channel_id: UUID) -> str | None:
    """The direct chat the contact last wrote in, in the active session, if there is one."""
    chat_id: str | None = await tx.fetchval(
        "SELECT chat_id FROM sessions WHERE tenant_id = $1 AND channel_id = $2"
        " AND contact_id = $3 AND status = 'active'",
        tx.tenant_id,
        channel_id,
        contact_id,
    )
    return chat_id


async def chat_id_of(tx: Transaction, session_id: UUID) -> str | None:
    """The direct chat of a session, active or not."""
    chat_id: str | None = await tx.fetchval(
        "SELECT chat_id FROM sessions WHERE id = $1 AND tenant_id = $2", session_id, tx.tenant_id
    )
    return chat_id


@dataclass(frozen=True, slots=True)
class Watched:
    """An active session as its workflow needs to know it; the timeout in seconds."""

    id: UUID
    tenant_id: str
    total_messages: int
    last_interaction_at: datetime
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Due(Watched):
    """One whose turn it was. `overdue`: silent past its timeout and the grace."""

    overdue: bool


_DUE = Shape(Due)


async def take_due(
    tx: Transaction,
    *,
    grace_seconds: float,
    check_seconds: float | None,
    again_seconds: float,
    limit: int,
) -> list[Due]:
    """Active sessions whose turn it is, across tenants (scope `sweep`), those that waited longest.

    Taking one sets its next turn, so that whoever takes next, here or in another process, gets
    others: at the end of timeout and grace, but at least every `check_seconds` (None: no sooner;
    up to a fifth less, so that those who came together part), and after `again_seconds` if that end
    has passed. Whoever is being written to has its turn later: nobody waits for a lock here.
    """
    return await _DUE.find(tx, TAKE_DUE, grace_seconds, check_seconds, again_seconds, limit)
