"""SQL of strays. Locks are taken in the order docs/adr/0019-conversations.md gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape

from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.strays.order import Message, Numbered, Stray

SCOPE = "strays"
"""Sees the messages of all companies that have no conversation, and nothing else."""

_LEAD = "SELECT pg_try_advisory_xact_lock(hashtextextended('messaging/strays/' || $1, 0))"
_COUNT = """
SELECT count(*) FROM (SELECT 1 FROM messages WHERE conversation_id IS NULL LIMIT $1) AS few
"""
_NEXT_TENANT = """
SELECT tenant_id FROM messages WHERE conversation_id IS NULL AND tenant_id > $1
ORDER BY tenant_id LIMIT 1
"""
_STRAYS = """
SELECT * FROM messages WHERE tenant_id = $1 AND conversation_id IS NULL
ORDER BY session_id, seq LIMIT $2
"""
_LOCK_SESSIONS = """
SELECT s.id, s.status = 'active' AS is_active, s.started_at FROM (
    SELECT s.id FROM unnest($2::uuid[]) AS k(id)
    CROSS JOIN LATERAL (SELECT id, channel_id, contact_id FROM sessions
        WHERE id = k.id AND tenant_id = $1 LIMIT 1) AS s
    ORDER BY s.channel_id, s.contact_id, s.id) AS k
CROSS JOIN LATERAL (SELECT * FROM sessions WHERE id = k.id LIMIT 1 FOR UPDATE) AS s
"""
_OPEN = """
INSERT INTO conversations AS c (id, tenant_id, channel_id, contact_id, is_group, chat_id,
    last_message_at)
SELECT t.id, $1, t.channel_id, t.contact_id, t.chat_id IS NOT NULL, t.chat_id, t.last_message_at
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
    AS t(id, channel_id, contact_id, chat_id, last_message_at)
ORDER BY t.id
ON CONFLICT (id) DO UPDATE SET
    last_message_at = greatest(c.last_message_at, excluded.last_message_at), updated_at = now()
WHERE c.tenant_id = excluded.tenant_id
RETURNING c.id, c.seq, c.read_seq, c.session_id
"""
# From the end to the last one stored before: no more is read than is moved.
_BEHIND = """
SELECT m.* FROM unnest($2::uuid[], $3::timestamptz[]) AS k(id, since)
LEFT JOIN LATERAL (SELECT seq FROM messages
    WHERE conversation_id = k.id AND tenant_id = $1 AND created_at <= k.since
    ORDER BY seq DESC LIMIT 1) AS before ON true
CROSS JOIN LATERAL (SELECT id, conversation_id, seq, created_at, placed_at FROM messages
    WHERE conversation_id = k.id AND tenant_id = $1 AND seq > coalesce(before.seq, 0)
    OFFSET 0) AS m
"""
_LOCK = """
SELECT m.id FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (SELECT id FROM messages
    WHERE id = k.id AND tenant_id = $1 LIMIT 1 FOR UPDATE) AS m
"""
# Numbers are unique at every moment: those that change step aside first, far from any other.
_STEP_ASIDE = """
UPDATE messages SET seq = seq - 1000000000 WHERE tenant_id = $1 AND id = ANY($2::uuid[])
"""
_NUMBER = """
UPDATE messages m SET conversation_id = k.conversation_id, seq = k.seq, placed_at = k.placed_at
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::timestamptz[])
    AS k(id, conversation_id, seq, placed_at)
WHERE m.id = k.id AND m.tenant_id = $1
"""
_FOLLOW = """
UPDATE conversations c SET seq = n.seq, read_seq = n.read_seq, unread_count = (
        SELECT count(*) FROM messages WHERE conversation_id = n.id AND seq > n.read_seq
            AND tenant_id = $1 AND direction = 'inbound' AND NOT historical),
    session_id = n.session_id, status = n.status, assigned_agent_id = n.agent_id
FROM (SELECT k.*, s.id AS session_id, s.status,
        CASE WHEN s.status = 'active' THEN s.assigned_agent_id END AS agent_id
    FROM unnest($2::uuid[], $3::int[], $4::int[], $5::uuid[], $6::uuid[])
        AS k(id, seq, read_seq, shown_id, newest_id)
    LEFT JOIN LATERAL (SELECT * FROM sessions
        WHERE tenant_id = $1 AND id IN (k.shown_id, k.newest_id)
        ORDER BY status = 'active' DESC, started_at DESC LIMIT 1) AS s ON true) AS n
WHERE c.id = n.id AND c.tenant_id = $1
"""


@dataclass(frozen=True, slots=True)
class Session:
    """An interval that strays are of."""

    id: UUID
    is_active: bool
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation whose lock is held: its last place, how far it was read, what it shows."""

    id: UUID
    seq: int
    read_seq: int
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class Joining:
    """A conversation that strays are about to join; `chat_id` is a group's."""

    id: UUID
    channel_id: UUID
    contact_id: UUID | None
    chat_id: str | None
    strays: Sequence[Stray]


@dataclass(frozen=True, slots=True)
class Joined:
    """What a conversation shows once strays have joined it; a group shows no session."""

    id: UUID
    seq: int
    read_seq: int
    shown_id: UUID | None
    newest_id: UUID | None


_STRAY = Shape(Stray)
_SESSION = Shape(Session)
_OPENED = Shape(Opened)
_NUMBERED = Shape(Numbered)


async def lead(tx: Transaction) -> bool:
    """Be the only one at the tenant's until the transaction ends; False when somebody else is."""
    return bool(await tx.fetchval(_LEAD, tx.tenant_id))


async def count(tx: Transaction, at_most: int) -> int:
    """How many there are in all companies (scope `strays`)."""
    return int(await tx.fetchval(_COUNT, at_most))


async def next_tenant(tx: Transaction, after: str) -> str | None:
    """The next company that has some (scope `strays`)."""
    tenant_id: str | None = await tx.fetchval(_NEXT_TENANT, after)
    return tenant_id


async def find(tx: Transaction, limit: int) -> list[Stray]:
    """Some of the tenant's, each session's from its first."""
    return await _STRAY.find(tx, _STRAYS, tx.tenant_id, limit)


async def lock_sessions(tx: Transaction, strays: Sequence[Stray]) -> dict[UUID, Session]:
    """Their sessions: nobody writes in them, and they stay as they are, until the commit."""
    ids = sorted({stray.session_id for stray in strays})
    return {row.id: row for row in await _SESSION.find(tx, _LOCK_SESSIONS, tx.tenant_id, ids)}


async def open_(tx: Transaction, joining: Sequence[Joining]) -> dict[UUID, Opened]:
    """Their conversations, made where there are none; nothing else joins them until the commit."""
    opened = await _OPENED.find(
        tx,
        _OPEN,
        tx.tenant_id,
        [each.id for each in joining],
        [each.channel_id for each in joining],
        [each.contact_id for each in joining],
        [each.chat_id for each in joining],
        [max(stray.created_at for stray in each.strays) for each in joining],
    )
    return {row.id: row for row in opened}


async def behind(tx: Transaction, joining: Sequence[Joining]) -> dict[UUID, list[Numbered]]:
    """By conversation, what was numbered behind the moment its first stray was stored."""
    found: dict[UUID, list[Numbered]] = {each.id: [] for each in joining}
    since = [min(stray.created_at for stray in each.strays) for each in joining]
    for row in await _NUMBERED.find(tx, _BEHIND, tx.tenant_id, [*found], since):
        found[row.conversation_id].append(row)
    return found


async def number(tx: Transaction, numbers: Mapping[UUID, Sequence[tuple[int, Message]]]) -> None:
    """Give messages their places, by conversation, whose lock is held."""
    given = [(id_, seq, each) for id_, said in numbers.items() for seq, each in said]
    ids = sorted(each.id for _, _, each in given)
    await tx.fetch(_LOCK, tx.tenant_id, ids)
    moved = [each.id for _, _, each in given if isinstance(each, Numbered)]
    await tx.execute(_STEP_ASIDE, tx.tenant_id, moved)
    await tx.execute(
        _NUMBER,
        tx.tenant_id,
        [each.id for _, _, each in given],
        [id_ for id_, _, _ in given],
        [seq for _, seq, _ in given],
        [_placed_at(each) for _, _, each in given],
    )


def _placed_at(message: Message) -> datetime:
    if isinstance(message, Numbered):
        return message.placed_at
    return placed_at(message.sent_at, message.created_at)


async def follow(tx: Transaction, joined: Sequence[Joined]) -> None:
    """Show in conversations, whose locks are held, what they are by now."""
    await tx.execute(
        _FOLLOW,
        tx.tenant_id,
        [each.id for each in joined],
        [each.seq for each in joined],
        [each.read_seq for each in joined],
        [each.shown_id for each in joined],
        [each.newest_id for each in joined],
    )
