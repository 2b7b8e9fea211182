"""SQL of messages, many at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from asyncpg import SerializationError
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.rows import Rows, Shape
from shared_events.messaging.message import Message, Reaction, ReceiptCounts
from shared_events.messaging.poll import Vote
from shared_events.messaging.session import SessionStatus, SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

from crm_messaging.messages import models
from crm_messaging.messages.events import Conversation
from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.polls import result
from crm_messaging.messages.receipts import Receipt, Step
from crm_messaging.replicas import merged

MessageKey = tuple[str, UUID, str]
"""Tenant, channel and WhatsApp's id of the message; the latter two are unique together."""

# Sessions before messages, as where messages arrive. Message events are their session's: without
# its lock one could be told with a lower sequence, yet after the event that ended the session.
# LATERAL with LIMIT 1, here and below: one look into an index per message, whatever the planner
# believes of a table that grew since it was last analysed.
_REACTIONS = """
(SELECT jsonb_agg(jsonb_build_object('emoji', r.emoji, 'by', r.by, 'agent_id', r.agent_id,
    'participant', r.participant, 'at', r.reacted_at) ORDER BY r.reacted_at, r.sender)
    FROM (SELECT * FROM message_reactions WHERE message_id = m.id AND tenant_id = m.tenant_id
        ORDER BY sender LIMIT 2000) AS r WHERE r.emoji <> '') AS reactions
"""
_VOTES = """
CASE WHEN m.content_type = 'poll' THEN (SELECT jsonb_agg(jsonb_build_object('options', v.options,
    'by', v.by, 'participant', v.participant, 'at', v.voted_at))
    FROM (SELECT * FROM message_votes WHERE message_id = m.id AND tenant_id = m.tenant_id
        ORDER BY sender LIMIT 2000) AS v) END AS votes
"""
_SHOW = f"""
SELECT m.id, {merged.AUTHOR} AS contact_id, {_REACTIONS}, {_VOTES} FROM unnest($1::uuid[]) AS k(id)
CROSS JOIN LATERAL (SELECT id, tenant_id, session_id, contact_id, content_type FROM messages
    WHERE id = k.id AND tenant_id = $2 LIMIT 1) AS m
CROSS JOIN LATERAL (SELECT contact_id, conversation_id FROM sessions
    WHERE id = m.session_id AND tenant_id = $2 LIMIT 1) AS s
"""  # noqa: S608 - our own text
_LOCK = f"""
WITH wanted AS MATERIALIZED (
    SELECT k.id, m.session_id
    FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
    CROSS JOIN LATERAL (SELECT * FROM messages
        WHERE id = k.id AND tenant_id = k.tenant_id LIMIT 1) AS m),
held AS MATERIALIZED (
    SELECT s.id, s.status, s.contact_id, s.conversation_id
    FROM (SELECT o.channel_id, o.contact_id, o.id
        FROM (SELECT DISTINCT session_id FROM wanted) AS w
        CROSS JOIN LATERAL (SELECT id, channel_id, contact_id FROM sessions
            WHERE id = w.session_id LIMIT 1) AS o ORDER BY 1, 2, 3) AS w
    CROSS JOIN LATERAL (SELECT id, status, contact_id, conversation_id FROM sessions
        WHERE id = w.id LIMIT 1 FOR UPDATE) AS s)
SELECT m.*, s.status AS session_status, p.id AS person_id,
    c.name AS contact_name, c.phone AS contact_phone, h.name AS channel_name,
    {_REACTIONS}, {_VOTES}
FROM (SELECT id, session_id FROM wanted ORDER BY id) AS w
JOIN held AS s ON s.id = w.session_id
CROSS JOIN LATERAL (SELECT * FROM messages
    WHERE id = w.id AND session_id = s.id LIMIT 1 FOR UPDATE) AS m
CROSS JOIN LATERAL (SELECT {merged.AUTHOR} AS id) AS p
LEFT JOIN contact_refs c ON c.tenant_id = m.tenant_id AND c.contact_id = p.id
LEFT JOIN channel_refs h ON h.tenant_id = m.tenant_id AND h.channel_id = m.channel_id
"""  # noqa: S608 - our own text
# Whose it is is looked at afterwards: the tenant's own indexes seem as good in a young table, and
# would be read from end to end.
_FIND_IDS = """
SELECT m.id, k.tenant_id, k.channel_id, k.external_id
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, channel_id, external_id)
CROSS JOIN LATERAL (SELECT id, tenant_id FROM messages
    WHERE channel_id = k.channel_id AND external_id = k.external_id LIMIT 1) AS m
WHERE m.tenant_id = k.tenant_id
"""
_TAKE_PARKED = """
DELETE FROM parked_receipts WHERE (tenant_id, channel_id, external_id)
    IN (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])) RETURNING *
"""
MESSAGES = Rows(models.Message)
_RECEIPTS = Rows(models.ParkedReceipt)
_ONCE = "(channel_id, external_id) WHERE external_id IS NOT NULL"
_SAVED = (
    *("external_id", "status", "sent_at", "delivered_at", "read_at", "played_at"),
    *("failed_at", "failure_reason", "revoked_at", "media_mime_type", "metadata_"),
    *("version", "updated_at"),
    *("delivered_count", "read_count", "played_count"),
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A message by its two ids."""

    id: UUID
    tenant_id: str
    channel_id: UUID
    external_id: str


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands beside a message in its events."""

    session_status: SessionStatus
    person_id: UUID
    contact_name: str | None
    contact_phone: str | None
    channel_name: str | None
    reactions: list[dict[str, Any]] | None
    votes: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """The reactions and votes on a message, and who its contact is by now."""

    id: UUID
    contact_id: UUID
    reactions: list[dict[str, Any]] | None
    votes: list[dict[str, Any]] | None


_SHOWN_BY_ID = Shape(_Shown)
_NAMED = Shape(_Named)
_AROUND = Shape(_Around)


@dataclass(frozen=True, slots=True)
class Said:
    """A message, whose it is and the chat it was said in."""

    tenant_id: str
    message: Message
    chat_id: str


@dataclass(frozen=True, slots=True)
class Stored(Said):
    """A message with what its events show beside it."""

    conversation: Conversation

    @property
    def in_group(self) -> bool:
        """Whether several people read it."""
        return is_group(self.chat_id)


_BESIDE = ("metadata", "reactions", "receipts", "poll")
_SHOWN = tuple(name for name in Message.model_fields if name not in _BESIDE)


def is_group(chat_id: str) -> bool:
    """Whether a chat is one of several people."""
    return chat_id.endswith("@g.us")


def resource(row: models.Message) -> Message:
    """A row as customers see it, but for the reactions and votes on it."""
    shown = {name: getattr(row, name) for name in _SHOWN}
    counts = {
        "delivered": row.delivered_count,
        "read": row.read_count,
        "played": row.played_count,
    }
    in_group = row.direction == "outbound" and is_group(row.chat_id)
    beside = {
        "metadata": row.metadata_,
        "receipts": counts if in_group else None,
    }
    return Message.model_validate({**shown, **beside})


def row_of(said: Said) -> models.Message:
    """A message as it is stored."""
    message = said.message
    shown = {name: getattr(message, name) for name in _SHOWN}
    counts = message.receipts or ReceiptCounts()
    return models.Message.model_construct(
        **shown,
        metadata_=message.metadata,
        tenant_id=said.tenant_id,
        chat_id=said.chat_id,
        placed_at=placed_at(message.sent_at, message.created_at),
        delivered_count=counts.delivered,
        read_count=counts.read,
        played_count=counts.played,
    )


def _beside(message: Message, beside: _Around | _Shown, contact_id: UUID) -> Message:
    """A message with what people did to it; its contact is whoever that is by now."""
    reactions = [Reaction.model_validate(each) for each in beside.reactions or ()]
    votes = [Vote.model_validate(each) for each in beside.votes or ()]
    poll = result(message.metadata, votes)
    changes = {"contact_id": contact_id, "reactions": reactions, "poll": poll}
    return message.model_copy(update=changes)


def _stored(row: models.Message, around: _Around) -> Stored:
    return Stored(
        row.tenant_id,
        _beside(resource(row), around, around.person_id),
        row.chat_id,
        Conversation(
            ContactSummary(
                id=around.person_id, name=around.contact_name or "", phone=around.contact_phone
            ),
            SessionSummary(id=row.session_id, status=around.session_status),
            ChannelSummary(id=row.channel_id, name=around.channel_name or ""),
        ),
    )


def _keys(keys: Iterable[MessageKey]) -> tuple[list[str], list[UUID], list[str]]:
    unique = sorted(set(keys))
    return [k[0] for k in unique], [k[1] for k in unique], [k[2] for k in unique]


async def insert(tx: Transaction, messages: Sequence[Said]) -> None:
    """Store new messages.

    Raises SerializationError, which the caller's whole transaction is repeated for, when another
    transaction stored one of them meanwhile: its place in the conversation must not stay empty.
    """
    stored = await MESSAGES.insert(tx, map(row_of, messages), unless=_ONCE)
    if stored != len(messages):
        raise SerializationError("a message was stored twice at once")


async def save(tx: Transaction, messages: Iterable[Said]) -> None:
    """Store how far messages got; their locks are held."""
    await MESSAGES.update(tx, map(row_of, messages), *_SAVED)


async def get(tx: Transaction, message_id: UUID) -> Message:
    """One message; NotFoundError when there is none."""
    message, _ = await said(tx, message_id)
    (message,) = await as_of_now(tx, [message])
    return message


async def said(tx: Transaction, message_id: UUID) -> tuple[Message, str]:
    """One message without reactions and votes, and the chat it was said in; NotFoundError."""
    one = "SELECT * FROM messages WHERE id = $1 AND tenant_id = $2"
    row = await MESSAGES.first(tx, one, message_id, tx.tenant_id)
    if row is None:
        raise NotFoundError("message")
    return resource(row), row.chat_id


async def as_of_now(tx: Transaction, messages: Sequence[Message]) -> list[Message]:
    """Messages of one tenant with the reactions and votes on them, in one look for all.

    A message is of whoever its session is of, in a group of its author: what a merged contact said
    is the winner's.
    """
    rows = await _SHOWN_BY_ID.find(tx, _SHOW, [message.id for message in messages], tx.tenant_id)
    found = {row.id: row for row in rows}
    return [_beside(each, found[each.id], found[each.id].contact_id) for each in messages]


async def lock(tx: Transaction, messages: Iterable[tuple[str, UUID]]) -> dict[UUID, Stored]:
    """Messages by tenant and our id, nobody changing them or their sessions until the commit."""
    wanted = sorted(set(messages))
    found = await tx.fetch(_LOCK, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    stored = [_stored(MESSAGES.value(record), _AROUND.value(record)) for record in found]
    return {each.message.id: each for each in stored}


async def lock_reported(tx: Transaction, keys: Iterable[MessageKey]) -> dict[MessageKey, Stored]:
    """Messages by WhatsApp's id, nobody else changing them until the transaction ends."""
    ids = await find_ids(tx, keys)
    stored = await lock(tx, [(key[0], id_) for key, id_ in ids.items()]) if ids else {}
    return {key: stored[message_id] for key, message_id in ids.items() if message_id in stored}


async def find_ids(tx: Transaction, keys: Iterable[MessageKey]) -> dict[MessageKey, UUID]:
    """Our ids of those messages that are stored."""
    found = await _NAMED.find(tx, _FIND_IDS, *_keys(keys))
    return {(each.tenant_id, each.channel_id, each.external_id): each.id for each in found}


async def park(tx: Transaction, receipts: Sequence[tuple[MessageKey, Receipt]]) -> None:
    """Keep receipts until their message comes."""
    rows = [
        models.ParkedReceipt(
            tenant_id=tenant_id,
            channel_id=channel_id,
            external_id=external_id,
            status=receipt.status,
            participant=receipt.participant,
            error_code=receipt.reason,
            occurred_at=receipt.at,
        )
        for (tenant_id, channel_id, external_id), receipt in receipts
    ]
    await _RECEIPTS.insert(tx, rows, unless="(channel_id, external_id, status, participant)")


async def take_parked(
    tx: Transaction, keys: Iterable[MessageKey]
) -> dict[MessageKey, list[Receipt]]:
    """The receipts kept for these messages, in the order they came; they are kept no longer."""
    taken: dict[MessageKey, list[Receipt]] = {}
    rows = await _RECEIPTS.find(tx, _TAKE_PARKED, *_keys(keys))
    for row in sorted(rows, key=lambda row: row.id or 0):
        status = cast(Step, row.status)
        receipt = Receipt(status, row.occurred_at, row.error_code, row.participant)
        key = row.tenant_id, row.channel_id, row.external_id
        taken.setdefault(key, []).append(receipt)
    return taken
