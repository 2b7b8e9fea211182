"""History joins conversations at its own time, once; what was missed is news all the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.history.consumers import on_history_read
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_status_reported
from crm_testing.costs import never_analyse, reads, statements
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import Company, Outside
from service_kit import forgotten
from service_kit.database import Database
from service_kit.service import Service
from shared_events import bounds
from shared_events.channels.history import PAGE_MESSAGES, ChannelHistoryRead
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.identity import Forgotten, WhatsAppId
from shared_events.messaging.conversation import (
    ListConversationMessages,
    ListConversations,
    ReadConversation,
)
from shared_events.messaging.message import GetMessage
from shared_events.messaging.session import ListSessions, ReopenSession

DAY = datetime(2025, 3, 14, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return DAY + timedelta(minutes=minutes)


def said(scene: Scene, minutes: float, text: str | None = None, **more: Any) -> Any:
    """A message of so many minutes after noon, which says so."""
    text = text or f"{minutes:g}"
    return scene.received(text, external_id=f"X{text}", sent_at=at(minutes), **more)


def page(scene: Scene, *minutes: float, notify: bool = False, **more: Any) -> ChannelHistoryRead:
    """A page of a chat's history, newest first."""
    messages = [said(scene, each, **more) for each in sorted(minutes, reverse=True)]
    return ChannelHistoryRead(import_id=uuid4(), notify=notify, messages=messages)


async def live(scene: Scene, *minutes: float) -> None:
    """Messages told as they came, one after the other."""
    for each in minutes:
        await scene.apply(on_message_received, said(scene, each))


async def imported(scene: Scene, *minutes: float, **more: Any) -> None:
    await scene.apply(on_history_read, page(scene, *minutes, **more))


async def order(scene: Scene) -> list[tuple[int, str]]:
    rows = await scene.rows("SELECT seq, content FROM messages ORDER BY conversation_id, seq")
    return [(row["seq"], row["content"]) for row in rows]


async def conversation(scene: Scene) -> dict[str, Any]:
    (row,) = await scene.rows("SELECT * FROM conversations")
    return dict(row)


class TestPlaces:
    async def test_history_stands_before_and_between_what_came_live(self, scene: Scene) -> None:
        await live(scene, 100, 110, 120)
        before = await conversation(scene)
        await imported(scene, 50, 60, 70)  # the newest page first, as it is read
        await imported(scene, 10, 20, 50)  # pages overlap where something was said meanwhile
        assert await order(scene) == [
            *((-4, "10"), (-3, "20"), (-2, "50"), (-1, "60"), (0, "70")),
            *((1, "100"), (2, "110"), (3, "120")),
        ]
        unchanged = await conversation(scene)
        assert {**unchanged, "updated_at": 0} == {**before, "updated_at": 0}
        # What was missed while the channel was away stands where it was said.
        await imported(scene, 5, 101, 102, 111, 120, 130)
        assert [content for _, content in await order(scene)] == [
            *("5", "10", "20", "50", "60", "70"),
            *("100", "101", "102", "110", "111", "120", "130"),
        ]
        assert [seq for seq, _ in await order(scene)] == list(range(-5, 8))
        row = await conversation(scene)
        assert (row["seq"], row["unread_count"], row["read_seq"]) == (7, 3, 0)
        await live(scene, 140)
        assert (await order(scene))[-1] == (8, "140")

    async def test_a_conversation_may_begin_with_history(self, scene: Scene) -> None:
        await imported(scene, 1, 2)
        row = await conversation(scene)
        shown = ("seq", "unread_count", "session_id", "status", "last_message_at")
        assert [row[name] for name in shown] == [0, 0, None, None, at(2)]
        assert await order(scene) == [(-1, "1"), (0, "2")]
        await live(scene, 3)
        row = await conversation(scene)
        assert (row["seq"], row["unread_count"], row["status"]) == (1, 1, "active")

    async def test_within_a_second_the_order_of_pages_holds(self, scene: Scene) -> None:
        texts = ("a", "b", "c", "d")
        told = [said(scene, 1, text) for text in reversed(texts)]
        for newest_first in (told[:2], told[2:]):
            read = ChannelHistoryRead(import_id=uuid4(), messages=newest_first)
            await scene.apply(on_history_read, read)
        assert [content for _, content in await order(scene)] == list(texts)


class TestOnce:
    async def test_whichever_came_first_it_is_one_message(self, scene: Scene) -> None:
        await live(scene, 10)
        read = page(scene, 10, 20)
        for _ in range(2):  # the same page in two imports, or read twice
            await scene.apply(on_history_read, read)
        await live(scene, 20)
        assert await order(scene) == [(1, "10"), (2, "20")]
        rows = {row["content"]: row["historical"] for row in await scene.messages()}
        assert rows == {"10": False, "20": True}
        (session,) = await scene.rows("SELECT * FROM sessions WHERE opened_by = 'history'")
        assert session["total_messages"] == 1

    async def test_a_receipt_that_was_early_is_applied(self, scene: Scene) -> None:
        await scene.apply(on_status_reported, scene.receipt("X7", "read", occurred_at=at(8)))
        await imported(scene, 7, direction="outbound", origin="phone")
        (message,) = await scene.messages()
        assert (message["status"], message["read_at"]) == ("read", at(8))
        assert await scene.rows("SELECT * FROM parked_receipts") == []


class TestNothingElse:
    async def test_no_session_no_event_and_nothing_unread(self, scene: Scene) -> None:
        await live(scene, 100)
        told = len(await scene.outbox())
        (active,) = await scene.sessions()
        await imported(scene, 10, 200)
        assert len(await scene.outbox()) == told
        rows = await scene.rows("SELECT * FROM sessions WHERE opened_by <> 'history'")
        assert rows == [active]
        assert (await conversation(scene))["unread_count"] == 1

    async def test_whoever_asks_is_told_of_each_new_message(self, scene: Scene) -> None:
        await live(scene, 10)
        told = len(await scene.outbox())
        await imported(scene, 5, 10, notify=True)
        await imported(scene, 3, notify=True, direction="outbound", origin="phone")
        news = (await scene.outbox())[told:]
        assert [row["event_type"] for row in news] == ["message.received", "message.sent"]
        assert [row["payload"]["message"]["content"] for row in news] == ["5", "3"]
        assert all(row["payload"]["message"]["historical"] for row in news)
        assert {row["payload"]["session"]["status"] for row in news} == {"closed"}

    async def test_an_erased_persons_history_does_not_come_back(self, scene: Scene) -> None:
        await live(scene, 300)  # who was erased writes again
        identity = (scene.tenant_id, WhatsAppId("phone", "5511988880001").key)
        async with scene.database.tenant(scene.tenant_id) as tx:
            await forgotten.add(tx, [(identity, Forgotten(uuid4(), at(100)))])
        await imported(scene, 50, 99, 100, 150)
        assert [content for _, content in await order(scene)] == ["100", "150", "300"]


class TestRequests:
    @pytest.fixture
    async def pair(self, service: Service, outside: Outside) -> Sequence[tuple[Scene, Company]]:
        """Two companies with a live message and history of their own, and whoever asks for each."""
        found = []
        for _ in range(2):
            scene = Scene(service.database)
            found.append((scene, Company(service.database, outside, id=scene.tenant_id)))
            await live(scene, 100, 101)
            await imported(scene, 10, 100.5)
        return found

    async def test_lists_read_and_sessions(self, pair: Sequence[tuple[Scene, Company]]) -> None:
        (scene, company), (_, other) = pair
        (shown,) = (await company.value(ListConversations()))["data"]
        assert (shown["seq"], shown["unread_count"]) == (3, 2)
        asked = ListConversationMessages(conversation_id=shown["id"], limit=1, direction="forward")
        first = await company.value(asked)
        assert [m["content"] for m in first["data"]] == ["10"]
        assert (first["data"][0]["seq"], first["data"][0]["historical"]) == (0, True)
        following = asked.model_copy(update={"cursor": first["next_cursor"], "limit": 9})
        rest = (await company.value(following))["data"]
        assert [m["content"] for m in rest] == ["100", "100.5", "101"]
        await imported(scene, 5)
        backward = ListConversationMessages(conversation_id=shown["id"], limit=4)
        last = await company.value(backward)
        older = backward.model_copy(update={"cursor": last["next_cursor"]})
        assert [m["seq"] for m in (await company.value(older))["data"]] == [-1]
        # Counting what is left unread, history is left out.
        await company.value(ReadConversation(conversation_id=UUID(shown["id"]), up_to_seq=1))
        (shown,) = (await company.value(ListConversations()))["data"]
        assert shown["unread_count"] == 1
        (session,) = (await company.value(ListSessions()))["data"]
        assert session["status"] == "active"
        history_session = UUID(first["data"][0]["session_id"])
        refusal = await company.refusal(ReopenSession(session_id=history_session))
        assert refusal == ("conflict", "session_of_history")
        message_id = UUID(first["data"][0]["id"])
        refusal = await other.refusal(GetMessage(message_id=message_id))
        assert refusal == ("not_found", "message_not_found")


def longest(scene: Scene) -> ChannelMessageReceived:
    """A message with all that fits into one."""
    told: ChannelMessageReceived = scene.received(
        "x" * bounds.limit(bounds.MessageText),
        external_id="e" * bounds.limit(bounds.ExternalId),
        chat_id="c" * bounds.limit(bounds.ChatId),
        is_group=True,
        sent_at=at(1),
        reply_to_external_id="r" * bounds.limit(bounds.ExternalId),
    )
    return told


class TestManyCompanies:
    async def test_go_together_and_stay_apart(self, own_database: MigratedDatabase) -> None:
        costs = []
        async with own_database.connected(pool_size=1) as database:
            for count in (1, 2, 40):
                companies = [Scene(database) for _ in range(count)]
                for scene in companies:
                    await live(scene, 100, 110)
                batch = [e for c in companies for e in c.events([page(c, 1, 105)])]
                costs.append(await statements(database, on_history_read, batch))
                for scene in companies:
                    assert await order(scene) == [(0, "1"), (1, "100"), (2, "105"), (3, "110")]
        assert costs[2] == costs[1] < 25

    async def test_the_longest_fits(self, scene: Scene) -> None:
        read = ChannelHistoryRead(import_id=uuid4(), messages=[longest(scene)])
        await scene.apply(on_history_read, read)
        (message,) = await scene.messages()
        assert len(message["content"]) == bounds.limit(bounds.MessageText)

    async def test_a_young_table_is_not_read_from_end_to_end(
        self, own_database: MigratedDatabase
    ) -> None:
        await never_analyse(own_database)
        async with own_database.connected(pool_size=1) as database:
            scenes = [Scene(database) for _ in range(10)]
            for n in range(8):
                for scene in scenes:
                    first = (8 - n) * 1000
                    await imported(scene, *range(first, first + PAGE_MESSAGES))
        read = await reads(own_database)
        applied = 80 * PAGE_MESSAGES
        assert read.by_index < 12 * applied, read
        assert read.by_scan < 2 * applied, read


async def test_pages_go_on_where_two_meet(database: Database) -> None:
    """Two imports of one chat at once: whoever is second finds what the first stored."""
    scene = Scene(database)
    read = page(scene, *range(PAGE_MESSAGES))
    async with database.tenant(scene.tenant_id) as tx:
        await on_history_read(tx, scene.events([read, page(scene, *range(-3, 3))]))
    assert [content for _, content in await order(scene)] == [
        str(n) for n in range(-3, PAGE_MESSAGES)
    ]


class TestRecovered:
    """What was missed while a channel was deaf: in its place, and news all the same."""

    async def test_is_unread_told_and_in_the_session(self, scene: Scene) -> None:
        await recovered(scene, 1, 2)
        assert await order(scene) == [(1, "1"), (2, "2")]
        row = await conversation(scene)
        assert (row["seq"], row["unread_count"], row["status"]) == (2, 2, "active")
        assert row["last_message_at"] > at(60 * 24)
        started, *told = [event["payload"] for event in await scene.outbox()]
        assert [(t["message"]["content"], t["message"]["historical"]) for t in told] == [
            ("1", False),
            ("2", False),
        ]
        assert all(t["message"]["metadata"]["recovered"] for t in told)
        assert {t["session"]["id"] for t in told} == {started["session"]["id"]}
        assert await scene.told() == ["session.started", *["message.received"] * 2]

    async def test_stands_before_what_came_live_since_and_once(self, scene: Scene) -> None:
        await live(scene, 10, 40)
        await recovered(scene, 30, 40, 50)
        await recovered(scene, 5, 20, 30)  # an older page, that overlaps
        await live(scene, 20, 60)
        texts = ("5", "10", "20", "30", "40", "50", "60")
        assert await order(scene) == list(enumerate(texts, start=1))
        row = await conversation(scene)
        assert (row["seq"], row["unread_count"]) == (7, 7)
        sessions = await scene.rows("SELECT total_messages FROM sessions")
        assert [session["total_messages"] for session in sessions] == [7]

    async def test_of_one_second_it_stands_behind_what_was_heard(self, scene: Scene) -> None:
        await live(scene, 1)
        pages = [said(scene, 1, "c"), said(scene, 1, "b")]
        told = ChannelHistoryRead(import_id=uuid4(), notify=True, recovered=True, messages=pages)
        await scene.apply(on_history_read, told)
        assert await order(scene) == [(1, "1"), (2, "b"), (3, "c")]

    async def test_what_the_company_wrote_answers_what_was_before(self, scene: Scene) -> None:
        answer = said(scene, 20, direction="outbound", origin="phone")
        pages = [said(scene, 30), answer, said(scene, 10)]
        told = ChannelHistoryRead(import_id=uuid4(), notify=True, recovered=True, messages=pages)
        await scene.apply(on_history_read, told)
        row = await conversation(scene)
        assert (row["unread_count"], row["read_seq"]) == (1, 2)
        assert (await scene.told()).count("message.sent") == 1

    async def test_in_a_group_the_group_has_the_session(self, scene: Scene) -> None:
        group = "120363000000000001@g.us"
        await recovered(scene, 1, 2, chat_id=group, is_group=True)
        (session,) = await scene.rows("SELECT * FROM sessions")
        assert session["chat_id"] == group
        row = await conversation(scene)
        assert (row["is_group"], row["unread_count"], row["session_id"]) == (
            True,
            2,
            session["id"],
        )
        assert len(await scene.rows("SELECT 1 FROM conversation_participants")) == 1

    async def test_beside_an_import_in_one_batch(self, scene: Scene) -> None:
        missed = page(scene, 20, notify=True).model_copy(update={"recovered": True})
        await scene.apply(on_history_read, missed, page(scene, 10))
        assert await order(scene) == [(0, "10"), (1, "20")]
        assert (await conversation(scene))["unread_count"] == 1


async def recovered(scene: Scene, *minutes: float, **more: Any) -> None:
    missed = page(scene, *minutes, notify=True, **more)
    await scene.apply(on_history_read, missed.model_copy(update={"recovered": True}))
