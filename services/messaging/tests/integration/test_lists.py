"""Lists of messages: in an order that never changes, from either end, as quick at both."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from asyncpg import Record
from crm_messaging.messages import listing
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_sent
from crm_messaging.messages.service import send
from crm_messaging.sessions.requests import list_sessions
from crm_testing.costs import plan_of
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import MalformedError, NotFoundError
from shared_events.channels.traffic import ChannelMessageSent
from shared_events.messaging.conversation import ListConversationMessages
from shared_events.messaging.message import (
    ListContactMessages,
    ListMessages,
    ListSessionMessages,
    Message,
    SendMessage,
)
from shared_events.messaging.session import ListSessions
from shared_events.requests import ListQuery, Page, Principal

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

Lists = tuple[
    tuple[type[ListQuery[Message]], Callable[[Transaction, Any, Call], Awaitable[Page[Message]]]],
    ...,
]
ALL: Lists = (
    (ListMessages, listing.list_messages),
    (ListContactMessages, listing.list_contact_messages),
    (ListSessionMessages, listing.list_session_messages),
    (ListConversationMessages, listing.list_conversation_messages),
)
BY_NAME = dict(ALL)


async def listed(scene: Scene, request: ListQuery[Message]) -> Page[Message]:
    async with scene.database.tenant(scene.tenant_id) as tx:
        call = Call(Principal(tenant_id=scene.tenant_id), "request-1", None)
        return await BY_NAME[type(request)](tx, request, call)


def of(kind: type[ListQuery[Message]], message: Record, **more: Any) -> ListQuery[Message]:
    """A list that the message stands in, of each kind by what it is of."""
    given = {
        name: message[name]
        for name in ("session_id", "contact_id", "conversation_id")
        if kind is not ListMessages
        and name in kind.model_fields
        and kind.model_fields[name].is_required()
    }
    return kind.model_validate({**given, **more})


def backwards(kind: type[ListQuery[Message]]) -> dict[str, str]:
    by_seq = kind is ListConversationMessages
    return {"direction": "backward"} if by_seq else {"sort": "-sent_at"}


def forwards(kind: type[ListQuery[Message]]) -> dict[str, str]:
    by_seq = kind is ListConversationMessages
    return {"direction": "forward"} if by_seq else {"sort": "sent_at"}


class TestOrder:
    @pytest.mark.parametrize("kind", BY_NAME)
    async def test_stands_while_whatsapp_names_its_time(
        self, scene: Scene, kind: type[ListQuery[Message]]
    ) -> None:
        """What we send has no time of WhatsApp's at first: it must not move when that comes."""
        await scene.apply(on_message_received, scene.received("1"))
        first, *_ = await scene.messages()
        request = SendMessage(
            contact_id=first["contact_id"], channel_id=scene.channel.id, content="2"
        )
        async with scene.database.tenant(scene.tenant_id) as tx:
            sent = await send(tx, request, None)
        await scene.apply(on_message_received, *(scene.received(f"{n}") for n in (3, 4)))
        for way, texts in ((forwards, "1234"), (backwards, "4321")):
            page = await listed(scene, of(kind, first, limit=2, **way(kind)))
            told = ChannelMessageSent(
                channel_id=scene.channel.id,
                message_id=sent.id,
                external_id=f"E{texts}",
                sent_at=datetime.now(UTC) + timedelta(hours=1 if texts == "1234" else -1),
            )
            await scene.apply(on_message_sent, told)
            cursor = page.next_cursor
            rest = await listed(scene, of(kind, first, limit=2, cursor=cursor, **way(kind)))
            assert "".join(m.content or "" for m in (*page.data, *rest.data)) == texts
            assert not rest.has_more

    @pytest.mark.parametrize("bogus", ["2099-01-01T00:00:00Z", "1970-01-21T00:00:00Z"])
    async def test_does_not_believe_every_clock(self, scene: Scene, bogus: str) -> None:
        late = datetime.now(UTC) - timedelta(days=1)
        await scene.apply(on_message_received, scene.received("1"))
        await scene.apply(on_message_received, scene.received("2", sent_at=bogus))
        await scene.apply(on_message_received, scene.received("3"))
        await scene.apply(on_message_received, scene.received("0", sent_at=late))
        found = (await listed(scene, ListMessages())).data
        assert [m.content for m in found] == ["0", "1", "2", "3"]
        assert found[2].sent_at == datetime.fromisoformat(bogus)
        kept = {"conversation_id": found[0].conversation_id, "direction": "forward"}
        by_seq = await listed(scene, ListConversationMessages.model_validate(kept))
        assert [(m.content, m.seq) for m in by_seq.data] == [
            ("1", 1),
            ("2", 2),
            ("3", 3),
            ("0", 4),
        ]

    async def test_is_cut_by_time_at_its_edges(self, scene: Scene) -> None:
        for n in range(4):
            said = scene.received(f"{n}", sent_at=NOON + timedelta(seconds=n))
            await scene.apply(on_message_received, said)
        cut = {"sent_at[gte]": NOON + timedelta(seconds=1), "sent_at[lt]": NOON.replace(second=3)}
        found = await listed(scene, ListMessages.model_validate(cut))
        assert [m.content for m in found.data] == ["1", "2"]

    async def test_is_of_one_list_and_one_company(self, database: Database) -> None:
        scene, other = Scene(database), Scene(database)
        for each in (scene, other):
            await each.apply(on_message_received, each.received("1"), each.received("2"))
        first, _ = await scene.messages()
        for kind in BY_NAME:
            page = await listed(scene, of(kind, first, limit=1, **backwards(kind)))
            turned = of(kind, first, limit=1, cursor=page.next_cursor, **forwards(kind))
            with pytest.raises(MalformedError):
                await listed(scene, turned)
            if kind is not ListMessages:
                with pytest.raises(NotFoundError):
                    await listed(other, of(kind, first))


MANY = 10_000
_MANY = f"""
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, content, status, placed_at)
SELECT gen_random_uuid(), tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    n, direction, origin, content_type, 'x', status, placed_at + make_interval(secs => n)
FROM messages, generate_series(2, {MANY}) AS n
"""  # noqa: S608 - a number
_SESSIONS = """
INSERT INTO sessions (id, tenant_id, project_id, channel_id, contact_id, status, started_at,
    last_interaction_at, timeout_seconds, opened_by, assigned_agent_id)
SELECT gen_random_uuid(), $1, $1, $2, CASE WHEN n % 150 = 0 THEN $3 ELSE gen_random_uuid() END,
    CASE WHEN n % 8 = 7 THEN 'active' ELSE 'closed' END, now() - make_interval(secs => n),
    now(), 1800, 'agent', CASE WHEN n % 170 = 3 THEN $4::uuid END
FROM generate_series(1, 4000) AS n
"""


class TestPlans:
    async def test_ten_thousand_messages_are_as_near_from_either_end(
        self, own_database: MigratedDatabase, database: Database
    ) -> None:
        """Beside another company's as many; a page costs its rows, wherever it is."""
        pair = Scene(database), Scene(database)
        for each in pair:
            await each.apply(on_message_received, each.received("1"))
            async with database.tenant(each.tenant_id) as tx:
                await tx.execute(_MANY)
        admin = await asyncpg.connect(own_database.admin_url)
        await admin.execute(f"VACUUM ANALYZE {own_database.schema}.messages")
        await admin.close()
        async with database.tenant(pair[0].tenant_id) as tx:
            first = await tx.fetchrow("SELECT * FROM messages WHERE seq = 1")
            assert first is not None
            asks = Principal(tenant_id=pair[0].tenant_id, user_id=uuid4())
            of_own = asks.model_copy(update={"own_only": True})
            for kind, handler in ALL:
                for way, edge in ((backwards, MANY), (forwards, 1)):
                    request, call = of(kind, first, limit=50, **way(kind)), Call(asks, "request-1")
                    page = await handler(tx, request, call)
                    assert [m.seq for m in page.data[:1]] == [edge]
                    after = of(kind, first, limit=50, cursor=page.next_cursor, **way(kind))
                    # The page and a row more, and a look at each of its messages' reactions; who
                    # sees only what is its own, has a look at each of its conversations as well.
                    for each_page, who, most in (
                        *((request, asks, 170), (after, asks, 170)),
                        (after, of_own, 230),
                    ):
                        work = handler(tx, each_page, Call(who, "request-1"))
                        plan = await plan_of(tx, work)
                        assert plan.rows < most, (kind, way, plan)
                        assert "messages" not in plan.whole, (kind, way, plan)

    async def test_active_sessions_of_an_agent_or_a_contact_are_not_looked_for(
        self, own_database: MigratedDatabase, database: Database
    ) -> None:
        """Among thousands that ended, and beside another company's as many."""
        pair, agent, contact = (Scene(database), Scene(database)), uuid4(), uuid4()
        for each in pair:
            async with database.tenant(each.tenant_id) as tx:
                await tx.execute(_SESSIONS, each.tenant_id, each.channel.id, contact, agent)
        admin = await asyncpg.connect(own_database.admin_url)
        await admin.execute(f"VACUUM ANALYZE {own_database.schema}.sessions")
        await admin.close()
        async with database.tenant(pair[0].tenant_id) as tx:
            call = Call(Principal(tenant_id=pair[0].tenant_id, user_id=agent), "request-1", None)
            for filters, index in (
                ({"status": "active"}, "active"),
                ({"assigned_agent_id": "me"}, "agent"),
                ({"assigned_agent_id": agent}, "agent"),
                ({"contact_id": contact}, "contact"),
            ):
                request = ListSessions.model_validate({**filters, "limit": 10})
                assert len((await list_sessions(tx, request, call)).data) == 10
                plan = await plan_of(tx, list_sessions(tx, request, call))
                assert f"idx_sessions_listed_{index}" in plan.indexes, (filters, plan)
                assert plan.rows < 30, (filters, plan)
