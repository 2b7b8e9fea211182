"""SQL of conversations. They are locked after sessions and before messages, in order of ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.rows import Rows, Shape
from shared_events.identity import conversation_id
from shared_events.messaging.session import Session

from crm_messaging.conversations import models
from crm_messaging.replicas.models import ContactRef

CONVERSATIONS = Rows(models.Conversation)

# What somebody of the company writes answers all that was said before: it is read.
_SAY = """
INSERT INTO conversations AS c (id, tenant_id, channel_id, contact_id, is_group, chat_id,
    seq, unread_count, read_seq, session_id, status, assigned_agent_id)
SELECT t.id, t.tenant_id, t.channel_id, t.contact_id, t.chat_id IS NOT NULL, t.chat_id,
    t.messages, t.unread, t.answered, t.session_id, t.status, t.agent_id
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::int[],
    $8::int[], $9::uuid[], $10::text[], $11::uuid[])
    AS t(id, tenant_id, channel_id, contact_id, chat_id, messages, unread, answered,
        session_id, status, agent_id)
ORDER BY t.id
ON CONFLICT (id) DO UPDATE SET
    seq = c.seq + excluded.seq,
    unread_count = excluded.unread_count
        + CASE WHEN excluded.read_seq > 0 THEN 0 ELSE c.unread_count END,
    read_seq = CASE WHEN excluded.read_seq > 0 THEN c.seq + excluded.read_seq ELSE c.read_seq END,
    last_message_at = greatest(c.last_message_at, now()),
    session_id = excluded.session_id,
    status = excluded.status,
    assigned_agent_id = excluded.assigned_agent_id,
    updated_at = now()
WHERE c.tenant_id = excluded.tenant_id
RETURNING c.id, c.seq
"""
_FOLLOW = """
UPDATE conversations SET status = $3, assigned_agent_id = $4, session_id = $5, updated_at = now()
WHERE tenant_id = $2 AND ($3 = 'active' OR session_id = $5) AND id = coalesce($8::uuid,
    (SELECT (threads ->> $6)::uuid FROM contact_refs WHERE tenant_id = $2 AND contact_id = $7), $1)
"""
_GO_TO = """
WITH theirs AS MATERIALIZED (
    SELECT c.id, n.session_id, n.agent_id FROM (
        SELECT n.*, coalesce(n.group_id, p.thread_id, n.conversation_id) AS thread_id
        FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[],
                $7::uuid[]) AS n(tenant_id, conversation_id, channel_id, contact_id, session_id,
                agent_id, group_id)
        LEFT JOIN LATERAL (SELECT (threads ->> n.channel_id::text)::uuid AS thread_id
            FROM contact_refs
            WHERE tenant_id = n.tenant_id AND contact_id = n.contact_id LIMIT 1) AS p ON true
        ORDER BY thread_id) AS n
    CROSS JOIN LATERAL (SELECT id FROM conversations
        WHERE id = n.thread_id AND tenant_id = n.tenant_id LIMIT 1 FOR UPDATE) AS c)
UPDATE conversations c SET assigned_agent_id = theirs.agent_id, session_id = theirs.session_id,
    status = 'active', updated_at = now()
FROM theirs WHERE c.id = theirs.id
"""
_EXISTING = """
SELECT c.id FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (SELECT id FROM conversations
    WHERE id = k.id AND tenant_id = k.tenant_id LIMIT 1) AS c
"""
_READ = """
UPDATE conversations SET read_seq = $3, updated_at = now(), unread_count = (
    SELECT count(*) FROM messages WHERE conversation_id = $1 AND seq > $3 AND tenant_id = $2
        AND direction = 'inbound' AND NOT historical)
WHERE id = $1 AND tenant_id = $2
RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages about to join a conversation, in their order.

    `unread` of them wait for an answer; `answered` is the place among them of the last one that
    the company wrote, 0 when it wrote none. `chat_id` is a group's.
    """

    id: UUID
    tenant_id: str
    channel_id: UUID
    contact_id: UUID | None
    chat_id: str | None
    messages: int
    unread: int
    answered: int
    session: Session


@dataclass(frozen=True, slots=True)
class _Said:
    id: UUID
    seq: int


_SAID = Shape(_Said)


def id_of(channel_id: UUID, contact: ContactRef, group: str | None) -> UUID:
    """The conversation of a contact on a channel, or of a group's chat.

    All chats a person writes from are one: its phone's, its hidden id's, another spelling's. Who
    had none here when somebody was merged into it goes on in theirs.
    """
    if group is not None:
        return conversation_id(channel_id, group)
    went_on = contact.threads.get(str(channel_id))
    return UUID(went_on) if went_on else conversation_id(channel_id, str(contact.contact_id))


async def say(tx: Transaction, turns: Sequence[Turn]) -> dict[UUID, int]:
    """Let messages join their conversations; the `seq` of the last one in each.

    The caller holds the locks of their sessions, and gets those of the conversations.
    """
    said = await _SAID.find(
        tx,
        _SAY,
        [t.id for t in turns],
        [t.tenant_id for t in turns],
        [t.channel_id for t in turns],
        [t.contact_id for t in turns],
        [t.chat_id for t in turns],
        [t.messages for t in turns],
        [t.unread for t in turns],
        [t.answered for t in turns],
        [t.session.id for t in turns],
        [t.session.status for t in turns],
        [t.session.assigned_agent_id for t in turns],
    )
    return {each.id: each.seq for each in said}


async def find(tx: Transaction, id_: UUID, *, lock: bool = False) -> models.Conversation | None:
    """One conversation, locked until the transaction ends if asked for; None when it is missing."""
    suffix = " FOR UPDATE" if lock else ""
    one = f"SELECT * FROM conversations WHERE id = $1 AND tenant_id = $2{suffix}"  # noqa: S608
    return await CONVERSATIONS.first(tx, one, id_, tx.tenant_id)


async def get(tx: Transaction, id_: UUID, *, lock: bool = False) -> models.Conversation:
    """As `find`, but NotFoundError when it is missing."""
    row = await find(tx, id_, lock=lock)
    if row is None:
        raise NotFoundError("conversation")
    return row


async def existing(tx: Transaction, wanted: Collection[tuple[str, UUID]]) -> set[UUID]:
    """Those of the conversations, by tenant and id, that there are."""
    found = await tx.fetch(_EXISTING, *map(list, zip(*sorted(wanted), strict=True)))
    return {row["id"] for row in found}


async def read(tx: Transaction, id_: UUID, up_to_seq: int) -> models.Conversation:
    """Note how far it was read, and count what is left. Its lock is held: nothing joins it."""
    row = await CONVERSATIONS.first(tx, _READ, id_, tx.tenant_id, up_to_seq)
    if row is None:
        raise NotFoundError("conversation")
    return row


async def follow(tx: Transaction, session: Session) -> None:
    """Show in the conversation what became of its session; the session's lock is held.

    The one that is active is always shown, another only where it is the newest.
    """
    assigned = session.assigned_agent_id if session.status == "active" else None
    await tx.execute(
        _FOLLOW,
        conversation_id(session.channel_id, str(session.contact_id)),
        tx.tenant_id,
        session.status,
        assigned,
        session.id,
        str(session.channel_id),
        session.contact_id,
        session.conversation_id,
    )


async def go_to(tx: Transaction, sessions: Sequence[tuple[str, Session]]) -> None:
    """Show in conversations who has their active sessions now, of many companies at once; the
    sessions' locks are held."""
    await tx.execute(
        _GO_TO,
        [tenant_id for tenant_id, _ in sessions],
        [conversation_id(s.channel_id, str(s.contact_id)) for _, s in sessions],
        [s.channel_id for _, s in sessions],
        [s.contact_id for _, s in sessions],
        [s.id for _, s in sessions],
        [s.assigned_agent_id for _, s in sessions],
        [s.conversation_id for _, s in sessions],
    )
