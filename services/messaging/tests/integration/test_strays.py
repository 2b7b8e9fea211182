"""Messages that the release before stored while an update rolled join their conversations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Record
from crm_messaging.conversations.repository import CONVERSATIONS
from crm_messaging.conversations.requests import read_conversation
from crm_messaging.merging.consumers import on_contact_merged
from crm_messaging.messages import strays
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_reaction_reported
from crm_messaging.messages.listing import list_conversation_messages
from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.service import send
from crm_messaging.messages.strays import Strays, repository
from crm_messaging.messages.strays.service import join
from crm_messaging.sessions import service as sessions
from crm_testing.costs import never_analyse, plan_of, reads
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import eventually
from prometheus_client import REGISTRY
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.service import Service
from shared_events import examples
from shared_events.channels.traffic import ChannelReactionReported
from shared_events.contacts.contact import Contact, ContactIdentity
from shared_events.contacts.merge import ContactMerged
from shared_events.identity import WhatsAppId, contact_id, conversation_id
from shared_events.messaging.conversation import ListConversationMessages, ReadConversation
from shared_events.messaging.message import SendMessage
from shared_events.requests import Principal

ANA, RUI, SA, LID = "5511988880001", "5511988880002", "5511988880003", "1" * 49
GROUP = f"{'9' * 49}@g.us"
_AS_BEFORE = """
UPDATE messages m SET conversation_id = NULL, placed_at = now(), seq = (
    SELECT total_messages FROM sessions WHERE id = m.session_id) - (
    SELECT count(*) FROM messages o
    WHERE o.session_id = m.session_id AND (o.created_at, o.id) > (m.created_at, m.id))
WHERE id <> ALL($1::uuid[])
"""
_MANY = """
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, status)
SELECT gen_random_uuid(), tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    n, direction, origin, content_type, status
FROM messages CROSS JOIN generate_series(2, $1::int) AS n WHERE seq = 1
"""
_LAST = "UPDATE messages SET conversation_id = NULL WHERE conversation_id = $1 AND seq = $2"


@asynccontextmanager
async def release_before(company: Scene) -> AsyncIterator[Transaction]:
    """What is written here leaves what that release's writing leaves on the schema of this one.

    It numbers within sessions, and knows of no conversation.
    """
    async with company.database.tenant(company.tenant_id) as tx:
        stood = await CONVERSATIONS.find(tx, "SELECT * FROM conversations")
        known = [row["id"] for row in await tx.fetch("SELECT id FROM messages")]
        yield tx
        await tx.execute(_AS_BEFORE, known)
        await tx.execute("DELETE FROM conversations")
        await CONVERSATIONS.insert(tx, stood)


async def old(company: Scene, *texts: str, phone: str = ANA, **said: Any) -> None:
    """Somebody writes, and a process of the release before stores it."""
    async with release_before(company) as tx:
        told = [company.received(text, phone=phone, **said) for text in texts]
        await on_message_received(tx, company.events(told))


async def new(company: Scene, *texts: str, phone: str = ANA, **said: Any) -> None:
    """Somebody writes, and a process of this release stores it."""
    told = [company.received(text, phone=phone, **said) for text in texts]
    await company.apply(on_message_received, *told)


def person(company: Scene, phone: str) -> UUID:
    return contact_id(company.tenant_id, WhatsAppId("phone", phone))


def id_of(company: Scene, phone: str) -> UUID:
    return conversation_id(company.channel.id, str(person(company, phone)))


async def shown(company: Scene, id_: UUID) -> Record:
    (row,) = await company.rows("SELECT * FROM conversations WHERE id = $1", id_)
    return row


async def said(company: Scene, id_: UUID) -> list[tuple[int, str]]:
    rows = await company.rows(
        "SELECT seq, content FROM messages WHERE conversation_id = $1 ORDER BY seq", id_
    )
    return [(row["seq"], row["content"]) for row in rows]


async def stray_count(company: Scene) -> int:
    return len(await company.rows("SELECT 1 FROM messages WHERE conversation_id IS NULL"))


def numbered(*texts: str) -> list[tuple[int, str]]:
    return list(enumerate(texts, start=1))


def call_of(company: Scene) -> Call:
    return Call(Principal(tenant_id=company.tenant_id), correlation_id="request")


def looking(company: Scene) -> Strays:
    return Strays(company.database, seconds=3600)


async def act(company: Scene) -> None:
    """An update rolls: processes of both releases store what is said."""
    group: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
    await new(company, "1", "2")
    await new(company, "r1", phone=RUI)
    await old(company, "3", external_id=f"3 {company.tenant_id}")
    await old(company, "s1", phone=SA)
    await new(company, "s2", phone=SA)
    await old(company, "r2", phone=RUI)
    await new(company, "4")
    theirs = {"contact_id": person(company, ANA), "channel_id": company.channel.id}
    async with release_before(company) as tx:
        await send(tx, SendMessage(**theirs, content="5"), None)
    await old(company, "6", sent_at="2026-01-31T12:00:00.75Z")
    await new(company, "g1", **group)
    async with release_before(company) as tx:
        for row in await tx.fetch("SELECT session_id FROM messages WHERE content IN ('6', 's2')"):
            await sessions.end(tx, row["session_id"], "resolved")
    await old(company, "s3", phone=SA)
    await old(company, "7", sent_at="2099-01-01T00:00:00Z")
    await old(company, "g2", phone=RUI, **group)
    await new(company, "8")
    await new(company, "g3", phone=RUI, **group)
    await new(company, "r3", phone=RUI, direction="outbound", origin="phone")
    await old(company, "r4", phone=RUI)
    example = examples.load("channel.reaction_reported")["data"]
    third = {"channel_id": company.channel.id, "external_id": f"3 {company.tenant_id}"}
    reaction = ChannelReactionReported.model_validate({**example, **third})
    await company.apply(on_reaction_reported, reaction)


async def beside(company: Scene) -> list[Any]:
    """All that joining leaves as it is."""
    messages = await company.rows("SELECT * FROM messages ORDER BY id")
    moved = "conversation_id", "seq", "placed_at"
    kept = [{k: v for k, v in row.items() if k not in moved} for row in messages]
    tables = "sessions", "outbox_events", "message_reactions", "contact_refs"
    return [kept, *[await company.rows(f"SELECT * FROM {t} ORDER BY 1, 2") for t in tables]]  # noqa: S608


async def everything(company: Scene) -> list[Any]:
    tables = "messages", "conversations"
    return [await company.rows(f"SELECT * FROM {t} ORDER BY id") for t in tables]  # noqa: S608


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies with the same customers, in the middle of an update."""
    pair = Scene(database), Scene(database)
    for company in pair:
        await act(company)
    return pair


class TestJoining:
    @pytest.mark.parametrize("batch", [500, 2])
    async def test_puts_all_in_the_order_it_was_stored_in(
        self, pair: tuple[Scene, Scene], batch: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strays, "_BATCH", batch)
        kept = [await beside(company) for company in pair]
        assert [await stray_count(company) for company in pair] == [9, 9]
        await asyncio.gather(*(looking(company).once() for company in (*pair, *pair)))
        assert [await beside(company) for company in pair] == kept
        for company in pair:
            assert await stray_count(company) == 0
            ana, rui, sa = (id_of(company, phone) for phone in (ANA, RUI, SA))
            group = conversation_id(company.channel.id, GROUP)
            assert await said(company, ana) == numbered(*"12345678")
            assert await said(company, rui) == numbered("r1", "r2", "r3", "r4")
            assert await said(company, sa) == numbered("s1", "s2", "s3")
            assert await said(company, group) == numbered("g1", "g2", "g3")

    async def test_shows_what_is_unread_and_who_is_talked_with(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        await looking(pair[0]).once()
        counts = ("seq", "read_seq", "unread_count")
        for company in pair:
            ana, rui, sa = [await shown(company, id_of(company, p)) for p in (ANA, RUI, SA)]
            group = await shown(company, conversation_id(company.channel.id, GROUP))
            # Her fifth is the company's, written by a process of before; his third by one of now.
            assert [ana[n] for n in counts] == [8, 5, 3]
            assert [rui[n] for n in counts] == [4, 3, 1]
            assert [sa[n] for n in counts] == [3, 0, 3]
            assert [group[n] for n in counts] == [3, 0, 3]
            people = [row for row in await company.sessions() if row["status"] == "active"]
            (its_own,) = [row["id"] for row in people if row["conversation_id"] == group["id"]]
            assert (group["session_id"], group["contact_id"]) == (its_own, None)
            active = {row["contact_id"]: row["id"] for row in people}
            for row in (ana, rui, sa):
                assert (row["session_id"], row["status"]) == (active[row["contact_id"]], "active")
            messages = {row["content"]: row for row in await company.messages()}
            assert sa["last_message_at"] == messages["s3"]["created_at"]
            assert rui["last_message_at"] == messages["r4"]["created_at"]
            for row in messages.values():
                assert row["placed_at"] == placed_at(row["sent_at"], row["created_at"])

    async def test_is_done_once_and_the_next_message_goes_on(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        await looking(pair[0]).once()
        joined = [await everything(company) for company in pair]
        await looking(pair[0]).once()
        assert [await everything(company) for company in pair] == joined
        await new(pair[0], "3", external_id=f"3 {pair[0].tenant_id}")  # told again
        assert [await everything(company) for company in pair] == joined
        await new(pair[0], "9")
        assert (await said(pair[0], id_of(pair[0], ANA)))[-1] == (9, "9")
        assert await everything(pair[1]) == joined[1]

    async def test_again_finds_what_was_stored_since(self, scene: Scene) -> None:
        await new(scene, "1")
        for round_ in range(3):
            await old(scene, f"{round_} a", f"{round_} b")
            await new(scene, f"{round_} c")
            await looking(scene).once()
        texts = [f"{round_} {place}" for round_ in range(3) for place in "abc"]
        assert await said(scene, id_of(scene, ANA)) == numbered("1", *texts)


class TestReaders:
    async def test_forward_miss_nothing_that_had_a_place(self, scene: Scene) -> None:
        """Who reads forward may see one twice, and what joined before the cursor not."""
        await new(scene, "1")
        await old(scene, "2")
        await new(scene, "3", "4", "5")
        cursor: str | None = None
        seen: list[str | None] = []
        for _ in range(2):
            async with scene.database.tenant(scene.tenant_id) as tx:
                page = await list_conversation_messages(
                    tx,
                    ListConversationMessages(
                        conversation_id=id_of(scene, ANA),
                        direction="forward",
                        limit=2 if cursor is None else 10,
                        cursor=cursor,
                    ),
                    call_of(scene),
                )
            cursor = page.next_cursor
            seen += [message.content for message in page.data]
            await looking(scene).once()
        assert seen == ["1", "3", "3", "4", "5"]

    async def test_have_read_what_they_had(self, scene: Scene) -> None:
        await new(scene, "1")
        await old(scene, "2")
        await new(scene, "3")
        await old(scene, "4")
        await new(scene, "5")
        async with scene.database.tenant(scene.tenant_id) as tx:
            read = ReadConversation(conversation_id=id_of(scene, ANA), up_to_seq=2)
            await read_conversation(tx, read, call_of(scene))
        await looking(scene).once()
        row = await shown(scene, id_of(scene, ANA))
        assert (row["seq"], row["read_seq"], row["unread_count"]) == (5, 3, 2)


class TestMeanwhile:
    async def test_a_company_that_is_being_written_to_waits_and_no_other(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        busy, free = sorted(pair, key=lambda company: company.tenant_id)
        async with busy.database.tenant(busy.tenant_id) as tx:
            await on_message_received(tx, busy.events([busy.received("9")]))
            await looking(busy).once()
            assert (await stray_count(busy), await stray_count(free)) == (9, 0)
            assert REGISTRY.get_sample_value("crm_stray_messages") == 9
        await looking(busy).once()
        assert REGISTRY.get_sample_value("crm_stray_messages") == 0
        assert await said(busy, id_of(busy, ANA)) == numbered(*"123456789")

    async def test_whoever_writes_gets_the_number_behind(self, scene: Scene) -> None:
        await new(scene, "1")
        await old(scene, "2")
        await new(scene, "3")
        async with scene.database.tenant(scene.tenant_id) as tx:
            assert await join(tx, 500) == 1
            writing = asyncio.create_task(new(scene, "4"))
            await eventually(scene.waits_for_a_lock)
            async with scene.database.tenants([scene.tenant_id], lock_seconds=0.5) as other:
                assert await join(other, 500) == 0  # one process at a time
        await writing
        assert await said(scene, id_of(scene, ANA)) == numbered(*"1234")

    async def test_a_session_that_ends_is_shown_as_ended(self, scene: Scene) -> None:
        await old(scene, "1")
        (session,) = await scene.sessions()
        async with scene.database.tenant(scene.tenant_id) as tx:
            await sessions.end(tx, session["id"], "resolved")
            await looking(scene).once()
        await looking(scene).once()
        row = await shown(scene, id_of(scene, ANA))
        assert (row["seq"], row["session_id"], row["status"]) == (1, session["id"], "closed")

    async def test_one_company_that_cannot_join_keeps_no_other_waiting(
        self, pair: tuple[Scene, Scene], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken, free = sorted(pair, key=lambda company: company.tenant_id)

        async def fails(tx: Transaction, limit: int) -> int:
            if tx.tenant_id == broken.tenant_id:
                raise ValueError("a fault of this one")
            return await join(tx, limit)

        monkeypatch.setattr(strays.service, "join", fails)
        await looking(broken).once()
        assert (await stray_count(broken), await stray_count(free)) == (9, 0)

    async def test_of_a_contact_that_was_merged_they_are_the_winners(self, scene: Scene) -> None:
        await new(scene, "1")
        async with release_before(scene) as tx:
            hidden = scene.received("2", phone=None, lid=LID)
            await on_message_received(tx, scene.events([hidden]))
        ana = {**examples.load("contact.created")["data"]["contact"], "identities": []}
        pair = [WhatsAppId("phone", ANA), WhatsAppId("lid", LID)]
        winner, loser = [
            Contact.model_validate({**ana, "id": contact_id(scene.tenant_id, who)}) for who in pair
        ]
        merge = ContactMerged(
            winner=winner, loser=loser, identities=[ContactIdentity(kind="lid", value=LID)]
        )
        await scene.apply(on_contact_merged, merge, seq=100)
        await looking(scene).once()
        assert await said(scene, id_of(scene, ANA)) == numbered("1", "2")
        assert len(await scene.rows("SELECT 1 FROM conversations")) == 1


class TestLooking:
    async def test_begins_with_the_service(self, service: Service) -> None:
        company = Scene(service.database)
        await old(company, "1")

        async def joined() -> bool:
            return await stray_count(company) == 0

        await eventually(joined)
        assert await said(company, id_of(company, ANA)) == numbered("1")

    async def test_reads_no_message_that_has_its_place(self, scene: Scene) -> None:
        await new(scene, *map(str, range(200)))
        async with scene.database.system(repository.SCOPE) as tx:
            assert await tx.fetchval("SELECT count(*) FROM messages") == 0
            for look in (repository.count(tx, 10), repository.next_tenant(tx, "")):
                plan = await plan_of(tx, look)
                assert (set(plan.indexes), plan.rows) == ({"idx_messages_stray"}, 0)

    async def test_of_a_young_table_keeps_no_plan_for_when_it_has_grown(
        self, own_database: MigratedDatabase
    ) -> None:
        await never_analyse(own_database)
        async with own_database.connected(pool_size=1) as database:
            scene = Scene(database)
            await new(scene, "1")
            id_ = id_of(scene, ANA)
            for last in (*[1] * 8, 5001):
                async with database.tenant(scene.tenant_id) as tx:
                    await tx.execute(_MANY, last)
                    await tx.execute("UPDATE conversations SET seq = $1", last - 1)
                    await tx.execute(_LAST, id_, last)
                await looking(scene).once()
            assert (await said(scene, id_))[-1][0] == 5001
        read = await reads(own_database)
        assert read.by_scan < 1000, read

    async def test_sees_the_strays_of_all_and_changes_none(self, pair: tuple[Scene, Scene]) -> None:
        async with pair[0].database.system(repository.SCOPE) as tx:
            assert await tx.fetchval("SELECT count(*) FROM messages") == 18
            assert await tx.execute("UPDATE messages SET seq = 0") == 0
        for scope in ("sweep", "relay", "nobody"):
            async with pair[0].database.system(scope) as tx:
                assert await tx.fetchval("SELECT count(*) FROM messages") == 0
