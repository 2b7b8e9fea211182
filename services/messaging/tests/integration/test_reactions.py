"""Reactions: of the customer, of a group's members, of the company on its own phone."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_reaction_reported
from crm_messaging.messages.consumers import on_status_reported
from crm_messaging.messages.listing import list_messages
from crm_messaging.messages.requests import get_message
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import read_back
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.channels.traffic import ChannelReactionReported
from shared_events.messaging.message import GetMessage, ListMessages, Message
from shared_events.requests import Principal

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUP: dict[str, Any] = {"chat_id": "120363000000000000@g.us", "is_group": True}


def reaction(scene: Scene, emoji: str, seconds: int = 0, **changes: Any) -> ChannelReactionReported:
    values = {
        "channel_id": scene.channel.id,
        "external_id": "IN1",
        "from_us": False,
        "person": by("phone", PHONE),
        "emoji": emoji,
        "reacted_at": AT + timedelta(seconds=seconds),
    }
    return ChannelReactionReported.model_validate({**values, **changes})


def by(kind: str, value: str) -> dict[str, Any]:
    return {"identities": [{"kind": kind, "value": value}]}


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
            reaction(scene, "👍", 1, person=by("lid", "77")),
            reaction(scene, "👏", 2, person=by("phone", "551177770002")),
            reaction(scene, "🎉", 3, person=by("phone", "5511977770002")),  # the same number
        )
        (message,) = await shown(scene)
        found = [(r.emoji, r.participant) for r in message.reactions]
        assert found == [("👍", "77@lid"), ("🎉", "5511977770002@c.us")]

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
