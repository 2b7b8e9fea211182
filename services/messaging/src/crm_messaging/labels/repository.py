"""SQL of labels on chats.

Whose chat is meant is asked of `identity_refs` whenever labels are read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.channels.label import Label

from crm_messaging.conversations.models import Conversation
from crm_messaging.labels.models import ChatLabel, LabelRef

LABELS = Rows(LabelRef)
CHATS = Rows(ChatLabel)

ChatKey = tuple[str, str, str, UUID, str]
"""Tenant, kind and canonical form of a WhatsApp id, channel, label."""

_LOCK = """
SELECT c.* FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[])
    AS k(tenant_id, kind, canonical, channel_id, label_id) ORDER BY 1, 2, 3, 4, 5) AS k
CROSS JOIN LATERAL (SELECT * FROM chat_labels WHERE tenant_id = k.tenant_id AND kind = k.kind
    AND canonical = k.canonical AND channel_id = k.channel_id AND label_id = k.label_id
    LIMIT 1 FOR UPDATE) AS c
"""
_CHATS = """
SELECT i.kind, i.canonical FROM identity_refs AS i
WHERE i.tenant_id = {tenant} AND i.contact_id = {contact} AND NOT i.taken_off
"""
# One look into each key for each contact, whatever the planner believes of young tables.
_OF_CONTACTS = f"""
SELECT k.contact_id, c.* FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[])
    AS k(tenant_id, contact_id, channel_id, label_id)
CROSS JOIN LATERAL ({_CHATS.format(tenant="k.tenant_id", contact="k.contact_id")} OFFSET 0) AS i
CROSS JOIN LATERAL (SELECT * FROM chat_labels WHERE tenant_id = k.tenant_id AND kind = i.kind
    AND canonical = i.canonical AND channel_id = k.channel_id AND label_id = k.label_id
    LIMIT 1) AS c
"""  # noqa: S608 - our own text
_NEWEST = """
SELECT DISTINCT ON (c.channel_id, c.label_id) c.channel_id, c.label_id, c.labelled, c.changed_at
FROM ({chats}) AS i
CROSS JOIN LATERAL (SELECT * FROM chat_labels
    WHERE tenant_id = $1 AND kind = i.kind AND canonical = i.canonical {where} OFFSET 0) AS c
ORDER BY c.channel_id, c.label_id, c.changed_at DESC
"""
_SHOWN = """
SELECT {whose} AS id, n.channel_id, n.label_id, n.changed_at, r.name, r.color FROM {found}
LEFT JOIN LATERAL (SELECT * FROM label_refs WHERE tenant_id = $1
    AND channel_id = n.channel_id AND label_id = n.label_id LIMIT 1) AS r ON true
WHERE n.labelled AND r.deleted IS NOT TRUE
ORDER BY n.channel_id, n.label_id
"""
_OF_CONVERSATION = _NEWEST.format(
    chats=f"{_CHATS.format(tenant='$1', contact='k.contact_id')}"
    " UNION ALL SELECT 'group', k.group_id WHERE k.group_id IS NOT NULL",
    where="AND channel_id = k.channel_id",
)
_OF_CONVERSATIONS = _SHOWN.format(
    whose="k.id",
    found="unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[])"
    f" AS k(id, channel_id, contact_id, group_id) CROSS JOIN LATERAL ({_OF_CONVERSATION}) AS n",
)
_OF_CONTACT = _SHOWN.format(
    whose="$2::uuid",
    found="(" + _NEWEST.format(chats=_CHATS.format(tenant="$1", contact="$2"), where="") + ") AS n",
)
_DELETED = """
UPDATE chat_labels AS c SET labelled = false, changed_at = greatest(c.changed_at, k.told_at)
FROM (SELECT c.ctid AS place, k.told_at
    FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[])
        AS k(tenant_id, channel_id, label_id, told_at)
    JOIN chat_labels AS c ON c.tenant_id = k.tenant_id AND c.channel_id = k.channel_id
        AND c.label_id = k.label_id AND c.labelled AND c.changed_at <= k.told_at
    ORDER BY c.tenant_id, c.kind, c.canonical, c.channel_id, c.label_id
    FOR UPDATE OF c) AS k
WHERE c.ctid = k.place
"""


@dataclass(frozen=True, slots=True)
class LabelOn:
    """A label that somebody's chats have on a channel: whose it is by `id`, and since when."""

    id: UUID
    channel_id: UUID
    label_id: str
    changed_at: datetime
    name: str | None
    color: str | None

    @property
    def label(self) -> Label:
        """The label itself."""
        return Label(id=self.label_id, name=self.name, color=self.color)


_ON = Shape(LabelOn)


async def lock(tx: Transaction, new: Sequence[ChatLabel]) -> dict[ChatKey, ChatLabel]:
    """What is known of labels on chats, these rows where nothing is; nobody else changes them."""
    ordered = sorted(new, key=key_of)
    await CHATS.insert(tx, ordered, unless="(tenant_id, kind, canonical, channel_id, label_id)")
    keys = map(list, zip(*map(key_of, ordered), strict=True))
    return {key_of(row): row for row in await CHATS.find(tx, _LOCK, *keys)}


def key_of(row: ChatLabel) -> ChatKey:
    """What a row is known by."""
    return row.tenant_id, row.kind, row.canonical, row.channel_id, row.label_id


async def of_contacts(
    tx: Transaction, wanted: Collection[tuple[str, UUID, UUID, str]]
) -> list[tuple[UUID, ChatLabel]]:
    """What is known of these labels on all chats of these contacts, with whose it is.

    Each by tenant, contact, channel and label.
    """
    if not wanted:
        return []
    found = await tx.fetch(_OF_CONTACTS, *map(list, zip(*sorted(wanted), strict=True)))
    return [(row["contact_id"], CHATS.value(row)) for row in found]


async def of_conversations(
    tx: Transaction, rows: Sequence[Conversation]
) -> dict[UUID, list[Label]]:
    """The labels of conversations that have any, by the conversation's id."""
    found = await _ON.find(
        tx,
        _OF_CONVERSATIONS,
        tx.tenant_id,
        [row.id for row in rows],
        [row.channel_id for row in rows],
        [row.contact_id for row in rows],
        [row.chat_id.partition("@")[0] if row.is_group and row.chat_id else None for row in rows],
    )
    labels: dict[UUID, list[Label]] = {}
    for one in found:
        labels.setdefault(one.id, []).append(one.label)
    return labels


async def of_contact(tx: Transaction, contact_id: UUID) -> list[LabelOn]:
    """The labels of all a contact's chats."""
    return await _ON.find(tx, _OF_CONTACT, tx.tenant_id, contact_id)


async def take_off(tx: Transaction, deleted: Collection[tuple[str, UUID, str, datetime]]) -> None:
    """Labels that were deleted are on no chat: each by tenant, channel, label, and when."""
    if deleted:
        await tx.execute(_DELETED, *map(list, zip(*sorted(deleted), strict=True)))
