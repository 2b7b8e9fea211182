"""Messages of before join their conversations: a few hundred sessions at a time.

Each statement commits by itself, and finds only what is not done: it may be broken off and begun
anew. What was said until now counts as read.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, run
from service_kit.search import searchable
from shared_events.identity import conversation_id

revision = "0008"
down_revision = "0007"

_SESSIONS = 500
_FIRST = ("1970-01-01 00:00:00+00", "00000000-0000-0000-0000-000000000000")

# The sweep's scope sees the sessions of all companies; each company's messages are its own.
_ACT = "SELECT set_config('app.scope', :scope, false), set_config('app.tenant_id', :tenant, false)"
_NEXT_TENANT = "SELECT tenant_id FROM sessions WHERE tenant_id > :tenant ORDER BY tenant_id LIMIT 1"
_NEXT_SESSIONS = """
SELECT id, started_at::text FROM sessions
WHERE tenant_id = :tenant AND (started_at, id) > (CAST(:at AS text)::timestamptz, CAST(:id AS uuid))
ORDER BY started_at, id LIMIT :limit
"""
_CHATS = """
SELECT DISTINCT channel_id, contact_id, CASE WHEN chat_id LIKE '%@g.us' THEN chat_id END
FROM messages WHERE session_id = ANY (CAST(:sessions AS uuid[])) AND conversation_id IS NULL
"""
_OPEN = """
INSERT INTO conversations (id, tenant_id, channel_id, contact_id, is_group, chat_id)
SELECT DISTINCT ON (id) id, CAST(:tenant AS text), channel_id,
    CASE WHEN chat_id IS NULL THEN contact_id END, chat_id IS NOT NULL, chat_id
FROM unnest(CAST(:ids AS uuid[]), CAST(:channels AS uuid[]), CAST(:contacts AS uuid[]),
    CAST(:chats AS text[])) AS k(id, channel_id, contact_id, chat_id)
ON CONFLICT (id) DO NOTHING
"""
_NUMBER = """
WITH placed AS (
    SELECT m.id, k.id AS conversation_id, c.seq + row_number() OVER (
        PARTITION BY k.id ORDER BY s.started_at, m.said_at, m.seq, m.id) AS seq
    FROM messages m
    JOIN sessions s ON s.id = m.session_id
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:channels AS uuid[]), CAST(:contacts AS uuid[]),
        CAST(:chats AS text[])) AS k(id, channel_id, contact_id, chat_id)
        ON k.channel_id = m.channel_id AND k.contact_id = m.contact_id
        AND k.chat_id IS NOT DISTINCT FROM CASE WHEN m.chat_id LIKE '%@g.us' THEN m.chat_id END
    JOIN conversations c ON c.id = k.id
    WHERE m.session_id = ANY (CAST(:sessions AS uuid[])) AND m.conversation_id IS NULL),
numbered AS (
    UPDATE messages m SET conversation_id = placed.conversation_id, seq = placed.seq,
        placed_at = date_trunc('second', CASE
            WHEN m.sent_at BETWEEN '2009-01-01 00:00:00+00' AND m.created_at
            THEN m.sent_at ELSE m.created_at END)
    FROM placed WHERE m.id = placed.id
    RETURNING m.conversation_id, m.seq, m.created_at, m.session_id),
newest AS (
    SELECT DISTINCT ON (conversation_id) * FROM numbered ORDER BY conversation_id, seq DESC)
UPDATE conversations c SET seq = n.seq, read_seq = n.seq,
    last_message_at = n.created_at,
    session_id = CASE WHEN c.is_group THEN NULL ELSE s.id END,
    status = CASE WHEN c.is_group THEN NULL ELSE s.status END,
    assigned_agent_id = CASE WHEN NOT c.is_group AND s.status = 'active'
        THEN s.assigned_agent_id END
FROM newest n JOIN sessions s ON s.id = n.session_id
WHERE c.id = n.conversation_id
"""
_NEXT_CONTACTS = """
SELECT contact_id, name, phone FROM contact_refs
WHERE tenant_id = :tenant AND contact_id > CAST(:id AS uuid) ORDER BY contact_id LIMIT :limit
"""
_NAME = """
UPDATE contact_refs r SET search_text = k.search_text
FROM unnest(CAST(:ids AS uuid[]), CAST(:texts AS text[])) AS k(contact_id, search_text)
WHERE r.tenant_id = :tenant AND r.contact_id = k.contact_id AND r.search_text = ''
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        fill()
        _index("messages", "conversation", ["conversation_id", "seq"], unique=True)
        for name, of in (("", []), ("_session", ["session_id"]), ("_contact", ["contact_id"])):
            _index("messages", f"placed{name}", ["tenant_id", *of, "placed_at", "seq", "id"])
        by_time = ["started_at", "id"]
        _index("sessions", "listed_contact", ["tenant_id", "contact_id", *by_time])
        for name, of, where in (
            ("agent", ["assigned_agent_id"], "assigned_agent_id IS NOT NULL"),
            ("active", [], "status = 'active'"),
        ):
            columns = ["tenant_id", *of, *by_time]
            _index("sessions", f"listed_{name}", columns, postgresql_where=sa.text(where))
        trigrams = {
            "tenant_id": "extensions.varchar_ops",
            "search_text": "extensions.gin_trgm_ops",
        }
        _index(
            "contact_refs", "search", [*trigrams], postgresql_using="gin", postgresql_ops=trigrams
        )


def _index(table: str, name: str, columns: list[str], **options: Any) -> None:
    build_index(f"idx_{table}_{name}", table, columns, **options)


def fill() -> None:
    """Give every message that has none its conversation, and every name what it is found by."""
    tenant = ""
    while True:
        run(_ACT, scope="sweep", tenant="")
        found = run(_NEXT_TENANT, tenant=tenant)
        if not found:
            break
        ((tenant,),) = found
        run(_ACT, scope="", tenant=tenant)
        _fill_tenant(tenant)
        _fill_names(tenant)
    run(_ACT, scope="", tenant="")


def _fill_tenant(tenant: str) -> None:
    at, id_ = _FIRST
    while sessions := run(_NEXT_SESSIONS, tenant=tenant, at=at, id=id_, limit=_SESSIONS):
        id_, at = str(sessions[-1][0]), sessions[-1][1]
        ids = [session for session, _ in sessions]
        chats = run(_CHATS, sessions=ids)
        if not chats:
            continue
        keys = {
            "ids": [conversation_id(channel, chat or str(of)) for channel, of, chat in chats],
            "channels": [channel for channel, _, _ in chats],
            "contacts": [of for _, of, _ in chats],
            "chats": [chat for _, _, chat in chats],
        }
        run(_OPEN, tenant=tenant, **keys)
        run(_NUMBER, sessions=ids, **keys)


def _fill_names(tenant: str) -> None:
    id_ = _FIRST[1]
    while contacts := run(_NEXT_CONTACTS, tenant=tenant, id=id_, limit=_SESSIONS):
        id_ = str(contacts[-1][0])
        texts = [searchable(name, phone) for _, name, phone in contacts]
        run(_NAME, tenant=tenant, ids=[contact for contact, _, _ in contacts], texts=texts)
