"""SQL of groups' conversations."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.search import searchable

from crm_messaging.conversations.models import Conversation
from crm_messaging.conversations.repository import CONVERSATIONS
from crm_messaging.groups.participants import Group
from crm_messaging.replicas.models import ContactRef

_OPEN = """
INSERT INTO conversations (id, tenant_id, channel_id, is_group, chat_id)
SELECT n.id, n.tenant_id, n.channel_id, true, n.chat_id
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[])
    AS n(id, tenant_id, channel_id, chat_id)
ORDER BY n.id ON CONFLICT (id) DO NOTHING
"""
_LOCK = """
SELECT c.* FROM (SELECT * FROM unnest($1::uuid[], $2::text[]) AS n(id, tenant_id) ORDER BY id) AS k
CROSS JOIN LATERAL (SELECT * FROM conversations
    WHERE id = k.id AND tenant_id = k.tenant_id LIMIT 1 FOR UPDATE) AS c
"""
# Groups may be contacts that somebody named; that name stays.
_RENAME_CONTACTS = """
UPDATE contact_refs AS c SET name = n.name, search_text = n.search_text
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[])
    AS n(tenant_id, contact_id, name, search_text)
WHERE c.tenant_id = n.tenant_id AND c.contact_id = n.contact_id AND c.seq = 0
"""


async def open_(tx: Transaction, groups: Mapping[Group, str]) -> dict[UUID, Conversation]:
    """The conversations of groups, by id, with their chats' ids; locked until the commit."""
    wanted = sorted(groups, key=lambda group: group.conversation_id)
    ids, tenants = [g.conversation_id for g in wanted], [g.tenant_id for g in wanted]
    channels = [g.channel_id for g in wanted]
    await tx.execute(_OPEN, ids, tenants, channels, [groups[group] for group in wanted])
    return {row.id: row for row in await CONVERSATIONS.find(tx, _LOCK, ids, tenants)}


async def rename(tx: Transaction, rows: Sequence[Conversation]) -> None:
    """Write what groups are called; their locks are held."""
    await CONVERSATIONS.update(tx, rows, "subject", "subject_at")


async def rename_contacts(tx: Transaction, named: Sequence[tuple[ContactRef, str]]) -> None:
    """Call groups by their subject where they are shown as whom a session is of."""
    ordered = sorted(named, key=lambda one: (one[0].tenant_id, one[0].contact_id))
    await tx.execute(
        _RENAME_CONTACTS,
        [row.tenant_id for row, _ in ordered],
        [row.contact_id for row, _ in ordered],
        [name for _, name in ordered],
        [searchable(name, None) for _, name in ordered],
    )
