"""Groups of two companies at once: what they are called, who is in them, who writes there."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.conversations.requests import get_conversation
from crm_messaging.groups.consumers import on_group_reported
from crm_messaging.groups.requests import list_participants
from crm_messaging.messages import repository as messages
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions import service as sessions
from crm_testing.costs import statements
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import NotFoundError
from service_kit.incoming import EventHandler
from shared_events import bounds
from shared_events.channels.group import ChannelGroupReported, GroupMember
from shared_events.channels.traffic import Person
from shared_events.contacts.contact import Identity
from shared_events.envelope import EventData
from shared_events.identity import conversation_id
from shared_events.messaging.conversation import (
    Conversation,
    GetConversation,
    ListParticipants,
    Participant,
)
from shared_events.requests import Page, Principal

GROUP = "120363000000000001@g.us"
IN_GROUP: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
LID = "777"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def call_of(company: Scene) -> Call:
    return Call(Principal(tenant_id=company.tenant_id), "request-1", None)


def id_of(company: Scene) -> UUID:
    return conversation_id(company.channel.id, GROUP)


def member(*shown: tuple[str, str], **changes: Any) -> GroupMember:
    identities = [Identity.model_validate({"kind": k, "value": v}) for k, v in shown]
    return GroupMember(person=Person(identities=identities), **changes)


def report(company: Scene, hour: int = 0, **changes: Any) -> ChannelGroupReported:
    at = BEGAN + timedelta(hours=hour)
    told = {"channel": company.channel, "chat_id": GROUP, "told_at": at, **changes}
    return ChannelGroupReported.model_validate(told)


async def both(pair: tuple[Scene, Scene], handler: EventHandler[Any], *said: EventData) -> None:
    """Let one batch bring both companies the same, each in its own group; twice, as buses do."""
    named = [(c, data.model_copy(update={"channel": c.channel})) for data, c in product(said, pair)]
    events = [event for company, data in named for event in company.events([data])]
    for _ in range(2):
        async with pair[0].database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await handler(tx, events)


async def shown(company: Scene) -> Conversation:
    async with company.database.tenant(company.tenant_id) as tx:
        request = GetConversation(conversation_id=id_of(company))
        return await get_conversation(tx, request, call_of(company))


async def participants(company: Scene, of: Scene | None = None, **page: Any) -> Page[Participant]:
    async with company.database.tenant(company.tenant_id) as tx:
        request = ListParticipants(conversation_id=id_of(of or company), **page)
        return await list_participants(tx, request, call_of(company))


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    return Scene(database), Scene(database)


class TestSubject:
    async def test_is_what_was_told_last_of_each_companys_group(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        first, other = pair
        longest = largest(ChannelGroupReported, **report(first, 2).model_dump(exclude={"subject"}))
        await both(pair, on_group_reported, report(first, 1, subject="Turma"), longest)
        await both(pair, on_group_reported, report(first, 1, subject="alt"), report(first, 3))
        for company in pair:
            conversation = await shown(company)
            assert (conversation.is_group, conversation.contact) == (True, None)
            assert len(conversation.subject or "") == bounds.limit(bounds.Name)
            assert (await company.told()).count("conversation.updated") == 1
        await first.apply(on_group_reported, report(first, 9, subject="Nossa"))
        assert (await shown(first)).subject == "Nossa"
        assert (await shown(other)).subject != "Nossa"
        told = (await first.outbox())[-1]
        assert (told["event_type"], told["aggregate_id"]) == ("conversation.updated", id_of(first))

    async def test_of_a_time_to_come_does_not_last(self, pair: tuple[Scene, Scene]) -> None:
        first, _ = pair
        bogus = report(first, subject="2099", told_at=datetime(2099, 1, 1, tzinfo=UTC))
        now = report(first, subject="Hoje", told_at=datetime.now(UTC) + timedelta(seconds=5))
        await first.apply(on_group_reported, bogus)
        await first.apply(on_group_reported, now)
        assert (await shown(first)).subject == "Hoje"


class TestParticipants:
    async def test_are_told_of_and_write_and_are_one_each(self, pair: tuple[Scene, Scene]) -> None:
        first, other = pair
        await both(
            pair,
            on_group_reported,
            report(first, 1, members=[member(("lid", LID), role="admin"), member(("lid", "888"))]),
        )
        ana = first.received("oi", lid=LID, external_id="G1", **IN_GROUP)
        ours = {"direction": "outbound", "origin": "phone", "external_id": "G2"}
        group = Person(identities=[Identity(kind="group", value=GROUP.partition("@")[0])])
        await both(
            pair,
            on_message_received,
            ana,
            first.received("nós", **{**IN_GROUP, **ours, "person": group}),
        )
        await both(
            pair, on_group_reported, report(first, 2, members=[member(("lid", "888"), left=True)])
        )
        for company in pair:
            (one,) = (await participants(company)).data
            assert (one.participant, one.lid, one.role) == (f"{PHONE}@c.us", f"{LID}@lid", "admin")
            assert (one.name, one.joined_at) == ("Ana", BEGAN + timedelta(hours=1))
            everybody = (await participants(company, left=True)).data
            assert [bool(p.left_at) for p in everybody] == [False, True]
            told = [r for r in await company.outbox() if "participants" in r["event_type"]]
            assert [len(r["payload"]["participants"]) for r in told] == [2, 1, 1]
        page = await participants(first, left=True, limit=1)
        (last,) = (await participants(first, left=True, limit=1, cursor=page.next_cursor)).data
        assert last.participant == "888@lid"
        with pytest.raises(NotFoundError):
            await participants(other, of=first)

    async def test_of_a_large_group_are_told_by_the_hundred(self, scene: Scene) -> None:
        many = [member(("lid", str(10_000 + n))) for n in range(201)]
        await scene.apply(on_group_reported, report(scene, members=many))
        payloads = [row["payload"] for row in await scene.outbox()]
        assert [len(each["participants"]) for each in payloads] == [100, 100, 1]
        assert (await participants(scene, limit=100)).has_more

    async def test_cost_the_same_for_many_companies(self, database: Database) -> None:
        costs = []
        for count in (1, 2, 30):
            companies = [Scene(database) for _ in range(count)]
            told = [
                event
                for company in companies
                for event in company.events(
                    [report(company, subject="T", members=[member(("lid", "1"))])]
                )
            ]
            costs.append(await statements(database, on_group_reported, told))
        assert costs[1] == costs[2] <= 16


class TestSessions:
    async def test_are_the_groups_and_never_a_members(self, pair: tuple[Scene, Scene]) -> None:
        first, _ = pair
        said = [
            first.received("só nós", external_id="D"),
            first.received("1", external_id="G1", **IN_GROUP),
            first.received("2", phone=None, lid="888", external_id="G2", **IN_GROUP),
        ]
        await both(pair, on_group_reported, report(first, subject="Turma"))
        await both(pair, on_message_received, *said)
        for company in pair:
            alone, group = sorted(
                await company.sessions(), key=lambda s: bool(s["conversation_id"])
            )
            assert (alone["chat_id"], alone["total_messages"]) == (f"{PHONE}@c.us", 1)
            assert (group["chat_id"], group["total_messages"]) == (GROUP, 2)
            assert group["conversation_id"] == id_of(company)
            conversation = await shown(company)
            assert conversation.active_session
            assert conversation.active_session.id == group["id"]
            assert (conversation.status, conversation.unread_count) == ("active", 2)
            payloads = [(r["event_type"], r["payload"]) for r in await company.outbox()]
            called = [p["contact"]["name"] for t, p in payloads if t == "session.started"]
            assert sorted(called) == ["Ana", "Turma"]
            heard = [p for t, p in payloads if t == "message.received"]
            assert {p["session"]["id"] for p in heard[1:]} == {str(group["id"])}
            senders = {p["contact"]["id"] for p in heard[1:]}
            assert len(senders) == 2
            assert str(alone["contact_id"]) in senders
            assert str(group["contact_id"]) not in senders

    async def test_are_given_ended_and_reopened_for_themselves(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        company, other = pair
        await both(pair, on_message_received, company.received(), company.received(**IN_GROUP))
        alone, group = sorted(await company.sessions(), key=lambda s: bool(s["conversation_id"]))
        agent = uuid4()
        async with company.database.tenant(company.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO agent_refs (tenant_id, agent_id, name, active) "
                "VALUES ($1, $2, 'Bia', true)",
                company.tenant_id,
                agent,
            )
            await sessions.assign(tx, group["id"], agent, expected_version=None)
        given = (await shown(company)).active_session
        assert given
        assert given.assigned_agent_id == agent
        async with company.database.tenant(company.tenant_id) as tx:
            await sessions.end(tx, group["id"], "inactivity")
        assert (await shown(company)).status == "expired"
        async with company.database.tenant(company.tenant_id) as tx:
            await sessions.reopen(tx, group["id"], expected_version=None)
        conversation = await shown(company)
        assert conversation.active_session
        assert (conversation.status, conversation.active_session.id) == ("active", group["id"])
        states = {row["id"]: row["assigned_agent_id"] for row in await company.sessions()}
        assert states == {alone["id"]: None, group["id"]: agent}
        assert {row["assigned_agent_id"] for row in await other.sessions()} == {None}

    async def test_show_messages_as_of_who_their_authors_are_by_now(self, scene: Scene) -> None:
        """Two were merged into others, one after the other; the group is nobody's."""
        people = ("5511988880001", "5511988880002", "5511988880003")
        await scene.apply(
            on_message_received,
            *(scene.received(p, phone=p, external_id=p, **IN_GROUP) for p in people),
        )
        said = await scene.messages()
        ids = [m["contact_id"] for m in said]
        async with scene.database.tenant(scene.tenant_id) as tx:
            for loser, winner in pairwise(ids):
                into = "UPDATE contact_refs SET merged_into = $2 WHERE contact_id = $1"
                await tx.execute(into, loser, winner)
        async with scene.database.tenant(scene.tenant_id) as tx:
            shown = [await messages.get(tx, m["id"]) for m in said]
            locked = await messages.lock(tx, [(scene.tenant_id, m["id"]) for m in said])
        assert {m.contact_id for m in shown} == {ids[-1]}
        assert {m.conversation.contact.id for m in locked.values()} == {ids[-1]}
        assert len(locked) == 3
