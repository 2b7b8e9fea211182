"""SQL of conversations and sessions that go over to another contact, of many companies at once.

What it costs depends on how many conversations and sessions there are, never on messages: those
stay as they are. Rows are locked in the order docs/adr/0019-conversations.md gives.
"""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from shared_events.messaging.session import Session

from crm_messaging.conversations.models import Conversation
from crm_messaging.conversations.repository import CONVERSATIONS
from crm_messaging.sessions.repository import SESSIONS, resource

Pair = tuple[str, UUID, UUID]
"""Whose contacts, the winner and the loser."""

MERGED = "merged"
"""Why a session ended whose contact had another active one as somebody else."""

_PAIRS = "unnest($1::text[], $2::uuid[], $3::uuid[]) AS p(tenant_id, winner_id, loser_id)"
_IDENTITIES = f"""
WITH theirs AS MATERIALIZED (
    SELECT i.tenant_id, i.kind, i.canonical, p.winner_id FROM {_PAIRS}
    CROSS JOIN LATERAL (SELECT * FROM identity_refs
        WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id
        ORDER BY kind, canonical FOR UPDATE) AS i)
UPDATE identity_refs i SET contact_id = theirs.winner_id FROM theirs
WHERE i.tenant_id = theirs.tenant_id AND i.kind = theirs.kind AND i.canonical = theirs.canonical
"""  # noqa: S608 - our own text
_LOCK_SESSIONS = f"""
SELECT s.id FROM (
    SELECT s.id FROM {_PAIRS} CROSS JOIN LATERAL unnest(ARRAY[p.winner_id, p.loser_id]) AS k(id)
    CROSS JOIN LATERAL (SELECT id, channel_id, contact_id FROM sessions
        WHERE tenant_id = p.tenant_id AND contact_id = k.id
            AND (k.id = p.loser_id OR status = 'active') OFFSET 0) AS s
    ORDER BY s.channel_id, s.contact_id, s.id) AS k
CROSS JOIN LATERAL (SELECT id FROM sessions WHERE id = k.id LIMIT 1 FOR UPDATE) AS s
"""  # noqa: S608 - our own text
# Its contact is the winner in the same statement: there is no moment with two active ones.
_SESSIONS = f"""
WITH theirs AS MATERIALIZED (
    SELECT p.tenant_id, p.winner_id, s.id, s.status = 'active' AND EXISTS (
        SELECT 1 FROM sessions o WHERE o.tenant_id = p.tenant_id AND o.channel_id = s.channel_id
            AND o.contact_id = p.winner_id AND o.status = 'active') AS ends
    FROM {_PAIRS}
    CROSS JOIN LATERAL (SELECT id, channel_id, status FROM sessions
        WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id OFFSET 0) AS s)
UPDATE sessions s SET contact_id = theirs.winner_id, updated_at = now(),
    status = CASE WHEN ends THEN 'closed' ELSE status END,
    ended_at = CASE WHEN ends THEN now() ELSE ended_at END,
    end_reason = CASE WHEN ends THEN '{MERGED}' ELSE end_reason END,
    version = version + CASE WHEN ends THEN 1 ELSE 0 END
FROM theirs WHERE s.id = theirs.id AND s.tenant_id = theirs.tenant_id
RETURNING s.*, theirs.ends
"""  # noqa: S608 - our own text
_CONVERSATIONS = f"""
SELECT c.* FROM (
    SELECT c.id FROM {_PAIRS} CROSS JOIN LATERAL unnest(ARRAY[p.winner_id, p.loser_id]) AS k(id)
    CROSS JOIN LATERAL (SELECT id FROM conversations
        WHERE tenant_id = p.tenant_id AND contact_id = k.id OFFSET 0) AS c
    ORDER BY c.id) AS k
CROSS JOIN LATERAL (SELECT * FROM conversations WHERE id = k.id LIMIT 1 FOR UPDATE) AS c
"""  # noqa: S608 - our own text
_POINT = """
UPDATE conversations c SET contact_id = n.contact_id, updated_at = now(),
    status = CASE WHEN c.session_id = ANY($4) THEN 'closed' ELSE c.status END,
    assigned_agent_id = CASE WHEN c.session_id = ANY($4) THEN NULL ELSE c.assigned_agent_id END
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS n(tenant_id, id, contact_id)
WHERE c.id = n.id AND c.tenant_id = n.tenant_id
"""


async def identities(tx: Transaction, pairs: Sequence[Pair]) -> None:
    """Whatever id the losers are shown by is their winners'."""
    await tx.execute(_IDENTITIES, *_arrays(pairs))


async def lock_sessions(tx: Transaction, pairs: Sequence[Pair]) -> None:
    """Keep all sessions of the pairs' second, and active ones of the first, as they are."""
    await tx.fetch(_LOCK_SESSIONS, *_arrays(pairs))


async def sessions(tx: Transaction, pairs: Sequence[Pair]) -> list[tuple[str, Session]]:
    """The losers' sessions are their winners'; those that end by it, with whose they are.

    A loser's active one ends where the winner has one on the channel, and else goes on.
    """
    await lock_sessions(tx, pairs)
    moved = await tx.fetch(_SESSIONS, *_arrays(pairs))
    return [(row["tenant_id"], resource(SESSIONS.value(row))) for row in moved if row["ends"]]


async def conversations(tx: Transaction, pairs: Sequence[Pair]) -> list[Conversation]:
    """Those of winners and losers, locked."""
    return await CONVERSATIONS.find(tx, _CONVERSATIONS, *_arrays(pairs))


async def point(
    tx: Transaction, pointers: Sequence[tuple[Conversation, UUID]], ended: Sequence[UUID]
) -> None:
    """Let conversations, whose locks are held, be these contacts'; show which sessions ended."""
    await tx.execute(
        _POINT,
        [conversation.tenant_id for conversation, _ in pointers],
        [conversation.id for conversation, _ in pointers],
        [contact_id for _, contact_id in pointers],
        ended,
    )


def _arrays(pairs: Sequence[Pair]) -> tuple[list[str], list[UUID], list[UUID]]:
    return (
        [tenant_id for tenant_id, _, _ in pairs],
        [winner_id for _, winner_id, _ in pairs],
        [loser_id for _, _, loser_id in pairs],
    )
