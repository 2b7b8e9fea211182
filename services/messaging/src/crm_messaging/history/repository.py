"""SQL of history. Locks are taken in the order docs/adr/0019-conversations.md gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events.messaging.session import Session

from crm_messaging.history.numbering import Numbers
from crm_messaging.sessions import repository as sessions
from crm_messaging.sessions.repository import SESSIONS, SessionKey

# It was never active: nobody is told of it, and no list, report or sweep knows it.
_SESSIONS = f"""
INSERT INTO sessions AS s (id, tenant_id, project_id, channel_id, contact_id, conversation_id,
    status, opened_by, timeout_seconds, total_messages, started_at, last_interaction_at, ended_at,
    end_reason)
SELECT i.id, i.tenant_id, i.tenant_id, i.channel_id, i.contact_id, i.conversation_id,
    'closed', '{sessions.HISTORY}', i.timeout_seconds, i.messages, i.began_at, i.ended_at,
    i.ended_at, '{sessions.HISTORY}'
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::int[],
    $7::timestamptz[], $8::timestamptz[], $9::uuid[]) AS i(id, tenant_id, channel_id, contact_id,
        timeout_seconds, messages, began_at, ended_at, conversation_id)
ORDER BY i.channel_id, i.contact_id
ON CONFLICT (id) DO UPDATE SET
    conversation_id = coalesce(s.conversation_id, excluded.conversation_id),
    total_messages = s.total_messages + excluded.total_messages,
    started_at = least(s.started_at, excluded.started_at),
    last_interaction_at = greatest(s.last_interaction_at, excluded.last_interaction_at),
    ended_at = greatest(s.ended_at, excluded.ended_at),
    updated_at = now()
WHERE s.tenant_id = excluded.tenant_id
RETURNING *
"""  # noqa: S608 - our own text
# One that is there is locked, and stays as it is.
_OPEN = """
INSERT INTO conversations AS c (id, tenant_id, channel_id, contact_id, is_group, chat_id,
    last_message_at)
SELECT t.id, t.tenant_id, t.channel_id, t.contact_id, t.chat_id IS NOT NULL, t.chat_id, t.newest_at
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
    AS t(id, tenant_id, channel_id, contact_id, chat_id, newest_at)
ORDER BY t.id
ON CONFLICT (id) DO UPDATE SET seq = c.seq WHERE c.tenant_id = excluded.tenant_id
RETURNING c.id, c.seq, c.read_seq
"""
# From the first message on, to the first that is not older: mostly that is the first one. OFFSET
# keeps the planner to the conversation's own index.
_AMONG = """
SELECT k.place, h.seq AS head, f.seq AS before
FROM unnest($1::int[], $2::text[], $3::uuid[], $4::timestamptz[])
    AS k(place, tenant_id, conversation_id, at)
CROSS JOIN LATERAL (SELECT seq FROM messages
    WHERE conversation_id = k.conversation_id AND tenant_id = k.tenant_id
    ORDER BY seq LIMIT 1) AS h
LEFT JOIN LATERAL (SELECT seq FROM (SELECT seq, placed_at FROM messages
        WHERE conversation_id = k.conversation_id AND tenant_id = k.tenant_id
        ORDER BY seq OFFSET 0) AS m
    WHERE placed_at >= k.at LIMIT 1) AS f ON true
"""
# Numbers are unique at every moment: those that move step aside first, far from any other. One by
# one in one round trip, as everywhere: a join with arrays would read all messages of a young table.
_ASIDE = 1_000_000_000
_STEP_ASIDE = f"""
UPDATE messages SET seq = seq + $5 - {_ASIDE}
WHERE tenant_id = $1 AND conversation_id = $2 AND seq >= $3 AND seq < $4
"""  # noqa: S608 - our own text
_STEP_BACK = f"""
UPDATE messages SET seq = seq + {_ASIDE}
WHERE tenant_id = $1 AND conversation_id = $2 AND seq < -{_ASIDE // 2}
"""  # noqa: S608 - our own text
_GROW = """
UPDATE conversations SET seq = seq + $3, read_seq = read_seq + $4, updated_at = now()
WHERE tenant_id = $1 AND id = $2
"""

_SURFACE = """
UPDATE conversations c SET session_id = $3, status = $4, assigned_agent_id = $5,
    read_seq = greatest(read_seq, $6), last_message_at = greatest(last_message_at, now()),
    updated_at = now(), unread_count = (SELECT count(*) FROM messages
        WHERE conversation_id = $2 AND tenant_id = $1 AND seq > greatest(c.read_seq, $6)
            AND direction = 'inbound' AND NOT historical)
WHERE tenant_id = $1 AND id = $2
"""

ConversationKey = tuple[str, UUID]
"""Tenant and conversation."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What history has of a contact on a channel in one batch; `conversation_id` is a group's."""

    key: SessionKey
    timeout_seconds: int
    messages: int
    began_at: datetime
    ended_at: datetime
    conversation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Joining:
    """A conversation that history is about to join; `chat_id` is a group's."""

    key: ConversationKey
    channel_id: UUID
    contact_id: UUID | None
    chat_id: str | None
    newest_at: datetime


@dataclass(slots=True)
class Surfacing:
    """A conversation that messages joined which nobody has seen; `answered` is the last of ours."""

    key: ConversationKey
    session: Session
    answered: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation whose lock is held: its last place, and how far it was read."""

    id: UUID
    seq: int
    read_seq: int


@dataclass(frozen=True, slots=True)
class Among:
    """Where a message stands: the first place there is, and that of the first not older."""

    place: int
    head: int
    before: int | None


_OPENED = Shape(Opened)
_AMONG_SHAPE = Shape(Among)


async def intervals(tx: Transaction, found: Sequence[Interval]) -> dict[SessionKey, Session]:
    """The sessions that hold what was imported, one for each contact on a channel."""
    rows = await SESSIONS.find(
        tx,
        _SESSIONS,
        [uuid5(i.key[1], f"history/{i.key[2]}") for i in found],
        [i.key[0] for i in found],
        [i.key[1] for i in found],
        [i.key[2] for i in found],
        [i.timeout_seconds for i in found],
        [i.messages for i in found],
        [i.began_at for i in found],
        [i.ended_at for i in found],
        [i.conversation_id for i in found],
    )
    return {(row.tenant_id, row.channel_id, row.contact_id): sessions.resource(row) for row in rows}


async def open_(tx: Transaction, joining: Sequence[Joining]) -> dict[UUID, Opened]:
    """Their conversations, made where there are none; nothing else joins them until the commit."""
    opened = await _OPENED.find(
        tx,
        _OPEN,
        [j.key[1] for j in joining],
        [j.key[0] for j in joining],
        [j.channel_id for j in joining],
        [j.contact_id for j in joining],
        [j.chat_id for j in joining],
        [j.newest_at for j in joining],
    )
    return {each.id: each for each in opened}


async def among(
    tx: Transaction, said: Sequence[tuple[ConversationKey, datetime]]
) -> dict[int, Among]:
    """Where each belongs in its conversation, by its place in `said`; nothing where it is empty."""
    found = await _AMONG_SHAPE.find(
        tx,
        _AMONG,
        list(range(len(said))),
        [tenant_id for (tenant_id, _), _ in said],
        [id_ for (_, id_), _ in said],
        [at for _, at in said],
    )
    return {each.place: each for each in found}


async def make_room(tx: Transaction, numbers: Mapping[ConversationKey, Numbers]) -> None:
    """Let what is behind new messages move up; the locks of the conversations are held."""
    moved = [(*key, s.first, s.end, s.by) for key, n in numbers.items() for s in n.shifts]
    if moved:
        await tx.connection.executemany(_STEP_ASIDE, moved)
        await tx.connection.executemany(_STEP_BACK, sorted({row[:2] for row in moved}))
    grown = [(*key, n.inserted, n.read) for key, n in numbers.items() if n.inserted]
    if grown:
        await tx.connection.executemany(_GROW, grown)


async def surface(tx: Transaction, found: Sequence[Surfacing]) -> None:
    """Show conversations, whose locks are held, with their sessions, and count what is unread."""
    rows = [
        (*one.key, one.session.id, one.session.status, one.session.assigned_agent_id, one.answered)
        for one in found
    ]
    await tx.connection.executemany(_SURFACE, rows)
