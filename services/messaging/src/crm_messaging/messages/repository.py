"""SQL of messages, many at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record, SerializationError
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.messaging.message import Message
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary

from crm_messaging.messages.events import Conversation
from crm_messaging.messages.receipts import Receipt

MessageKey = tuple[UUID, str]
"""Channel and WhatsApp's id of the message: unique together."""

_INSERT = """
INSERT INTO messages (tenant_id, id, contact_id, session_id, channel_id, chat_id, external_id, seq,
    direction, origin, content_type, content, media_url, media_mime_type, reply_to_id, metadata,
    status, sent_by, sent_at, delivered_at, read_at, played_at, failed_at, failure_reason,
    created_at, updated_at)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
    $8::int[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::uuid[], $16::jsonb[], $17::text[], $18::uuid[], $19::timestamptz[], $20::timestamptz[],
    $21::timestamptz[], $22::timestamptz[], $23::timestamptz[], $24::text[], $25::timestamptz[],
    $26::timestamptz[])
ON CONFLICT (channel_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
"""
_COLUMNS_BEFORE_CHAT = ("id", "contact_id", "session_id", "channel_id")
_COLUMNS_AFTER_CHAT = (
    *("external_id", "seq", "direction", "origin", "content_type", "content", "media_url"),
    *("media_mime_type", "reply_to_id", "metadata", "status", "sent_by", "sent_at"),
    *("delivered_at", "read_at", "played_at", "failed_at", "failure_reason"),
    *("created_at", "updated_at"),
)
_SAVE = """
UPDATE messages m SET external_id = n.external_id, status = n.status, sent_at = n.sent_at,
    delivered_at = n.delivered_at, read_at = n.read_at, played_at = n.played_at,
    failed_at = n.failed_at, failure_reason = n.failure_reason, metadata = n.metadata,
    updated_at = n.updated_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
    $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::jsonb[],
    $11::timestamptz[])
    AS n(id, external_id, status, sent_at, delivered_at, read_at, played_at, failed_at,
    failure_reason, metadata, updated_at)
WHERE m.id = n.id
"""
_SAVED = (
    *("id", "external_id", "status", "sent_at", "delivered_at", "read_at", "played_at"),
    *("failed_at", "failure_reason", "metadata", "updated_at"),
)
# Sessions before messages, as where messages arrive. Message events are their session's: without
# its lock one could be told with a lower sequence, yet after the event that ended the session.
_LOCK = """
WITH held AS (
    SELECT id, status FROM sessions
    WHERE id IN (SELECT session_id FROM messages WHERE id = ANY($1::uuid[]))
    ORDER BY channel_id, contact_id FOR UPDATE)
SELECT m.*, held.status AS session_status, c.name AS contact_name, c.phone AS contact_phone,
    h.name AS channel_name
FROM messages m
JOIN held ON held.id = m.session_id
LEFT JOIN contact_refs c ON c.tenant_id = m.tenant_id AND c.contact_id = m.contact_id
LEFT JOIN channel_refs h ON h.tenant_id = m.tenant_id AND h.channel_id = m.channel_id
WHERE m.id = ANY($1::uuid[]) ORDER BY m.id FOR UPDATE OF m
"""
# One look into the unique index per message, whatever the planner believes of a table that grew
# since it was last analysed.
_FIND_IDS = """
SELECT m.id, k.channel_id, k.external_id
FROM unnest($1::uuid[], $2::text[]) AS k(channel_id, external_id)
CROSS JOIN LATERAL (SELECT id FROM messages
    WHERE channel_id = k.channel_id AND external_id = k.external_id LIMIT 1) AS m
"""
_TAKE_PARKED = """
DELETE FROM parked_receipts WHERE (channel_id, external_id)
    IN (SELECT * FROM unnest($1::uuid[], $2::text[])) RETURNING *
"""
_PARK = """
INSERT INTO parked_receipts (tenant_id, channel_id, external_id, status, participant, error_code,
    occurred_at)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[])
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message and where it was said."""

    message: Message
    chat_id: str
    conversation: Conversation

    @property
    def in_group(self) -> bool:
        """Whether several people read it."""
        return self.chat_id.endswith("@g.us")


def resource(row: Record) -> Message:
    """A row as customers see it."""
    return Message.model_validate(dict(row))


def _stored(row: Record) -> Stored:
    return Stored(
        resource(row),
        row["chat_id"],
        Conversation(
            ContactSummary(
                id=row["contact_id"], name=row["contact_name"] or "", phone=row["contact_phone"]
            ),
            SessionSummary(id=row["session_id"], status=row["session_status"]),
            ChannelSummary(id=row["channel_id"], name=row["channel_name"] or ""),
        ),
    )


def _keys(keys: Iterable[MessageKey]) -> tuple[list[UUID], list[str]]:
    unique = sorted(set(keys))
    return [channel for channel, _ in unique], [external for _, external in unique]


async def insert(tx: Transaction, messages: Sequence[Message], chat_ids: Sequence[str]) -> None:
    """Store new messages.

    Raises SerializationError, which the caller's whole transaction is repeated for, when another
    transaction stored one of them meanwhile: its place in the session must not stay empty.
    """
    stored = await tx.execute(
        _INSERT,
        tx.tenant_id,
        *([getattr(m, column) for m in messages] for column in _COLUMNS_BEFORE_CHAT),
        list(chat_ids),
        *([getattr(m, column) for m in messages] for column in _COLUMNS_AFTER_CHAT),
    )
    if stored != len(messages):
        raise SerializationError("a message was stored twice at once")


async def save(tx: Transaction, messages: Sequence[Message]) -> None:
    """Store how far messages got."""
    await tx.execute(_SAVE, *([getattr(m, column) for m in messages] for column in _SAVED))


async def get(tx: Transaction, message_id: UUID) -> Message:
    """One message; NotFoundError when there is none."""
    row = await tx.fetchrow("SELECT * FROM messages WHERE id = $1", message_id)
    if row is None:
        raise NotFoundError("message")
    return resource(row)


async def lock(tx: Transaction, message_ids: Iterable[UUID]) -> dict[UUID, Stored]:
    """Messages by our id, nobody else changing them or their sessions until the commit."""
    rows = await tx.fetch(_LOCK, sorted(set(message_ids)))
    return {row["id"]: _stored(row) for row in rows}


async def lock_reported(tx: Transaction, keys: Iterable[MessageKey]) -> dict[MessageKey, Stored]:
    """Messages by WhatsApp's id, nobody else changing them until the transaction ends."""
    ids = await find_ids(tx, keys)
    stored = await lock(tx, ids.values()) if ids else {}
    return {key: stored[message_id] for key, message_id in ids.items() if message_id in stored}


async def find_ids(tx: Transaction, keys: Iterable[MessageKey]) -> dict[MessageKey, UUID]:
    """Our ids of those messages that are stored."""
    rows = await tx.fetch(_FIND_IDS, *_keys(keys))
    return {(row["channel_id"], row["external_id"]): row["id"] for row in rows}


async def park(tx: Transaction, receipts: Sequence[tuple[MessageKey, Receipt]]) -> None:
    """Keep receipts until their message comes."""
    await tx.execute(
        _PARK,
        tx.tenant_id,
        [channel_id for (channel_id, _), _ in receipts],
        [external_id for (_, external_id), _ in receipts],
        [receipt.status for _, receipt in receipts],
        [receipt.participant for _, receipt in receipts],
        [receipt.reason for _, receipt in receipts],
        [receipt.at for _, receipt in receipts],
    )


async def take_parked(
    tx: Transaction, keys: Iterable[MessageKey]
) -> dict[MessageKey, list[Receipt]]:
    """The receipts kept for these messages, in the order they came; they are kept no longer."""
    taken: dict[MessageKey, list[Receipt]] = {}
    rows = await tx.fetch(_TAKE_PARKED, *_keys(keys))
    for row in sorted(rows, key=lambda row: row["id"]):
        receipt = Receipt(row["status"], row["occurred_at"], row["error_code"], row["participant"])
        taken.setdefault((row["channel_id"], row["external_id"]), []).append(receipt)
    return taken
