"""Receipts of group members, of two companies at once; and those of a chat of two."""

from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages import reached, repository
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_sent, on_status_reported
from crm_messaging.messages.listing import list_messages
from crm_testing.costs import counting
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import MalformedError, NotFoundError
from service_kit.incoming import EventHandler
from shared_events import bounds
from shared_events.channels.traffic import ChannelMessageSent
from shared_events.envelope import EventData
from shared_events.messaging.message import (
    ListMessageReceipts,
    ListMessages,
    Message,
    MessageReceipt,
)
from shared_events.requests import Page, Principal

GROUP = "120363000000000001@g.us"
MEMBER = f"{PHONE}@c.us"
LONGEST = f"{'9' * (bounds.limit(bounds.ChatId) - 5)}@c.us"


def call_of(company: Scene) -> Call:
    return Call(Principal(tenant_id=company.tenant_id), "request-1", None)


async def both(pair: tuple[Scene, Scene], handler: EventHandler[Any], *said: EventData) -> None:
    """Let one batch bring each company what concerns it."""
    events = [
        event
        for company, data in zip(cycle(pair), said, strict=False)
        for event in company.events([data])
    ]
    async with pair[0].database.tenants(sorted(c.tenant_id for c in pair)) as tx:
        await handler(tx, events)


async def receipts(company: Scene, message_id: UUID, **page: Any) -> Page[MessageReceipt]:
    async with company.database.tenant(company.tenant_id) as tx:
        request = ListMessageReceipts(message_id=message_id, **page)
        return await reached.list_receipts(tx, request, call_of(company))


async def message_of(company: Scene, external_id: str = "G1") -> Message:
    async with company.database.tenant(company.tenant_id) as tx:
        found = "SELECT id FROM messages WHERE external_id = $1"
        return await repository.get(tx, await tx.fetchval(found, external_id))


def echo(company: Scene, **changes: Any) -> EventData:
    """What the company wrote in the group on its phone."""
    said = {"direction": "outbound", "origin": "phone", "chat_id": GROUP, "is_group": True}
    return company.received(external_id="G1", **{**said, **changes})


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies in groups of one id, each knowing one customer by the same number."""
    pair = Scene(database), Scene(database)
    for company in pair:
        await company.apply(on_message_received, company.received("de Ana"))
    return pair


class TestMembers:
    async def test_of_each_company_are_noted_once_and_counted(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        first, other = pair
        await both(pair, on_message_received, echo(first), echo(other))
        steps = [
            (first, "delivered", MEMBER),
            (first, "read", MEMBER),
            (first, "read", "77@lid"),
            (first, "delivered", LONGEST),
            (first, "sent", "88@lid"),  # no member's to say
            (other, "played", MEMBER),
        ]
        for _ in range(2):  # again, as the bus and WAHA repeat
            for company, status, who in steps:
                report = company.receipt("G1", status, participant=who)
                await company.apply(on_status_reported, report)
        message = await message_of(first)
        assert message.receipts
        assert message.receipts.model_dump() == {"delivered": 3, "read": 2, "played": 0}
        assert (message.status, message.delivered_at, message.read_at) == ("sent", None, None)
        assert "receipts" not in message.metadata
        page = (await receipts(first, message.id)).data
        shown = {r.participant: (r.name, bool(r.delivered_at), bool(r.read_at)) for r in page}
        assert shown == {
            MEMBER: ("Ana", True, True),
            "77@lid": (None, False, True),
            LONGEST: (None, True, False),
        }
        (theirs,) = (await receipts(other, (await message_of(other)).id)).data
        assert (theirs.participant, theirs.read_at) == (MEMBER, None)
        assert theirs.played_at
        told = await first.told(since=2)
        assert told == ["session.started", "message.sent"]  # members' steps are no event

    async def test_in_one_batch_of_both(self, pair: tuple[Scene, Scene]) -> None:
        first, other = pair
        await both(pair, on_message_received, echo(first), echo(other))
        said = [
            company.receipt("G1", status, participant=MEMBER)
            for status in ("read", "delivered", "read")
            for company in pair
        ]
        await both(pair, on_status_reported, *said)
        for company in pair:
            counts = (await message_of(company)).receipts
            assert counts
            assert counts.model_dump() == {"delivered": 1, "read": 1, "played": 0}

    async def test_are_one_by_phone_and_by_hidden_id(self, pair: tuple[Scene, Scene]) -> None:
        """Ana is known by both in the first company's group, and by nothing in the other's."""
        first, other = pair
        wrote = first.received("oi", lid="77", chat_id=GROUP, is_group=True)
        await first.apply(on_message_received, wrote)
        await both(pair, on_message_received, echo(first), echo(other))
        steps = [
            ("delivered", "77@lid"),
            ("read", MEMBER),
            ("delivered", MEMBER),
            ("read", "77@lid"),
        ]
        for status, who in steps:
            said = [company.receipt("G1", status, participant=who) for company in pair]
            await both(pair, on_status_reported, *said)
        counted = []
        for company in pair:
            counts = (await message_of(company)).receipts
            assert counts
            counted.append((counts.delivered, counts.read))
        assert counted == [(1, 1), (2, 2)]

    async def test_that_come_before_their_message_wait_for_it(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        """For an echo of the phone's, and for one of ours whose id is learned later."""
        first, other = pair
        early = [c.receipt("G1", "read", participant=MEMBER) for c in pair]
        await both(pair, on_status_reported, *early, *early)
        await first.apply(on_message_received, echo(first))
        await other.apply(on_message_received, echo(other).model_copy(update={"external_id": "X"}))
        async with other.database.tenant(other.tenant_id) as tx:
            await tx.execute("UPDATE messages SET external_id = NULL WHERE external_id = 'X'")
            unnamed = await tx.fetchval("SELECT id FROM messages WHERE external_id IS NULL")
        sent = ChannelMessageSent(
            channel_id=other.channel.id,
            message_id=unnamed,
            external_id="G1",
            sent_at=datetime.now(UTC),
        )
        await other.apply(on_message_sent, sent)
        for company in pair:
            message = await message_of(company)
            assert message.receipts
            assert message.receipts.read == 1
            (receipt,) = (await receipts(company, message.id)).data
            assert (receipt.participant, receipt.name) == (MEMBER, "Ana")
            assert not await company.rows("SELECT 1 FROM parked_receipts")

    async def test_are_paged_and_nobody_elses(self, pair: tuple[Scene, Scene]) -> None:
        first, other = pair
        await both(pair, on_message_received, echo(first), echo(other))
        people = [f"{n}@lid" for n in range(5)]
        reports = [first.receipt("G1", "read", participant=who) for who in people]
        await first.apply(on_status_reported, *reports)
        message = await message_of(first)
        page = await receipts(first, message.id, limit=3)
        rest = await receipts(first, message.id, limit=3, cursor=page.next_cursor)
        assert [r.participant for r in (*page.data, *rest.data)] == people
        assert (page.has_more, rest.has_more) == (True, False)
        for missing in (message.id, uuid4()):
            with pytest.raises(NotFoundError):
                await receipts(other, missing)
        with pytest.raises(MalformedError):
            theirs = await message_of(other)
            await receipts(other, theirs.id, limit=3, cursor=page.next_cursor)

    async def test_counts_cost_a_list_no_statement(self, pair: tuple[Scene, Scene]) -> None:
        first, _ = pair
        await first.apply(
            on_message_received,
            *(echo(first).model_copy(update={"external_id": f"E{n}"}) for n in range(3)),
        )
        await first.apply(
            on_status_reported,
            *(first.receipt(f"E{n}", "read", participant=MEMBER) for n in range(3)),
        )
        async with first.database.tenant(first.tenant_id) as tx:
            request = ListMessages(direction="outbound")
            await list_messages(tx, request, call_of(first))  # the driver asks for types
            with counting(tx) as asked:
                page = await list_messages(tx, request, call_of(first))
        assert [m.receipts.read for m in page.data if m.receipts] == [1, 1, 1]
        assert len(asked) == 2


class TestChatOfTwo:
    async def test_says_what_its_message_says(self, pair: tuple[Scene, Scene]) -> None:
        first, _ = pair
        ours = first.received(external_id="D1", direction="outbound", origin="phone")
        await first.apply(on_message_received, ours)
        message = await message_of(first, "D1")
        assert (await receipts(first, message.id)).data == []
        await first.apply(on_status_reported, first.receipt("D1", "read", participant=MEMBER))
        message = await message_of(first, "D1")
        (receipt,) = (await receipts(first, message.id)).data
        assert (receipt.participant, receipt.name) == (MEMBER, "Ana")
        assert (receipt.read_at, receipt.delivered_at) == (message.read_at, None)
        assert (message.status, message.receipts) == ("read", None)
        inbound = "SELECT id, external_id FROM messages WHERE direction = 'inbound'"
        (theirs,) = await first.rows(inbound)
        read_by_us = first.receipt(theirs["external_id"], "read", from_us=False)
        await first.apply(on_status_reported, read_by_us)
        assert (await receipts(first, theirs["id"])).data == []
