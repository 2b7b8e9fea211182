"""A page of the inbox or of a list reads what it shows, of a company that is far above the average.

Planners take a company that their statistics do not tell of for an average one. What was read then
was all that it ever said, for each row of the page.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_messaging.conversations import listing as conversations
from crm_messaging.conversations.requests import read_conversation
from crm_messaging.messages import listing as messages
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from shared_events.messaging.conversation import (
    ListConversationMessages,
    ListConversations,
    ReadConversation,
)
from shared_events.messaging.message import ListMessages
from shared_events.requests import Page, Principal

PEOPLE, THREADS, SAID, LONG = 2_000, 60, 100, 3_000
OTHERS, OF_EACH = 1_000, 20
_CHANNEL = UUID(int=1)
# What was read of tables and of indexes, in this transaction so far.
_READ = """
SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::integer
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')
"""
_MOST = 1500
# The company has many people, one with a long conversation; the others have one person each. Whose
# a thing is follows from its number.
_EVERYBODY = f"""
CREATE TEMPORARY TABLE people AS SELECT tenant_id, i, gen_random_uuid() AS id,
    CASE WHEN NOT of_many THEN {OF_EACH} WHEN i = 1 THEN {LONG} ELSE {SAID} END AS said
FROM (SELECT '{{tenant_id}}' AS tenant_id, i, true AS of_many FROM generate_series(1, {PEOPLE}) AS i
    UNION ALL SELECT 'small ' || i, i, false FROM generate_series(1, {OTHERS}) AS i) AS everybody
"""  # noqa: S608 - our own
_PEOPLE = """
INSERT INTO contact_refs (tenant_id, contact_id, name, search_text)
SELECT tenant_id, id, 'Maria', ' maria ' || md5(i::text) FROM people
"""
_CONVERSATIONS = """
INSERT INTO conversations (id, tenant_id, channel_id, contact_id, seq, unread_count,
    last_message_at, session_id, status)
SELECT id, tenant_id, $1, id, said, 1, now() - i * interval '1 minute', id, 'active' FROM people
"""
_SESSIONS = """
INSERT INTO sessions (id, tenant_id, contact_id, channel_id, conversation_id, project_id, status,
    started_at, last_interaction_at, timeout_seconds, opened_by)
SELECT id, tenant_id, id, $1, id, tenant_id, 'active', now() - i * interval '1 minute', now(), 3600,
    'contact' FROM people
"""
_MESSAGES = f"""
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, content, metadata, status, placed_at)
SELECT gen_random_uuid(), tenant_id, id, id, id, $1, 'c', seq, 'inbound', 'customer', 'text',
    'Bom dia', '{{}}', 'read', now() - i * interval '1 minute' + seq * interval '1 second'
FROM people, generate_series(1, said) AS seq WHERE i <= {THREADS} OR tenant_id LIKE 'small%'
"""  # noqa: S608 - our own


@pytest.fixture
async def big(own_database: MigratedDatabase) -> str:
    """The company, among others that have hardly begun."""
    tenant_id = str(uuid4())
    admin = await asyncpg.connect(
        own_database.admin_url, server_settings={"search_path": own_database.schema}
    )
    await admin.execute(_EVERYBODY.format(tenant_id=tenant_id))
    await admin.execute(_PEOPLE)
    for rows in (_CONVERSATIONS, _SESSIONS, _MESSAGES):
        await admin.execute(rows, _CHANNEL)
    await admin.execute("VACUUM ANALYZE")
    await admin.close()
    return tenant_id


@pytest.mark.parametrize("plan", ["custom", "generic"])
async def test_pages_read_what_they_show(big: str, database: Database, plan: str) -> None:
    """Whether the plan is for the company, or one that is kept for all."""
    call = Call(Principal(tenant_id=big, user_id=uuid4()), "request-1")
    own_only = Call(Principal(tenant_id=big, user_id=uuid4(), own_only=True), "request-2")
    async with database.tenant(big) as tx:
        await tx.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
        long = await tx.fetchval("SELECT id FROM conversations WHERE seq = $1", LONG)
        read = ReadConversation(conversation_id=long, up_to_seq=LONG - 1)
        pages: dict[str, Callable[[Transaction], Awaitable[object]]] = {
            "inbox": lambda tx: conversations.page(tx, ListConversations(), call),
            "unread": lambda tx: conversations.page(tx, ListConversations(unread=True), call),
            "own": lambda tx: conversations.page(tx, ListConversations(), own_only),
            "messages": lambda tx: messages.list_messages(tx, ListMessages(), call),
            "own messages": lambda tx: messages.list_messages(tx, ListMessages(), own_only),
            "thread": lambda tx: messages.list_conversation_messages(
                tx, ListConversationMessages(conversation_id=long), call
            ),
            "read": lambda tx: read_conversation(tx, read, call),
        }
        for name, page in pages.items():
            before = await tx.fetchval(_READ)
            shown = await page(tx)
            assert not isinstance(shown, Page) or len(shown.data) >= 50
            assert await tx.fetchval(_READ) - before <= _MOST, name


@pytest.mark.parametrize(
    ("search", "found", "most"), [("c4ca4238a0b9", 1, 40), ("maria", 50, 4 * PEOPLE), ("zé", 0, 40)]
)
async def test_people_are_looked_for_by_an_index(
    big: str, database: Database, search: str, found: int, most: int
) -> None:
    """Nobody marks LIKE as leakproof, which takes a superuser: the owner's function asks."""
    call = Call(Principal(tenant_id=big, user_id=uuid4()), "request-1")
    async with database.tenant(big) as tx:
        before = await tx.fetchval(_READ)
        page = await conversations.page(tx, ListConversations(search=search), call)
        assert len(page.data) == found
        assert await tx.fetchval(_READ) - before <= most + 20 * found
