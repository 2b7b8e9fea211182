"""Agents change messages: shown at once, asked of WhatsApp, undone where it does not take them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_change_failed, on_reaction_reported
from crm_messaging.messages.consumers import on_message_failed
from crm_messaging.messages.service import send
from crm_testing.limits import largest
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, Outside, read_back
from service_kit.service import Service
from shared_events.channels.traffic import (
    ChannelChangeFailed,
    ChannelMessageFailed,
    ChannelReactionReported,
)
from shared_events.messaging.message import (
    DeleteMessage,
    EditMessage,
    GetMessage,
    ListMessageVersions,
    ReactToMessage,
    RemoveReaction,
    SendMessage,
)

GROUP: dict[str, Any] = {"chat_id": "120363000000000000@g.us", "is_group": True}


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service.database)


@pytest.fixture
def stranger(scene: Scene, outside: Outside) -> Company:
    """Asks in the name of another company."""
    return Company(scene.database, outside)


async def said(scene: Scene, external_id: str = "OUT1", **changes: Any) -> UUID:
    """A message of ours that WhatsApp has; returns its id."""
    ours = {"direction": "outbound", "origin": "phone", **changes}
    await scene.apply(on_message_received, scene.received("um", external_id=external_id, **ours))
    found = await scene.rows("SELECT id FROM messages WHERE external_id = $1", external_id)
    message_id: UUID = found[0]["id"]
    return message_id


async def queued(scene: Scene) -> UUID:
    """A message of ours that waits to be sent."""
    await said(scene, "FIRST")
    (session,) = await scene.sessions()
    async with scene.database.tenant(scene.tenant_id) as tx:
        contact_id, channel_id = session["contact_id"], session["channel_id"]
        request = SendMessage(contact_id=contact_id, channel_id=channel_id, content="Oi!")
        return (await send(tx, request, None)).id


async def asked(scene: Scene) -> list[dict[str, Any]]:
    """What WhatsApp was asked for."""
    rows = await scene.outbox()
    return [r["payload"] for r in rows if r["event_type"] == "message.change_requested"]


def failure(scene: Scene, requested: dict[str, Any], code: str = "no") -> ChannelChangeFailed:
    named = {name: requested[name] for name in ("channel_id", "message_id", "change")}
    told = largest(ChannelChangeFailed, **named, change_id=requested["id"])
    return told.model_copy(update={"code": code})


class TestEdit:
    async def test_is_shown_told_and_asked_for_once(
        self, scene: Scene, agent: Company, stranger: Company
    ) -> None:
        message_id = await said(scene)
        edit = EditMessage(message_id=message_id, content=" dois ")
        assert await stranger.refusal(edit) == ("not_found", "message_not_found")
        stale = await agent.refusal(edit, expected_version=7)
        assert stale == ("precondition_failed", "stale_version")
        edited = await agent.value(edit, expected_version=1)
        assert (edited["content"], edited["version"]) == ("dois", 2)
        again = await agent.value(edit)
        assert again == edited
        (requested,) = await asked(scene)
        assert (requested["change"], requested["content"]) == ("edit", "dois")
        assert (requested["external_id"], requested["to"]) == ("OUT1", "5511988880001@c.us")
        assert (await scene.told()).count("message.edited") == 1
        versions = ListMessageVersions(message_id=message_id)
        found = [v["content"] for v in (await agent.value(versions))["data"]]
        assert found == ["um", "dois"]
        assert await stranger.refusal(versions) == ("not_found", "message_not_found")

    async def test_that_whatsapp_did_not_take_is_undone_and_told(
        self, scene: Scene, agent: Company
    ) -> None:
        message_id = await said(scene)
        for content in ("dois", "três"):
            await agent.value(EditMessage(message_id=message_id, content=content))
        second, third = await asked(scene)
        await scene.apply(on_change_failed, failure(scene, second), failure(scene, second))
        shown = await agent.value(GetMessage(message_id=message_id))
        assert (shown["content"], shown["edited_at"] is None) == ("três", False)
        await scene.apply(on_change_failed, failure(scene, third), seq=9)
        await scene.apply(on_change_failed, failure(scene, third), seq=10)
        shown = await agent.value(GetMessage(message_id=message_id))
        assert (shown["content"], shown["edited_at"]) == ("um", None)
        told = [read_back(row) for row in await scene.outbox()]
        failed = [e.data for e in told if e.event_type == "message.change_failed"]
        assert [(f.change, f.message.content) for f in failed] == [("edit", "três"), ("edit", "um")]

    async def test_whose_outcome_nobody_knows_stays_shown(
        self, scene: Scene, agent: Company
    ) -> None:
        message_id = await said(scene)
        await agent.value(EditMessage(message_id=message_id, content="dois"))
        (requested,) = await asked(scene)
        await scene.apply(on_change_failed, failure(scene, requested, "outcome_unknown"))
        shown = await agent.value(GetMessage(message_id=message_id))
        assert (shown["content"], (await scene.told())[-1]) == ("dois", "message.change_failed")

    async def test_that_cannot_be_is_refused(self, scene: Scene, agent: Company) -> None:
        old = datetime.now(UTC) - timedelta(minutes=16)
        media = {"content_type": "image", "media": {"url": "http://a.test/a", "state": "available"}}
        refused = {
            "not_ours": await said(scene, "A", direction="inbound", origin="customer"),
            "edit_window_passed": await said(scene, "B", sent_at=old),
            "not_editable": await said(scene, "C", content_type="location"),
            "message_not_sent": await queued(scene),
        }
        for code, message_id in refused.items():
            edit = EditMessage(message_id=message_id, content="dois")
            assert await agent.refusal(edit) == ("conflict", code)
        caption = EditMessage(message_id=await said(scene, "D", **media), content="x" * 1025)
        assert await agent.refusal(caption) == ("invalid", "too_long")
        gone = await said(scene, "E")
        await agent.value(DeleteMessage(message_id=gone))
        edit = EditMessage(message_id=gone, content="dois")
        assert await agent.refusal(edit) == ("conflict", "message_revoked")
        assert [a["change"] for a in await asked(scene)] == ["revoke"]


class TestTakeBack:
    async def test_deletes_once_and_is_undone_where_it_failed(
        self, scene: Scene, agent: Company, stranger: Company
    ) -> None:
        message_id = await said(scene)
        delete = DeleteMessage(message_id=message_id)
        assert await stranger.refusal(delete) == ("not_found", "message_not_found")
        assert (await agent.refusal(delete, expected_version=7))[1] == "stale_version"
        for _ in range(2):
            await agent.value(delete)
        (requested,) = await asked(scene)
        assert (requested["change"], requested["external_id"]) == ("revoke", "OUT1")
        shown = await agent.value(GetMessage(message_id=message_id))
        assert (shown["content"], shown["revoked_at"] is None) == ("um", False)
        assert (await scene.told()).count("message.revoked") == 1
        await scene.apply(on_change_failed, failure(scene, requested))
        assert (await agent.value(GetMessage(message_id=message_id)))["revoked_at"] is None

    async def test_of_what_is_queued_keeps_it_from_being_sent(
        self, scene: Scene, agent: Company
    ) -> None:
        message_id = await queued(scene)
        await agent.value(DeleteMessage(message_id=message_id))
        (requested,) = await asked(scene)
        assert (requested["message_id"], requested["external_id"]) == (str(message_id), None)
        named = {"channel_id": requested["channel_id"], "message_id": message_id}
        failed = largest(ChannelMessageFailed, **named, code="cancelled")
        await scene.apply(on_message_failed, failed)
        shown = await agent.value(GetMessage(message_id=message_id))
        assert (shown["status"], shown["revoked_at"] is None) == ("failed", False)
        assert shown["failure_reason"].startswith("cancelled: ")
        await agent.value(DeleteMessage(message_id=message_id))
        assert len(await asked(scene)) == 1

    async def test_that_cannot_be_is_refused(self, scene: Scene, agent: Company) -> None:
        old = datetime.now(UTC) - timedelta(hours=61)
        unsent = await queued(scene)
        named = {"channel_id": scene.channel.id, "message_id": unsent}
        await scene.apply(on_message_failed, largest(ChannelMessageFailed, **named))
        refused = {
            "not_ours": await said(scene, "A", direction="inbound", origin="customer"),
            "revoke_window_passed": await said(scene, "B", sent_at=old),
            "message_not_sent": unsent,
        }
        for code, message_id in refused.items():
            assert await agent.refusal(DeleteMessage(message_id=message_id)) == ("conflict", code)
        assert await asked(scene) == []


class TestReaction:
    async def test_is_shown_as_the_agents_and_taken_back(
        self, scene: Scene, agent: Company, stranger: Company
    ) -> None:
        theirs = {"direction": "inbound", "origin": "customer"}
        message_id = await said(scene, "IN1", **theirs)
        react = ReactToMessage(message_id=message_id, emoji="👍")
        assert await stranger.refusal(react) == ("not_found", "message_not_found")
        assert (await agent.refusal(react, expected_version=7))[1] == "stale_version"
        for _ in range(2):
            reacted = await agent.value(react)
        (shown,) = reacted["reactions"]
        assert (shown["emoji"], shown["by"]) == ("👍", "agent")
        assert shown["agent_id"] == str(agent.user_id)
        for _ in range(2):
            await agent.value(RemoveReaction(message_id=message_id))
        assert (await agent.value(GetMessage(message_id=message_id)))["reactions"] == []
        found = [(a["content"], a["from_us"], a["participant"]) for a in await asked(scene)]
        assert found == [("👍", False, None), ("", False, None)]
        assert (await scene.told()).count("message.reaction_changed") == 2

    async def test_that_failed_gives_way_to_the_one_before(
        self, scene: Scene, agent: Company
    ) -> None:
        message_id = await said(scene)
        longest = largest(ReactToMessage, message_id=message_id)
        await agent.value(longest)
        await agent.value(ReactToMessage(message_id=message_id, emoji="👍"))
        _, second = await asked(scene)
        await scene.apply(on_change_failed, failure(scene, second), failure(scene, second))
        (shown,) = (await agent.value(GetMessage(message_id=message_id)))["reactions"]
        assert shown["emoji"] == longest.emoji

    async def test_in_a_group_names_who_wrote_the_message(
        self, scene: Scene, agent: Company
    ) -> None:
        theirs = {"direction": "inbound", "origin": "customer", **GROUP}
        for external_id, lid in (("A", None), ("B", "77")):
            message_id = await said(scene, external_id, lid=lid, **theirs)
            await agent.value(ReactToMessage(message_id=message_id, emoji="👍"))
        found = [(a["to"], a["participant"]) for a in await asked(scene)]
        group = GROUP["chat_id"]
        assert found == [(group, "5511988880001@c.us"), (group, "77@lid")]

    async def test_to_what_whatsapp_does_not_have_is_refused(
        self, scene: Scene, agent: Company
    ) -> None:
        react = ReactToMessage(message_id=await queued(scene), emoji="👍")
        assert await agent.refusal(react) == ("conflict", "message_not_sent")
        assert (await agent.refusal(ReactToMessage(message_id=uuid4(), emoji="👍")))[0] == (
            "not_found"
        )

    async def test_on_the_phone_takes_the_place_of_the_agents(
        self, scene: Scene, agent: Company
    ) -> None:
        message_id = await said(scene)
        await agent.value(ReactToMessage(message_id=message_id, emoji="👍"))
        phone = largest(
            ChannelReactionReported,
            **{"channel_id": scene.channel.id, "external_id": "OUT1", "from_us": True},
            emoji="🙏",
            person={"identities": [{"kind": "phone", "value": "5511988880001"}]},
            reacted_at=datetime.now(UTC) + timedelta(seconds=5),
        )
        await scene.apply(on_reaction_reported, phone)
        (requested,) = await asked(scene)
        await scene.apply(on_change_failed, failure(scene, requested))
        (shown,) = (await agent.value(GetMessage(message_id=message_id)))["reactions"]
        assert (shown["emoji"], shown["by"]) == ("🙏", "phone")
