"""Figure 9: what an inbox reads, of a company among a thousand, by the service's own code.

`MESSAGES` of them (200,000), made by SQL; a tenth are the one company's, 10,000 of those a single
conversation's. Alone, on any PostgreSQL that may be filled (10 GB for ten million):
`DATABASE_ADMIN_URL=... MESSAGES=10000000 python -m bench.messages`.
"""

import asyncio
import os
from hashlib import md5
from uuid import UUID

import asyncpg
from crm_messaging.conversations import listing as conversations
from crm_messaging.messages import listing as messages
from crm_messaging.sessions import requests as sessions
from service_kit.calls import Call
from shared_events.messaging.conversation import ListConversationMessages, ListConversations
from shared_events.messaging.message import ListMessages
from shared_events.messaging.session import ListSessions
from shared_events.requests import Principal

from bench.database import Work, cost, filled
from bench.figures import Figure

SIZE = int(os.environ.get("MESSAGES", "200000"))
OTHERS = 999
_BIG, _LONG, _OF_EACH = "big", 10_000, 100
_CHANNEL, _AGENT = UUID(int=1), UUID(int=2)
_CALL = Call(Principal(tenant_id=_BIG, user_id=_AGENT), "bench")
_OWN_ONLY = Call(Principal(tenant_id=_BIG, user_id=_AGENT, own_only=True), "bench")

# Conversations $2 to $3 of each company of $1, as long as $4; ids follow from company and number.
# A tenth goes on, a tenth of those with the agent, a fifth is unread.
_THREADS = """
WITH made AS (SELECT tenant_id, i, md5(tenant_id || ' ' || i)::uuid AS id,
    now() - i * interval '1 minute' AS at, CASE WHEN i % 100 = 0 THEN $6::uuid END AS agent_id,
    CASE WHEN i % 10 = 0 THEN 'active' ELSE 'closed' END AS status
    FROM unnest($1::text[]) AS tenant_id, generate_series($2::integer, $3::integer) AS i),
people AS (INSERT INTO contact_refs (tenant_id, contact_id, name, search_text)
    SELECT tenant_id, id, n, n FROM made, LATERAL (SELECT
        (ARRAY['maria', 'jose', 'ana', 'joao', 'livia'])[1 + i % 5] || ' '
        || substr(md5(i::text), 1, 6) AS n) AS named),
threads AS (INSERT INTO conversations (id, tenant_id, channel_id, contact_id, seq, unread_count,
        last_message_at, session_id, status, assigned_agent_id)
    SELECT id, tenant_id, $5, id, $4, CASE WHEN i % 5 = 0 THEN 2 ELSE 0 END, at, id, status,
        agent_id FROM made)
INSERT INTO sessions (id, tenant_id, contact_id, channel_id, conversation_id, project_id, status,
    assigned_agent_id, started_at, ended_at, last_interaction_at, timeout_seconds, opened_by)
SELECT id, tenant_id, id, $5, id, tenant_id, status, agent_id, at,
    CASE WHEN status = 'closed' THEN at END, at, 3600, 'contact' FROM made
"""
# A word in every hundredth message, one in every thousandth, one in every hundred thousandth.
_SAID = """
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, content, metadata, status, placed_at)
SELECT gen_random_uuid(), tenant_id, thread, thread, thread, $5, 'c', seq,
    CASE WHEN n % 2 = 0 THEN 'inbound' ELSE 'outbound' END, 'customer',
    CASE WHEN n % 20 = 7 THEN 'image' ELSE 'text' END,
    concat_ws(' ', 'bom dia, sobre o pedido', n, (ARRAY['quero', 'tenho', 'mando'])[1 + n % 3],
        (ARRAY['preço', 'prazo', 'entrega', 'boleto', 'nota'])[1 + n % 5],
        substr(md5(n::text), 1, 5),
        CASE WHEN n % 100 = 0 THEN 'reembolso' END, CASE WHEN n % 1000 = 1 THEN 'garantia' END,
        CASE WHEN n % 100000 = 2 THEN 'ornitorrinco' END),
    '{}', CASE WHEN n % 5000 = 3 THEN 'failed' ELSE 'read' END,
    now() - ($4 - seq) * interval '1 hour' - i * interval '1 minute'
FROM unnest($1::text[]) AS tenant_id, generate_series(1, $4::integer) AS seq,
    generate_series($2::integer, $3::integer) AS i,
    LATERAL (SELECT md5(tenant_id || ' ' || i)::uuid AS thread, seq * ($3 - $2 + 1) + i AS n) AS k
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'messaging' AND tablename = 'messages' AND indexname LIKE 'idx_%'
"""


def _said(call: Call = _CALL, **query: object) -> Work:
    request = ListMessages.model_validate(query)
    return lambda tx: messages.list_messages(tx, request, call)


def _thread(direction: str) -> Work:
    long = UUID(md5(f"{_BIG} 0".encode(), usedforsecurity=False).hexdigest())
    request = ListConversationMessages.model_validate(
        {"conversation_id": long, "direction": direction}
    )
    return lambda tx: messages.list_conversation_messages(tx, request, _CALL)


def _inbox(call: Call = _CALL, **query: object) -> Work:
    request = ListConversations.model_validate(query)
    return lambda tx: conversations.page(tx, request, call)


def _sessions(**query: object) -> Work:
    request = ListSessions.model_validate(query)
    return lambda tx: sessions.list_sessions(tx, request, _CALL)


_READS: dict[str, Work] = {
    "search, in a third": _said(search="quero"),
    "search, in every 100th": _said(search="reembolso"),
    "search, in every 1,000th": _said(search="garantia"),
    "search, in every 100,000th": _said(search="ornitorrinco"),
    "search, nowhere": _said(search="ninguém"),
    "search, of one's own": _said(_OWN_ONLY, search="garantia"),
    "messages, newest": _said(),
    "messages, of a channel": _said(channel_id=str(_CHANNEL)),
    "messages, failed": _said(status="failed"),
    "messages, images": _said(content_type="image"),
    "a conversation of 10,000, its end": _thread("backward"),
    "a conversation of 10,000, its beginning": _thread("forward"),
    "inbox": _inbox(),
    "inbox, unread": _inbox(unread=True),
    "inbox, mine": _inbox(assigned="me"),
    "inbox, nobody's": _inbox(assigned="none", status="active"),
    "inbox, of one's own": _inbox(_OWN_ONLY),
    "inbox, searched": _inbox(search="maria"),
    "inbox, a name": _inbox(search="cfcd20"),
    "sessions, active": _sessions(status="active"),
    "sessions, active and mine": _sessions(status="active", assigned_agent_id="me"),
}


async def read(admin_url: str) -> list[Figure]:
    """Fill a database of that server's and read what an inbox does."""
    async with filled(admin_url, "crm_messaging", "messaging", _fill) as database:
        return [
            (f"9 {name}, of {SIZE}", await cost(database, _BIG, work))
            for name, work in _READS.items()
        ]


async def _fill(superuser: asyncpg.Connection) -> None:
    """In bulk: without checks of what follows from the numbers, and indexes when all is there."""
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute("SET maintenance_work_mem = '1GB'")
    indexes = await superuser.fetch(_INDEXES)
    for index in indexes:
        await superuser.execute(f"DROP INDEX {index['indexname']}")
    others = [f"other-{number}" for number in range(OTHERS)]
    of_big = max(SIZE // 10 - _LONG, _OF_EACH) // _OF_EACH
    of_others = max(SIZE * 9 // 10 // OTHERS // _OF_EACH, 1)
    for companies, first, last, length in (
        ([_BIG], 0, 0, _LONG),
        ([_BIG], 1, of_big, _OF_EACH),
        (others, 1, of_others, _OF_EACH),
    ):
        threads = companies, first, last, length, _CHANNEL
        await superuser.execute(_THREADS, *threads, _AGENT)
        await superuser.execute(_SAID, *threads)
    for index in indexes:
        await superuser.execute(index["indexdef"])
    await superuser.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    for figure in asyncio.run(read(os.environ["DATABASE_ADMIN_URL"])):
        print(*figure)
