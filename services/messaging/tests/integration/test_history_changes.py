"""What history shows to have become of messages: by the rules of live ones, told if asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from crm_messaging.history.changes import on_changes_read
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited, on_reaction_reported
from crm_messaging.messages.consumers import on_message_revoked, on_status_reported
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit import forgotten
from shared_events.channels.history import ChannelChangesRead
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageRevoked,
    ChannelReactionReported,
)
from shared_events.identity import Forgotten, WhatsAppId

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GROUP: dict[str, Any] = {"chat_id": "120363000000000000@g.us", "is_group": True}
TOLD = ["message.edited", "message.reaction_changed", "message.delivered", "message.revoked"]


def page(scene: Scene, **more: Any) -> ChannelChangesRead:
    """One change of each kind: to what they said, and to what we wrote."""
    of = {"channel_id": scene.channel.id}
    theirs = {**of, "external_id": "IN", "from_us": False, "person": person()}
    values: dict[str, Any] = {
        "edits": [{**theirs, "edit_id": "E", "content": "certo", "edited_at": AT}],
        "reactions": [{**theirs, "emoji": "❤️", "reacted_at": AT}],
        "revocations": [{**of, "external_id": "GONE", "revoked_at": AT}],
        "receipts": [scene.receipt("OUT", "delivered", occurred_at=AT)],
    }
    return ChannelChangesRead.model_validate({"import_id": uuid4(), **values, **more})


def person() -> dict[str, Any]:
    return {"identities": [{"kind": "phone", "value": PHONE}]}


async def known(scene: Scene, **more: Any) -> None:
    """Messages that came live, an hour before."""
    before = {"sent_at": AT - timedelta(hours=1), **more}
    ours = {"direction": "outbound", "origin": "phone", "external_id": "OUT"}
    await scene.apply(
        on_message_received,
        scene.received("errado", external_id="IN", **before),
        scene.received("apagada", external_id="GONE", **before),
        scene.received("oi", **ours, **before),
    )


async def state(scene: Scene) -> list[Any]:
    (theirs,) = await scene.rows("SELECT * FROM messages WHERE external_id = 'IN'")
    (ours,) = await scene.rows("SELECT * FROM messages WHERE external_id = 'OUT'")
    (gone,) = await scene.rows("SELECT * FROM messages WHERE external_id = 'GONE'")
    reactions = await scene.rows("SELECT emoji FROM message_reactions ORDER BY sender")
    emojis = [row["emoji"] for row in reactions]
    return [theirs["content"], emojis, ours["status"], gone["revoked_at"]]


class TestChanges:
    @pytest.mark.parametrize("notify", [False, True])
    async def test_are_applied_once_and_told_if_asked_for(self, scene: Scene, notify: bool) -> None:
        await known(scene)
        before = len(await scene.told())
        for _ in range(2):
            await scene.apply(on_changes_read, page(scene, notify=notify))
        assert await state(scene) == ["certo", ["❤️"], "delivered", AT]
        assert (await scene.told())[before:] == (TOLD if notify else [])

    async def test_what_is_known_changes_nothing(self, scene: Scene) -> None:
        await known(scene)
        live = page(scene)
        exact = AT + timedelta(milliseconds=20)
        await scene.apply(on_message_edited, *_again(live.edits, edit_id="ACT", edited_at=exact))
        await scene.apply(on_reaction_reported, *_again(live.reactions, reacted_at=exact))
        await scene.apply(on_message_revoked, *_again(live.revocations, revoked_at=exact))
        await scene.apply(on_status_reported, scene.receipt("OUT", "read", occurred_at=exact))
        rows = await scene.rows("SELECT version FROM messages ORDER BY external_id")
        told = await scene.told()
        await scene.apply(on_changes_read, page(scene, notify=True, receipts=[]))
        assert await state(scene) == ["certo", ["❤️"], "read", exact]
        assert await scene.told() == told
        assert await scene.rows("SELECT version FROM messages ORDER BY external_id") == rows

    @pytest.mark.parametrize("notify", [False, True])
    async def test_of_nobodys_message_wait_for_it_unless_quiet(
        self, scene: Scene, notify: bool
    ) -> None:
        await scene.apply(on_changes_read, page(scene, notify=notify))
        await known(scene)
        changed = ["certo", ["❤️"], "delivered", AT]
        assert await state(scene) == (changed if notify else ["errado", [], "sent", None])

    async def test_nothing_comes_back_of_who_was_erased(self, scene: Scene) -> None:
        await known(scene, **GROUP)
        me = WhatsAppId("phone", PHONE)
        gone = Forgotten(uuid4(), AT + timedelta(minutes=1))
        async with scene.database.tenant(scene.tenant_id) as tx:
            await forgotten.add(tx, [((scene.tenant_id, me.key), gone)])
        read = scene.receipt("OUT", "read", occurred_at=AT, participant=f"{PHONE}@c.us")
        await scene.apply(on_changes_read, page(scene, receipts=[read], edits=[]))
        assert await state(scene) == ["errado", [], "sent", AT]
        assert await scene.rows("SELECT 1 FROM message_receipts") == []


class TestReactions:
    async def test_the_same_seen_again_stays_the_agents(self, scene: Scene) -> None:
        await known(scene)
        ours = {"from_us": True, "external_id": "IN"}
        (reaction,) = _again(page(scene).reactions, **ours)
        await scene.apply(on_reaction_reported, reaction)
        agent = uuid4()
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute("UPDATE message_reactions SET by = 'agent', agent_id = $1", agent)
        later = AT + timedelta(seconds=3)
        again = _again([reaction], reacted_at=later)
        await scene.apply(on_changes_read, page(scene, reactions=again, notify=True))
        (row,) = await scene.rows("SELECT by, agent_id, reacted_at FROM message_reactions")
        assert tuple(row) == ("agent", agent, later)


Change = ChannelMessageEdited | ChannelReactionReported | ChannelMessageRevoked


def _again(reports: Any, **changes: Any) -> list[Change]:
    return [report.model_copy(update=changes) for report in reports]
