"""Groups of two companies: what their own phones wrote there, and what was said before or missed.

All of it is of the group: its conversation, its session, and messages of whoever wrote them.
"""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.history.consumers import on_history_read
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_status_reported
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.database import Database
from shared_events.channels.history import ChannelHistoryRead
from shared_events.channels.traffic import ChannelMessageReceived, Person
from shared_events.contacts.contact import Identity
from shared_events.identity import WhatsAppId, contact_id, conversation_id

GROUP = "120363000000000001@g.us"
ITSELF = Person(identities=[Identity(kind="group", value=GROUP.partition("@")[0])])
OUR_NUMBER = "5511900000001"
NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
BIA = "5511988880002"


def said(company: Scene, minutes: int, phone: str = PHONE, **more: Any) -> ChannelMessageReceived:
    """What somebody wrote in the group, so many minutes after noon."""
    values = {"chat_id": GROUP, "is_group": True, "sent_at": NOON + timedelta(minutes=minutes)}
    return company.received(
        str(minutes), phone=phone, external_id=f"X{minutes}", **{**values, **more}
    )


def ours(company: Scene, minutes: int, **more: Any) -> ChannelMessageReceived:
    """What the company wrote there on its own phone."""
    wrote = {"direction": "outbound", "origin": "phone", "person": ITSELF}
    details = {"participant": f"{OUR_NUMBER}@c.us"}
    return said(company, minutes, **{**wrote, "details": details, **more})


def page(*messages: ChannelMessageReceived, **more: Any) -> ChannelHistoryRead:
    """A page of the group's history, given oldest first."""
    return ChannelHistoryRead(import_id=uuid4(), messages=list(reversed(messages)), **more)


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    return Scene(database), Scene(database)


async def both(pair: tuple[Scene, Scene], *read: tuple[ChannelHistoryRead, ...]) -> None:
    """One batch brings each company its own pages; twice, as buses do."""
    events = [
        event for company, pages in zip(pair, read, strict=True) for event in company.events(pages)
    ]
    for _ in range(2):
        async with pair[0].database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_history_read(tx, events)


async def in_group(company: Scene) -> list[dict[str, Any]]:
    """What stands in the group's conversation, with what it is shown beside."""
    rows = await company.rows(
        "SELECT m.*, s.conversation_id AS of_group, s.opened_by FROM messages m "
        "JOIN sessions s ON s.id = m.session_id WHERE m.conversation_id = $1 ORDER BY m.seq",
        conversation_id(company.channel.id, GROUP),
    )
    return [dict(row) for row in rows]


def group_of(company: Scene) -> UUID:
    """What the group is in sessions."""
    return contact_id(company.tenant_id, WhatsAppId("group", GROUP.partition("@")[0]))


class TestOwnPhone:
    async def test_writes_into_the_group_and_nowhere_else(self, pair: tuple[Scene, Scene]) -> None:
        company, other = pair
        alone = company.received("só nós", external_id="D")
        for each in pair:
            await each.apply(
                on_message_received, alone.model_copy(update={"channel": each.channel})
            )
            await each.apply(on_message_received, said(each, 1))
        await company.apply(on_message_received, ours(company, 2), ours(company, 2))
        inbound, outbound = await in_group(company)
        assert (outbound["direction"], outbound["origin"], outbound["seq"]) == (
            "outbound",
            "phone",
            2,
        )
        assert outbound["session_id"] == inbound["session_id"]
        assert outbound["contact_id"] == group_of(company) != inbound["contact_id"]
        assert outbound["metadata"]["participant"] == [{"kind": "phone", "value": OUR_NUMBER}]
        sessions = {row["chat_id"]: row["total_messages"] for row in await company.sessions()}
        assert sessions == {f"{PHONE}@c.us": 1, GROUP: 2}
        (row,) = await company.rows("SELECT * FROM conversations WHERE is_group")
        assert (row["seq"], row["unread_count"], row["contact_id"]) == (2, 0, None)
        told = (await company.outbox())[-1]
        assert (told["event_type"], told["payload"]["contact"]["id"]) == (
            "message.sent",
            str(group_of(company)),
        )
        seats = await company.rows("SELECT participant FROM conversation_participants")
        assert [seat["participant"] for seat in seats] == [f"{PHONE}@c.us"]
        assert len(await in_group(other)) == 1

    async def test_has_its_receipts_counted_by_member(self, pair: tuple[Scene, Scene]) -> None:
        company, _ = pair
        early = company.receipt("X1", "read", participant=f"{BIA}@c.us")
        await company.apply(on_status_reported, early)
        await company.apply(on_message_received, ours(company, 1))
        for participant in (PHONE, BIA):
            receipt = company.receipt("X1", "delivered", participant=f"{participant}@c.us")
            await company.apply(on_status_reported, receipt)
        (message,) = await in_group(company)
        counts = [message[f"{step}_count"] for step in ("delivered", "read", "played")]
        assert (counts, message["status"]) == ([2, 1, 0], "sent")


class TestHistory:
    @pytest.mark.parametrize("notify", [False, True])
    async def test_is_of_the_group_once_and_in_order(
        self, pair: tuple[Scene, Scene], notify: bool
    ) -> None:
        for company in pair:
            await company.apply(on_message_received, said(company, 100), said(company, 120))
        told = len(await pair[0].outbox())
        (live,) = await pair[0].sessions()

        def pages(company: Scene) -> tuple[ChannelHistoryRead, ...]:
            newest = (ours(company, 110), said(company, 120), said(company, 130, BIA))
            older = (said(company, 10), ours(company, 20), said(company, 30, BIA))
            return page(*newest, notify=notify), page(*older, notify=notify)

        await both(pair, pages(pair[0]), pages(pair[1]))
        for company in pair:
            rows = await in_group(company)
            assert [(r["seq"], r["content"]) for r in rows] == [
                *((-2, "10"), (-1, "20"), (0, "30")),
                *((1, "100"), (2, "110"), (3, "120"), (4, "130")),
            ]
            wrote = [r["metadata"]["participant"][0]["value"] for r in rows]
            assert wrote == [PHONE, OUR_NUMBER, BIA, PHONE, OUR_NUMBER, PHONE, BIA]
            assert {r["of_group"] for r in rows} == {rows[0]["conversation_id"]}
            assert {r["opened_by"] for r in rows if r["historical"]} == {"history"}
            assert len({r["session_id"] for r in rows}) == 2
            assert {r["contact_id"] for r in rows if r["direction"] == "outbound"} == {
                group_of(company)
            }
            (row,) = await company.rows("SELECT * FROM conversations")
            assert (row["unread_count"], row["session_id"] is not None) == (2, True)
        sessions = await pair[0].rows("SELECT * FROM sessions WHERE opened_by <> 'history'")
        assert sessions == [live]
        news = [row["payload"] for row in (await pair[0].outbox())[told:]]
        assert len(news) == (5 if notify else 0)
        assert all(one["message"]["historical"] for one in news)

    async def test_of_before_seats_nobody(self, pair: tuple[Scene, Scene]) -> None:
        """They may have left since."""
        company, _ = pair
        await company.apply(on_history_read, page(said(company, 1), said(company, 2, BIA)))
        assert await company.rows("SELECT 1 FROM conversation_participants") == []

    async def test_that_was_missed_is_news_of_the_group(self, pair: tuple[Scene, Scene]) -> None:
        for company in pair:
            await company.apply(on_message_received, said(company, 10), said(company, 40))

        def missed(company: Scene) -> tuple[ChannelHistoryRead, ...]:
            read = (said(company, 10), said(company, 20, BIA), ours(company, 30), said(company, 50))
            return (page(*read, notify=True, recovered=True),)

        await both(pair, missed(pair[0]), missed(pair[1]))
        for company, late in product(pair, (30, 50)):
            await company.apply(on_message_received, said(company, late))
        for company in pair:
            rows = await in_group(company)
            texts = ["10", "20", "30", "40", "50"]
            assert [(r["seq"], r["content"]) for r in rows] == list(enumerate(texts, start=1))
            (session,) = await company.sessions()
            assert {r["session_id"] for r in rows} == {session["id"]}
            assert session["total_messages"] == 5
            (row,) = await company.rows("SELECT * FROM conversations")
            assert (row["unread_count"], row["read_seq"]) == (2, 3)
            seats = await company.rows("SELECT participant FROM conversation_participants")
            assert {seat["participant"] for seat in seats} == {f"{PHONE}@c.us", f"{BIA}@c.us"}
            told = [t for t in await company.told() if t.startswith("message.")][2:]
            assert told == ["message.received", "message.sent", "message.received"]
