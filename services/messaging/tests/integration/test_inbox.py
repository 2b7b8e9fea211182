"""The inbox: which conversations are shown to whom, what of them, and how far they were read."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_messaging.conversations import requests
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_revoked
from crm_messaging.sessions import service as sessions
from crm_testing.costs import plan_of
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import MalformedError, NotFoundError
from shared_events.channels.traffic import ChannelMessageRevoked, Person
from shared_events.contacts.contact import Identity
from shared_events.messaging.conversation import (
    Chat,
    Conversation,
    GetChat,
    GetConversation,
    ListConversations,
    ReadConversation,
)
from shared_events.requests import Page, Principal

PHONES = {"José Çelik": "5511988880001", "Rui": "5511988880002", "Zé": "5511988880003"}
GROUP = "120363000000000001@g.us"


class Inbox:
    """A company's, as one of its agents sees it."""

    def __init__(self, database: Database) -> None:
        self.company = Scene(database)
        self.agent = uuid4()
        principal = Principal(tenant_id=self.company.tenant_id, user_id=self.agent)
        self.call = Call(principal, "request-1", None)

    async def write(self, name: str, text: str, **changes: Any) -> None:
        """Let somebody write, by name, or in the group."""
        identity = Identity(kind="phone", value=PHONES[name])
        person = Person(identities=[identity], push_name=name)
        said = self.company.received(text, phone=PHONES[name], person=person, **changes)
        await self.company.apply(on_message_received, said)

    async def page(self, **filters: Any) -> Page[Conversation]:
        async with self.company.database.tenant(self.company.tenant_id) as tx:
            request = ListConversations.model_validate(filters)
            return await requests.list_conversations(tx, request, self.call)

    async def names(self, **filters: Any) -> list[str]:
        """Whose conversations are listed."""
        shown = (await self.page(**filters)).data
        return [each.contact.name if each.contact else "group" for each in shown]

    async def of(self, name: str) -> Conversation:
        (found,) = [c for c in (await self.page()).data if c.contact and c.contact.name == name]
        return await self.get(found.id)

    async def get(self, conversation_id: UUID) -> Conversation:
        async with self.company.database.tenant(self.company.tenant_id) as tx:
            request = GetConversation(conversation_id=conversation_id)
            return await requests.get_conversation(tx, request, self.call)

    async def chat(self, conversation_id: UUID) -> Chat:
        async with self.company.database.tenant(self.company.tenant_id) as tx:
            return await requests.get_chat(tx, GetChat(conversation_id=conversation_id), self.call)

    async def read(self, conversation_id: UUID, up_to_seq: int) -> None:
        async with self.company.database.tenant(self.company.tenant_id) as tx:
            request = ReadConversation(conversation_id=conversation_id, up_to_seq=up_to_seq)
            await requests.read_conversation(tx, request, self.call)


@pytest.fixture
async def pair(database: Database) -> tuple[Inbox, Inbox]:
    """Two companies alike: Zé's session is closed, Rui's the agent's; then José, then a group."""
    pair = Inbox(database), Inbox(database)
    for inbox in pair:
        for name in ("Zé", "Rui", "José Çelik"):
            await inbox.write(name, f"de {name}")
        await inbox.write("Rui", "no grupo", chat_id=GROUP, is_group=True)
        zé, rui = await inbox.of("Zé"), await inbox.of("Rui")
        assert zé.active_session
        assert rui.active_session
        async with inbox.company.database.tenant(inbox.company.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
                " VALUES ($1, $2, 'Bia', true)",
                inbox.company.tenant_id,
                inbox.agent,
            )
            await sessions.end(tx, zé.active_session.id, "resolved")
            rui_session = rui.active_session.id
            await sessions.assign(tx, rui_session, inbox.agent, expected_version=None)
    return pair


class TestList:
    async def test_is_newest_first_and_filtered(self, pair: tuple[Inbox, Inbox]) -> None:
        inbox, _ = pair
        assert await inbox.names() == ["group", "José Çelik", "Rui", "Zé"]
        josé, zé = await inbox.of("José Çelik"), await inbox.of("Zé")
        await inbox.read(zé.id, 1)
        assert josé.contact
        for filters, names in (
            ({"assigned": "me"}, ["Rui"]),
            ({"assigned": "none"}, ["group", "José Çelik", "Zé"]),
            ({"assigned": "none", "status": "active"}, ["group", "José Çelik"]),
            ({"status": "closed"}, ["Zé"]),
            ({"unread": True}, ["group", "José Çelik", "Rui"]),
            ({"channel_id": uuid4()}, []),
            ({"channel_id": josé.channel_id, "limit": 2}, ["group", "José Çelik"]),
            ({"contact_id": josé.contact.id}, ["José Çelik"]),
            ({"search": "jose celik"}, ["José Çelik"]),
            ({"search": "8888-0002"}, ["Rui"]),
            ({"search": "%"}, []),
        ):
            assert await inbox.names(**filters) == names, filters
        await inbox.write("Zé", "voltei")
        assert (await inbox.names())[0] == "Zé"

    async def test_pages_by_cursors_of_one_filter_and_company(
        self, pair: tuple[Inbox, Inbox]
    ) -> None:
        inbox, other = pair
        first = await inbox.page(limit=2)
        await inbox.write("Zé", "para cima")
        rest = await inbox.page(limit=2, cursor=first.next_cursor)
        assert (len(rest.data), rest.has_more) == (1, False)
        for asker, filters in ((inbox, {"unread": True}), (other, {})):
            with pytest.raises(MalformedError):
                await asker.page(limit=2, cursor=first.next_cursor, **filters)

    async def test_many_that_a_word_finds_are_listed_like_few(
        self, pair: tuple[Inbox, Inbox], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = await pair[0].names(search="5511")
        monkeypatch.setattr("crm_messaging.conversations.listing._FEW", 1)
        assert await pair[0].names(search="5511") == few == ["José Çelik", "Rui", "Zé"]


class TestConversation:
    async def test_shows_contact_last_message_and_session(self, pair: tuple[Inbox, Inbox]) -> None:
        inbox, other = pair
        await inbox.write("Rui", "á" * 5000, external_id="LAST")
        rui = await inbox.of("Rui")
        assert rui.contact
        assert rui.last_message
        assert rui.active_session
        assert (rui.contact.name, rui.contact.phone) == ("Rui", "+5511988880002")
        assert (rui.last_message.seq, rui.last_message.preview) == (rui.seq, "á" * 200)
        assert rui.active_session.assigned_agent_id == inbox.agent
        assert (rui.seq, rui.unread_count, rui.is_group) == (2, 2, False)
        revoked = {"channel_id": rui.channel_id, "external_id": "LAST"}
        at = {"revoked_at": "2026-01-31T12:00:00Z"}
        said = ChannelMessageRevoked.model_validate({**revoked, **at})
        await inbox.company.apply(on_message_revoked, said)
        last = (await inbox.get(rui.id)).last_message
        assert last
        assert (last.preview, last.revoked_at is None) == (None, False)
        assert (await inbox.of("Zé")).active_session is None
        (group,) = [c for c in (await inbox.page()).data if c.is_group]
        assert (group.contact, group.seq, group.status) == (None, 1, "active")
        assert group.active_session
        assert group.active_session.assigned_agent_id is None  # Rui's own session is another
        with pytest.raises(NotFoundError):
            await other.get(rui.id)


class TestRead:
    async def test_only_ever_goes_on_and_is_told_once(self, pair: tuple[Inbox, Inbox]) -> None:
        inbox, other = pair
        for n in range(3):
            await inbox.write("Rui", f"{n}")
        rui = await inbox.of("Rui")
        before = len(await inbox.company.outbox())
        seen = []
        for up_to in (3, 3, 1, 0, 99, 4):
            await inbox.read(rui.id, up_to)
            now = await inbox.get(rui.id)
            seen.append((now.read_seq, now.unread_count))
        assert seen == [(3, 1)] * 4 + [(4, 0)] * 2
        told = (await inbox.company.outbox())[before:]
        assert [row["event_type"] for row in told] == ["conversation.read"] * 2
        assert told[0]["payload"]["unread_count"] == 1
        assert told[0]["payload"]["read_by"] == str(inbox.agent)
        assert told[0]["payload"]["chat_id"] == f"{PHONES['Rui']}@c.us"
        await inbox.write("Rui", "mais")
        assert (await inbox.get(rui.id)).unread_count == 1
        with pytest.raises(NotFoundError):
            await other.read(rui.id, 4)
        assert (await other.of("Rui")).unread_count == 1


class TestChat:
    async def test_is_where_people_wrote_last(self, pair: tuple[Inbox, Inbox]) -> None:
        inbox, other = pair
        rui, zé = await inbox.of("Rui"), await inbox.of("Zé")
        (group,) = [c for c in (await inbox.page()).data if c.is_group]
        assert await inbox.chat(rui.id) == Chat(
            channel_id=rui.channel_id, chat_id=f"{PHONES['Rui']}@c.us"
        )
        assert (await inbox.chat(zé.id)).chat_id == f"{PHONES['Zé']}@c.us"  # whose session is over
        assert (await inbox.chat(group.id)).chat_id == GROUP
        with pytest.raises(NotFoundError):
            await other.chat(rui.id)

    async def test_of_another_agent_is_not_shown(self, pair: tuple[Inbox, Inbox]) -> None:
        inbox, _ = pair
        rui = await inbox.of("Rui")
        stranger = Principal(tenant_id=inbox.company.tenant_id, user_id=uuid4(), own_only=True)
        inbox.call = Call(stranger, "request-1", None)
        with pytest.raises(NotFoundError):
            await inbox.chat(rui.id)


MANY = 4000
_MANY = """
INSERT INTO conversations (id, tenant_id, channel_id, contact_id, last_message_at, session_id,
    status, unread_count, assigned_agent_id)
SELECT gen_random_uuid(), $1, CASE WHEN n < 20 THEN $2::uuid ELSE $3::uuid END,
    md5('c' || n)::uuid, now() - make_interval(secs => n), gen_random_uuid(),
    CASE WHEN n % 200 = 7 THEN 'active' ELSE 'closed' END, CASE WHEN n % 200 = 9 THEN 1 ELSE 0 END,
    CASE WHEN n % 200 = 7 THEN $4::uuid END
FROM generate_series(1, $5) AS n
"""
_PEOPLE = """
INSERT INTO contact_refs (tenant_id, contact_id, name, search_text)
SELECT $1, md5('c' || n)::uuid, 'x', ' pessoa ' || md5(n::text) FROM generate_series(1, $2) AS n
"""


class TestPlans:
    async def test_every_filter_reads_about_a_page(
        self, own_database: MigratedDatabase, database: Database
    ) -> None:
        """Beside another company's as many, in which every filter finds the same."""
        pair = Inbox(database), Inbox(database)
        few, many = uuid4(), uuid4()
        for inbox in pair:
            async with database.tenant(tenant := inbox.company.tenant_id) as tx:
                await tx.execute(_MANY, tenant, few, many, inbox.agent, MANY)
                await tx.execute(_PEOPLE, tenant, MANY)
        admin = await asyncpg.connect(own_database.admin_url)
        await admin.execute(f"VACUUM ANALYZE {own_database.schema}.conversations")
        await admin.execute(f"VACUUM ANALYZE {own_database.schema}.contact_refs")
        await admin.close()
        async with database.tenant(pair[0].company.tenant_id) as tx:
            for filters, index in (
                ({}, "newest"),
                ({"assigned": "none"}, "newest"),
                ({"assigned": "me"}, "assigned"),
                ({"unread": True}, "unread"),
                ({"status": "active"}, "active"),
                ({"channel_id": few}, "channel"),
                ({"contact_id": uuid4()}, "contact"),
                ({"search": "c4ca4238a0b92382"}, "contact"),
            ):
                request = ListConversations.model_validate({**filters, "limit": 10})
                listing = requests.list_conversations(tx, request, pair[0].call)
                plan = await plan_of(tx, listing)
                used = {f"idx_conversations_{index}", "idx_messages_numbered"}
                assert used <= plan.indexes, (filters, plan)
                assert not plan.whole, (filters, plan)
                assert plan.rows < 80, (filters, plan)
