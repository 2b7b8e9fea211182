"""SQL of groups' conversations."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction

from crm_messaging.conversations.models import Conversation
from crm_messaging.conversations.repository import CONVERSATIONS
from crm_messaging.groups.participants import Group

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
