"""A page of the inbox or of a list reads what it shows, of a company that is far above the average.

Planners take a company that their statistics do not tell of for an average one. What was read then
was all that it ever said, for each row of the page.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_messaging.conversations import listing as conversations
from crm_messaging.messages import listing as messages
from crm_testing.costs import plan_of
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from shared_events.messaging.conversation import ListConversationMessages, ListConversations
from shared_events.messaging.message import ListMessages
from shared_events.requests import Page, Principal

PEOPLE, SAID = 2_000, 4
_CHANNEL = UUID(int=1)
# The company has many people, each of the others one. Whose a thing is follows from its number.
_PEOPLE = """
INSERT INTO contact_refs (tenant_id, contact_id, name, search_text)
SELECT tenant_id, id, 'Maria', ' maria ' || md5(i::text) FROM people
"""
_LOOKED_AT = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer
FROM pg_stat_xact_user_tables WHERE relname = 'contact_refs'
"""
_CONVERSATIONS = """
INSERT INTO conversations (id, tenant_id, channel_id, contact_id, seq, unread_count,
    last_message_at, session_id, status)
SELECT id, tenant_id, $1, id, $2, 1, now() - i * interval '1 minute', id, 'active' FROM people
"""
_SESSIONS = """
INSERT INTO sessions (id, tenant_id, contact_id, channel_id, conversation_id, project_id, status,
    started_at, last_interaction_at, timeout_seconds, opened_by)
SELECT id, tenant_id, id, $1, id, tenant_id, 'active', now() - i * interval '1 minute', now(), 3600,
    'contact' FROM people
"""
_MESSAGES = """
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, content, metadata, status, placed_at)
SELECT gen_random_uuid(), tenant_id, id, id, id, $1, 'c', seq, 'inbound', 'customer', 'text',
    'Bom dia', '{}', 'read', now() - i * interval '1 minute' + seq * interval '1 second'
FROM people, generate_series(1, $2::integer) AS seq
"""


@pytest.fixture
async def big(own_database: MigratedDatabase) -> str:
    """The company, among 500 others that have hardly begun."""
    tenant_id = str(uuid4())
    admin = await asyncpg.connect(
        own_database.admin_url, server_settings={"search_path": own_database.schema}
    )
    await admin.execute(
        f"""
        CREATE TEMPORARY TABLE people AS SELECT tenant_id, i, gen_random_uuid() AS id
        FROM (SELECT '{tenant_id}' AS tenant_id, i FROM generate_series(1, {PEOPLE}) AS i
            UNION ALL SELECT 'small ' || i, i FROM generate_series(1, 500) AS i) AS everybody
        """  # noqa: S608 - our own
    )
    await admin.execute(_PEOPLE)
    await admin.execute(_CONVERSATIONS, _CHANNEL, SAID)
    await admin.execute(_SESSIONS, _CHANNEL)
    await admin.execute(_MESSAGES, _CHANNEL, SAID)
    await admin.execute("VACUUM ANALYZE")
    await admin.close()
    return tenant_id


async def test_pages_read_what_they_show(big: str, database: Database) -> None:
    call = Call(Principal(tenant_id=big, user_id=uuid4()), "request-1")
    own_only = Call(Principal(tenant_id=big, user_id=uuid4(), own_only=True), "request-2")
    async with database.tenant(big) as tx:
        someone = await tx.fetchval("SELECT max(id::text)::uuid FROM conversations")
        pages: dict[str, Callable[[Transaction], Awaitable[Page[object]]]] = {
            "inbox": lambda tx: conversations.page(tx, ListConversations(), call),
            "unread": lambda tx: conversations.page(tx, ListConversations(unread=True), call),
            "own": lambda tx: conversations.page(tx, ListConversations(), own_only),
            "messages": lambda tx: messages.list_messages(tx, ListMessages(), call),
            "own messages": lambda tx: messages.list_messages(tx, ListMessages(), own_only),
            "thread": lambda tx: messages.list_conversation_messages(
                tx, ListConversationMessages(conversation_id=someone), call
            ),
        }
        for name, page in pages.items():
            shown = len((await page(tx)).data)
            assert shown == (SAID if name == "thread" else 50), name
            plan = await plan_of(tx, page(tx))
            assert plan.rows <= 10 * (shown + 1), (name, plan)


@pytest.mark.parametrize(
    ("search", "found", "most"), [("c4ca4238a0b9", 1, 20), ("maria", 50, 2 * PEOPLE), ("zé", 0, 0)]
)
async def test_people_are_looked_for_by_an_index(
    big: str, database: Database, search: str, found: int, most: int
) -> None:
    """Nobody marks LIKE as leakproof, which takes a superuser: the owner's function asks."""
    call = Call(Principal(tenant_id=big, user_id=uuid4()), "request-1")
    async with database.tenant(big) as tx:
        before = await tx.fetchval(_LOOKED_AT)
        page = await conversations.page(tx, ListConversations(search=search), call)
        assert len(page.data) == found
        assert await tx.fetchval(_LOOKED_AT) - before <= most + 2 * found
