"""Two contacts that are one: their conversations, sessions and what is on its way to either."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import Record
from crm_messaging.merging.consumers import (
    on_contact_changed,
    on_contact_merged,
    on_identity_linked,
)
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_vote_reported
from crm_messaging.messages.consumers import on_message_sent
from crm_messaging.messages.listing import list_messages
from crm_messaging.messages.service import send
from crm_messaging.sessions import service as sessions
from crm_testing.costs import statements
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import Company, Outside, eventually
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.incoming import Event, EventHandler
from service_kit.service import Service
from shared_events import examples
from shared_events.channels.traffic import ChannelMessageSent, ChannelVoteReported, Person
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactIdentity,
    ContactIdentityLinked,
    ContactUpdated,
    Identity,
)
from shared_events.contacts.merge import ContactMerged
from shared_events.identity import IdentityKind, WhatsAppId, contact_id
from shared_events.messaging.conversation import ListConversations
from shared_events.messaging.message import ListContactMessages, ListMessages, SendMessage
from shared_events.messaging.session import ListContactSessions
from shared_events.requests import Principal

LID = "1" * 49
LONGEST = "é" * 255


def person(scene: Scene, kind: IdentityKind = "phone", value: str = PHONE) -> UUID:
    """Who writes from this id."""
    return contact_id(scene.tenant_id, WhatsAppId(kind, value))


def contact(owner: UUID, name: str = LONGEST) -> Contact:
    example = examples.load("contact.created")["data"]["contact"]
    return Contact.model_validate(
        {**example, "id": owner, "name": name, "phone": f"+{PHONE}", "identities": []}
    )


def merging(scene: Scene, winner: UUID | None = None, loser: UUID | None = None) -> ContactMerged:
    """Whoever writes from the hidden id is whoever writes from the phone."""
    return ContactMerged(
        winner=contact(winner or person(scene)),
        loser=contact(loser or person(scene, "lid", LID), "Mari"),
        identities=[ContactIdentity(kind="lid", value=LID)],
    )


async def write(scene: Scene, *texts: str, hidden: bool = False, **said: Any) -> None:
    """Ana writes, from her phone or from her hidden id."""
    who: dict[str, Any] = {"phone": None, "lid": LID} if hidden else {}
    events = [scene.received(text, **who, **said) for text in texts]
    await scene.apply(on_message_received, *events)


async def merge(scene: Scene, seq: int = 100, **ids: UUID) -> None:
    await scene.apply(on_contact_merged, merging(scene, **ids), seq=seq)


async def active(scene: Scene) -> list[UUID]:
    """Whose sessions are active."""
    return [s["contact_id"] for s in await scene.sessions() if s["status"] == "active"]


async def threads(scene: Scene) -> dict[str, Record]:
    """Conversations by the first thing that was said in them."""
    rows = await scene.rows(
        "SELECT c.*, (SELECT content FROM messages m WHERE m.conversation_id = c.id AND m.seq = 1)"
        " AS first FROM conversations c"
    )
    return {row["first"]: row for row in rows}


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies that both persons write to."""
    pair = Scene(database), Scene(database)
    for scene in pair:
        await write(scene, "fone 1", "fone 2")
        await write(scene, "lid 1", "lid 2", hidden=True)
    return pair


async def everything(scene: Scene) -> list[Sequence[Record]]:
    tables = "contact_refs", "identity_refs", "sessions", "conversations", "messages"
    return [await scene.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]  # noqa: S608


class TestConversations:
    async def test_are_the_winners_and_messages_stay_as_they_are(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        ours, theirs = pair
        before, said = await everything(theirs), await ours.messages()
        await merge(ours)
        assert await ours.messages() == said
        assert {row["contact_id"] for row in await ours.rows("SELECT * FROM conversations")} == {
            person(ours)
        }
        assert await everything(theirs) == before

    async def test_of_one_who_had_none_here_go_on(self, scene: Scene) -> None:
        await write(scene, "lid 1", hidden=True)
        await merge(scene)
        await write(scene, "fone 2")
        await write(scene, "lid 3", hidden=True)
        (thread,) = await scene.rows("SELECT * FROM conversations")
        assert (thread["seq"], thread["contact_id"]) == (3, person(scene))
        (session,) = await scene.sessions()
        assert (session["total_messages"], session["status"]) == (3, "active")
        async with scene.database.tenant(scene.tenant_id) as tx:
            await sessions.end(tx, session["id"], "resolved")
        await write(scene, "4")
        (thread,) = await scene.rows("SELECT * FROM conversations")
        assert (thread["seq"], thread["status"]) == (4, "active")
        assert thread["session_id"] != session["id"]

    async def test_keep_the_votes_on_their_polls(self, scene: Scene) -> None:
        await write(scene, "Cor?", hidden=True, external_id="P1", content_type="poll")

        def vote(option: str, kind: IdentityKind, value: str) -> ChannelVoteReported:
            return ChannelVoteReported(
                channel_id=scene.channel.id,
                external_id="P1",
                from_us=False,
                person=Person(identities=[Identity(kind=kind, value=value)]),
                options=[option],
                voted_at=datetime.now(UTC),
            )

        await scene.apply(on_vote_reported, vote("Azul", "lid", LID))
        await merge(scene)
        principal = Principal(tenant_id=scene.tenant_id)
        for option in ("Azul", "Verde"):
            async with scene.database.tenant(scene.tenant_id) as tx:
                (asked,) = (await list_messages(tx, ListMessages(), Call(principal, "r"))).data
            assert asked.contact_id == person(scene)
            assert asked.poll and [each.options for each in asked.poll.votes] == [[option]]
            await scene.apply(on_vote_reported, vote("Verde", "phone", PHONE), seq=101)

    async def test_go_on_where_somebody_is_being_talked_with(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        scene, _ = pair
        async with scene.database.tenant(scene.tenant_id) as tx:
            await sessions.end(tx, (await scene.sessions())[0]["id"], "resolved")
        await merge(scene)
        await write(scene, "3")
        found = await threads(scene)
        assert {first: row["seq"] for first, row in found.items()} == {"fone 1": 2, "lid 1": 3}
        assert await active(scene) == [person(scene)]
        assert "session.closed" not in (await scene.told())[-1:]


class TestSessions:
    async def test_of_both_leave_one_active_and_one_event(self, pair: tuple[Scene, Scene]) -> None:
        scene, other = pair
        await merge(scene)
        await merge(scene)  # once more, as after a crash
        kept, closed = await scene.sessions()
        assert (kept["status"], kept["contact_id"]) == ("active", person(scene))
        assert (closed["status"], closed["end_reason"]) == ("closed", "merged")
        assert (closed["contact_id"], closed["version"]) == (person(scene), 2)
        ends = [e for e in await scene.outbox() if e["event_type"] == "session.closed"]
        assert [e["aggregate_id"] for e in ends] == [closed["id"]]
        assert ends[0]["payload"]["contact"]["id"] == str(person(scene))
        assert ends[0]["payload"]["contact"]["name"] == LONGEST
        assert ends[0]["payload"]["channel"]["name"] == "Loja"
        found = await threads(scene)
        assert {first: row["status"] for first, row in found.items()} == {
            "fone 1": "active",
            "lid 1": "closed",
        }
        await write(scene, "3", hidden=True)
        assert (await threads(scene))["fone 1"]["seq"] == 3
        assert await active(scene) == [person(scene)]
        assert len(await active(other)) == 2

    async def test_of_one_who_is_merged_on_are_the_last_winners(self, scene: Scene) -> None:
        """The later merge is told first."""
        last = uuid4()
        await write(scene, "1", hidden=True)
        await merge(scene, seq=200, winner=last, loser=person(scene))
        await merge(scene, seq=100)
        await write(scene, "2", hidden=True)
        await write(scene, "3")
        (session,) = await scene.sessions()
        assert (session["contact_id"], session["total_messages"]) == (last, 3)
        owners = await scene.rows("SELECT contact_id FROM identity_refs WHERE kind = 'lid'")
        assert [row["contact_id"] for row in owners] == [last]


class TestInFlight:
    @pytest.mark.parametrize("first", ["message", "merge"])
    async def test_message_to_the_loser_lands_with_the_winner(
        self, pair: tuple[Scene, Scene], first: str
    ) -> None:
        """One of them waits for the other, which holds the loser."""
        scene, _ = pair
        told: dict[str, tuple[EventHandler[Any], Any]] = {
            "message": (on_message_received, scene.received("em voo", phone=None, lid=LID)),
            "merge": (on_contact_merged, merging(scene)),
        }
        handler, data = told.pop(first)
        ((later, waiting),) = told.values()
        async with scene.database.tenant(scene.tenant_id) as tx:
            await handler(tx, scene.events([data], seq=100))
            second = asyncio.create_task(scene.apply(later, waiting, seq=100))
            await eventually(scene.waits_for_a_lock)
        await second
        await scene.apply(on_message_received, scene.received("em voo", phone=None, lid=LID))
        assert await active(scene) == [person(scene)]
        rows = await scene.rows(
            "SELECT c.contact_id FROM messages m JOIN conversations c ON c.id = m.conversation_id"
            " JOIN sessions s ON s.id = m.session_id AND s.contact_id = c.contact_id"
            " WHERE content = 'em voo'"
        )
        assert [row["contact_id"] for row in rows] == [person(scene)] * 2

    async def test_message_that_comes_twice_is_stored_once(self, scene: Scene) -> None:
        said = scene.received("1", phone=None, lid=LID, external_id="A")
        await scene.apply(on_message_received, said)
        await merge(scene)
        await scene.apply(on_message_received, said)
        assert len(await scene.messages()) == 1

    async def test_what_contacts_told_of_the_loser_before_leads_to_the_winner(
        self, scene: Scene
    ) -> None:
        loser = person(scene, "lid", LID)
        await merge(scene)
        late = ContactIdentity(kind="phone", value="5511977770002")
        linked = ContactIdentityLinked(contact_id=loser, identity=late)
        await scene.apply(on_identity_linked, linked, seq=50)
        created = ContactCreated(contact=contact(loser))
        await scene.apply(on_contact_changed, created, seq=40)
        await write(scene, "1", phone="5511977770002")
        assert await active(scene) == [person(scene)]

    async def test_send_goes_out_and_is_the_winners(self, pair: tuple[Scene, Scene]) -> None:
        scene, _ = pair
        request = SendMessage(
            contact_id=person(scene, "lid", LID), channel_id=scene.channel.id, content="Oi!"
        )
        async with scene.database.tenant(scene.tenant_id) as tx:
            queued = await send(tx, request, None)
        await merge(scene)
        at = queued.created_at
        sent = {"channel_id": scene.channel.id, "message_id": queued.id, "external_id": "A"}
        await scene.apply(on_message_sent, ChannelMessageSent(**sent, sent_at=at))
        (told,) = (e for e in await scene.outbox() if e["event_type"] == "message.sent")
        assert told["payload"]["message"]["contact_id"] == str(person(scene))
        assert told["payload"]["contact"]["id"] == str(person(scene))
        async with scene.database.tenant(scene.tenant_id) as tx:
            again = await send(tx, request.model_copy(update={"reply_to_id": queued.id}), None)
        assert again.contact_id == person(scene)


class TestGhost:
    @pytest.mark.parametrize("told_by", ["linked", "updated"])
    async def test_of_a_message_that_overtook_the_link_is_whoever_was_given_the_number(
        self, pair: tuple[Scene, Scene], told_by: str
    ) -> None:
        """An agent gave somebody a phone; its first message came before we were told."""
        scene, other = pair
        before, given = await everything(other), uuid4()
        identity = ContactIdentity(kind="phone", value=PHONE, proved=False)
        linked = ContactIdentityLinked(contact_id=given, identity=identity)
        named = contact(given).model_copy(update={"identities": [identity]})
        updated = ContactUpdated(contact=named, changed=["phone"])
        if told_by == "linked":
            await scene.apply(on_identity_linked, linked, seq=5)
        await scene.apply(on_contact_changed, updated, seq=6)
        await write(scene, "fone 3")
        assert await active(scene) == [given, person(scene, "lid", LID)]
        thread = (await threads(scene))["fone 1"]
        assert (thread["contact_id"], thread["seq"]) == (given, 3)
        assert (await scene.outbox())[-1]["payload"]["contact"]["id"] == str(given)
        assert await everything(other) == before

    async def test_is_none_who_contacts_told_of(self, scene: Scene) -> None:
        """Two people: one was known by the number until the other one proved it."""
        await write(scene, "1")
        known = ContactCreated(contact=contact(person(scene)))
        await scene.apply(on_contact_changed, known, seq=5)
        identity = ContactIdentity(kind="phone", value=PHONE)
        linked = ContactIdentityLinked(contact_id=uuid4(), identity=identity)
        await scene.apply(on_identity_linked, linked, seq=6)
        assert await active(scene) == [person(scene)]


class TestLists:
    async def test_of_the_winner_show_what_was_the_losers(
        self, service: Service, outside: Outside
    ) -> None:
        scene, other = Scene(service.database), Scene(service.database)
        agent, stranger = (
            Company(service.database, outside, id=one.tenant_id) for one in (scene, other)
        )
        await write(scene, "fone 1", "fone 2")
        await write(scene, "lid 1", "lid 2", hidden=True)
        await merge(scene)
        winner, loser = person(scene), person(scene, "lid", LID)
        for request in (ListMessages(contact_id=winner), ListContactMessages(contact_id=winner)):
            page = await agent.value(request)
            assert len(page["data"]) == 4
            assert {m["contact_id"] for m in page["data"]} == {str(winner)}
        for listing in (
            ListConversations(contact_id=winner),
            ListContactSessions(contact_id=winner),
        ):
            assert len((await agent.value(listing))["data"]) == 2
        problem = await agent.problem(ListContactMessages(contact_id=loser))
        assert (problem.code, problem.extra["merged_into"]) == ("contact_merged", str(winner))
        refused = await stranger.refusal(ListContactMessages(contact_id=winner))
        assert refused == ("not_found", "contact_not_found")


class TestCost:
    async def test_grows_with_neither_companies_nor_messages(self, database: Database) -> None:
        costs = []
        for companies, texts in ((1, 1), (2, 2), (30, 5)):
            batch: list[Event[Any]] = []
            for _ in range(companies):
                scene = Scene(database)
                await write(scene, *(f"{n}" for n in range(texts)))
                await write(scene, *(f"{n}" for n in range(texts)), hidden=True)
                batch += scene.events([merging(scene)], seq=100)
            costs.append(await statements(database, on_contact_merged, batch))
        assert costs[1] == costs[2] < 20
