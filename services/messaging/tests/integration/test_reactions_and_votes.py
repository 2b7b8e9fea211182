"""Reactions and votes: of the customer, of a group's members, of the company on its own phone."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_reaction_reported, on_vote_reported
from crm_messaging.messages.consumers import on_message_sent, on_status_reported
from crm_messaging.messages.listing import list_messages
from crm_messaging.messages.requests import get_message
from crm_messaging.messages.service import send
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import read_back
from service_kit.calls import Call
from service_kit.database import Database
from shared_events import bounds
from shared_events.channels.traffic import (
    ChannelMessageReceived,
    ChannelMessageSent,
    ChannelReactionReported,
    ChannelVoteReported,
)
from shared_events.messaging.content import Poll
from shared_events.messaging.message import (
    GetMessage,
    ListMessages,
    Message,
    MessageVoted,
    SendMessage,
)
from shared_events.messaging.poll import PollResult
from shared_events.requests import Principal

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUP: dict[str, Any] = {"chat_id": "120363000000000000@g.us", "is_group": True}


def reaction(scene: Scene, emoji: str, seconds: int = 0, **changes: Any) -> ChannelReactionReported:
    values = {**about(scene), "emoji": emoji, "reacted_at": AT + timedelta(seconds=seconds)}
    return ChannelReactionReported.model_validate({**values, **changes})


def vote(scene: Scene, *options: str, seconds: int = 0, **changes: Any) -> ChannelVoteReported:
    values = {**about(scene), "options": options, "voted_at": AT + timedelta(seconds=seconds)}
    return ChannelVoteReported.model_validate({**values, **changes})


def about(scene: Scene) -> dict[str, Any]:
    person = by("phone", PHONE)
    return {
        "channel_id": scene.channel.id,
        "external_id": "IN1",
        "from_us": False,
        "person": person,
    }


def poll(scene: Scene, **changes: Any) -> ChannelMessageReceived:
    details = {"poll": {"question": "Qual cor?", "options": ["Azul", "Verde"]}}
    asked = {"external_id": "IN1", "content_type": "poll", "details": details, "sent_at": AT}
    return scene.received("Qual cor?", **{**asked, **changes})


def by(kind: str, value: str) -> dict[str, Any]:
    return {"identities": [{"kind": kind, "value": value}]}


HIDDEN = by("lid", "77")


async def shown(scene: Scene) -> list[Message]:
    """The messages as the API lists them; they are shown alike one by one."""
    call = Call(Principal(tenant_id=scene.tenant_id), "request-1")
    async with scene.database.tenant(scene.tenant_id) as tx:
        listed = (await list_messages(tx, ListMessages(), call)).data
        for message in listed:
            assert await get_message(tx, GetMessage(message_id=message.id), call) == message
    return listed


class TestReactions:
    async def test_newest_of_each_person_is_shown_and_told(self, scene: Scene) -> None:
        said = scene.received(external_id="IN1", sent_at=AT)
        await scene.apply(on_message_received, said, scene.received())
        late = reaction(scene, "😮", 1)
        await scene.apply(
            on_reaction_reported,
            reaction(scene, "👍", 0),
            reaction(scene, "❤️", 2),
            reaction(scene, "❤️", 2),
            late,
            reaction(scene, "🙏", 5, from_us=True),
        )
        await scene.apply(on_reaction_reported, late, seq=9)
        reacted, plain = await shown(scene)
        found = [(r.emoji, r.by, r.at) for r in reacted.reactions]
        at = [AT + timedelta(seconds=s) for s in (2, 5)]
        assert found == [("❤️", "customer", at[0]), ("🙏", "phone", at[1])]
        assert (plain.reactions, reacted.version) == ([], 4)
        told = [read_back(row).data for row in await scene.outbox()][3:]
        assert [event.reaction.emoji for event in told] == ["👍", "❤️", "🙏"]
        assert [r.emoji for r in told[-1].message.reactions] == ["❤️", "🙏"]

    async def test_taken_away_stays_away_when_an_older_comes_late(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
        await scene.apply(on_reaction_reported, reaction(scene, "", 5), reaction(scene, "👍", 1))
        assert [m.reactions for m in await shown(scene)] == [[]]
        assert "message.reaction_changed" not in await scene.told()
        await scene.apply(on_reaction_reported, reaction(scene, "👍", 6), reaction(scene, "", 7))
        told = [read_back(row).data for row in await scene.outbox()][2:]
        assert [event.reaction.emoji for event in told] == ["👍", ""]
        assert [m.reactions for m in await shown(scene)] == [[]]

    async def test_in_a_group_each_member_has_one(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1", **GROUP))
        await scene.apply(
            on_reaction_reported,
            reaction(scene, "👍", 1, person=HIDDEN),
            reaction(scene, "👏", 2, person=by("phone", "551177770002")),
            reaction(scene, "🎉", 3, person=by("phone", "5511977770002")),  # the same number
        )
        (message,) = await shown(scene)
        found = [(r.emoji, r.participant) for r in message.reactions]
        assert found == [("👍", "77@lid"), ("🎉", "5511977770002@c.us")]

    async def test_whoever_was_hidden_is_the_same_once_their_phone_is_known(
        self, scene: Scene
    ) -> None:
        await scene.apply(on_message_received, poll(scene, **GROUP))
        known = {"identities": [*by("phone", "5511977770002")["identities"], *HIDDEN["identities"]]}
        for person, emoji, option in ((HIDDEN, "👍", "Azul"), (known, "🎉", "Verde")):
            seconds = len(person["identities"])
            await scene.apply(on_reaction_reported, reaction(scene, emoji, seconds, person=person))
            await scene.apply(on_vote_reported, vote(scene, option, seconds=seconds, person=person))
        (message,) = await shown(scene)
        assert [r.emoji for r in message.reactions] == ["🎉"]
        assert counts(message.poll) == {"Azul": 0, "Verde": 1}

    async def test_before_its_message_it_waits_for_it(self, scene: Scene) -> None:
        early = [reaction(scene, "👍", 1), reaction(scene, "❤️", 2), reaction(scene, "👍", 1)]
        await scene.apply(on_reaction_reported, *early)
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
        (message,) = await shown(scene)
        assert [r.emoji for r in message.reactions] == ["❤️"]
        assert await scene.rows("SELECT 1 FROM parked_changes") == []

    async def test_is_shown_in_what_is_told_of_the_message_later(self, scene: Scene) -> None:
        echo = scene.received(external_id="IN1", direction="outbound", origin="phone")
        await scene.apply(on_message_received, echo)
        await scene.apply(on_reaction_reported, reaction(scene, "👍"))
        await scene.apply(on_status_reported, scene.receipt("IN1", "read"))
        told = read_back((await scene.outbox())[-1])
        assert told.event_type == "message.read"
        assert [r.emoji for r in told.data.message.reactions] == ["👍"]

    async def test_longest_values_go_through_early_and_late(self, scene: Scene) -> None:
        early, late = (
            largest(
                ChannelReactionReported,
                channel_id=scene.channel.id,
                external_id="ã" * 255,
                from_us=False,
                person=by(*who),
            )
            for who in (("lid", "1" * 49), ("phone", "2" * 49))
        )
        await scene.apply(on_reaction_reported, early)
        named = {"external_id": early.external_id, **GROUP}
        await scene.apply(on_message_received, scene.received(**named))
        await scene.apply(on_reaction_reported, late)
        (message,) = await shown(scene)
        assert [r.emoji for r in message.reactions] == [early.emoji] * 2

    async def test_another_companys_message_is_another(self, database: Database) -> None:
        pair = Scene(database), Scene(database)
        for company in pair:
            await company.apply(on_message_received, company.received(external_id="IN1"))
        teller, theirs = pair
        batch = [
            *teller.events([reaction(theirs, "💀")]),
            *teller.events([reaction(teller, "👍")], 2),
            *theirs.events([reaction(theirs, "👏")]),
        ]
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_reaction_reported(tx, batch)
        for company, emoji in zip(pair, ("👍", "👏"), strict=True):
            (message,) = await shown(company)
            assert [r.emoji for r in message.reactions] == [emoji]


def counts(result: PollResult | None) -> dict[str, int] | None:
    """How often each option was chosen, in their order."""
    return {option.name: option.votes for option in result.options} if result else None


async def voted(scene: Scene) -> list[MessageVoted]:
    """What was told of votes, in order."""
    told = [read_back(row).data for row in await scene.outbox()]
    return [event for event in told if isinstance(event, MessageVoted)]


class TestVotes:
    async def test_newest_of_each_person_counts_and_is_told(self, scene: Scene) -> None:
        await scene.apply(on_message_received, poll(scene), scene.received())
        late = vote(scene, "Azul", seconds=1)
        await scene.apply(
            on_vote_reported,
            vote(scene, "Azul"),
            vote(scene, "Verde", "Azul", seconds=2),
            vote(scene, "Verde", "Azul", seconds=2),
            late,
            vote(scene, "Verde", seconds=5, from_us=True),
        )
        await scene.apply(on_vote_reported, late, seq=9)
        asked, plain = await shown(scene)
        assert counts(asked.poll) == {"Azul": 1, "Verde": 2}
        assert asked.poll is not None
        found = [(each.options, each.by, each.at) for each in asked.poll.votes]
        at = [AT + timedelta(seconds=s) for s in (2, 5)]
        assert found == [
            (["Verde", "Azul"], "customer", at[0]),
            (["Verde"], "phone", at[1]),
        ]
        assert (plain.poll, asked.version) == (None, 4)
        told = await voted(scene)
        assert [event.vote.options for event in told] == [["Azul"], ["Verde", "Azul"], ["Verde"]]
        assert told[-1].message.poll == asked.poll

    async def test_withdrawn_stays_withdrawn_when_an_older_comes_late(self, scene: Scene) -> None:
        await scene.apply(on_message_received, poll(scene))
        await scene.apply(on_vote_reported, vote(scene, "Azul"), vote(scene, seconds=5))
        await scene.apply(on_vote_reported, vote(scene, "Verde", seconds=1), seq=9)
        assert [m.poll for m in await shown(scene)] == [None]
        assert [event.vote.options for event in await voted(scene)] == [["Azul"], []]

    async def test_on_a_poll_of_ours_before_whatsapp_named_it_waits(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (session,) = await scene.sessions()
        asked = Poll(question="Como prefere?", options=["Entrega", "Retirada"])
        request = SendMessage(
            contact_id=session["contact_id"],
            channel_id=scene.channel.id,
            content_type="poll",
            poll=asked,
        )
        async with scene.database.tenant(scene.tenant_id) as tx:
            message = await send(tx, request, None)
        early = [vote(scene, "Retirada", seconds=s, external_id="OUT1") for s in (2, 2)]
        await scene.apply(on_vote_reported, *early, vote(scene, "Entrega", external_id="OUT1"))
        assert await voted(scene) == []
        sent = ChannelMessageSent(
            channel_id=scene.channel.id, message_id=message.id, external_id="OUT1", sent_at=AT
        )
        await scene.apply(on_message_sent, sent)
        (ours,) = [m for m in await shown(scene) if m.id == message.id]
        assert counts(ours.poll) == {"Entrega": 0, "Retirada": 1}
        assert (await voted(scene))[-1].message.poll == ours.poll
        assert await scene.rows("SELECT 1 FROM parked_changes") == []
        await scene.apply(on_status_reported, scene.receipt("OUT1", "read"))
        read = read_back((await scene.outbox())[-1])
        assert (read.event_type, read.data.message.poll) == ("message.read", ours.poll)

    async def test_before_their_poll_they_wait_for_it(self, scene: Scene) -> None:
        early = [vote(scene, "Azul", seconds=2), vote(scene, "Verde", seconds=1)]
        await scene.apply(on_vote_reported, *early)
        await scene.apply(on_message_received, poll(scene))
        (asked,) = await shown(scene)
        assert counts(asked.poll) == {"Azul": 1, "Verde": 0}

    async def test_in_a_group_each_member_has_one(self, scene: Scene) -> None:
        await scene.apply(on_message_received, poll(scene, **GROUP))
        await scene.apply(
            on_vote_reported,
            vote(scene, "Azul", seconds=1, person=HIDDEN),
            vote(scene, "Azul", seconds=2, person=by("phone", "551177770002")),
            vote(scene, "Verde", seconds=3, person=by("phone", "5511977770002")),  # the same number
        )
        (asked,) = await shown(scene)
        assert asked.poll is not None
        found = [(each.options, each.participant) for each in asked.poll.votes]
        assert found == [(["Azul"], "77@lid"), (["Verde"], "5511977770002@c.us")]

    async def test_on_what_is_no_poll_means_nothing(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
        await scene.apply(on_vote_reported, vote(scene, "Azul"))
        assert [m.poll for m in await shown(scene)] == [None]
        assert await voted(scene) == []

    async def test_for_what_was_not_offered_stands_behind(self, scene: Scene) -> None:
        await scene.apply(on_message_received, poll(scene))
        await scene.apply(on_vote_reported, vote(scene, "Roxo"))
        (asked,) = await shown(scene)
        assert counts(asked.poll) == {"Azul": 0, "Verde": 0, "Roxo": 1}

    async def test_longest_values_go_through_early_and_late(self, scene: Scene) -> None:
        long = [f"{n:03}" + "ã" * 252 for n in range(bounds.POLL_OPTIONS)]
        early, late = (
            vote(scene, *long, external_id="ã" * 255, person=by(kind, value * 49))
            for kind, value in (("lid", "1"), ("phone", "2"))
        )
        await scene.apply(on_vote_reported, early)
        await scene.apply(on_message_received, poll(scene, external_id="ã" * 255, **GROUP))
        await scene.apply(on_vote_reported, late)
        (asked,) = await shown(scene)
        assert asked.poll is not None
        assert [each.options for each in asked.poll.votes] == [long] * 2

    async def test_another_companys_poll_is_another(self, database: Database) -> None:
        pair = Scene(database), Scene(database)
        for company in pair:
            await company.apply(on_message_received, poll(company))
        teller, theirs = pair
        batch = [
            *teller.events([vote(theirs, "Azul", seconds=9)]),
            *teller.events([vote(teller, "Azul")], 2),
            *theirs.events([vote(theirs, "Verde")]),
        ]
        async with database.tenants(sorted(c.tenant_id for c in pair)) as tx:
            await on_vote_reported(tx, batch)
        for company, option in zip(pair, ("Azul", "Verde"), strict=True):
            (asked,) = await shown(company)
            assert counts(asked.poll) == {"Azul": 0, "Verde": 0, option: 1}
