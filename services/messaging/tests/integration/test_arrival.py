import asyncio
from uuid import uuid4

import pytest
from asyncpg import SerializationError
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_status_reported
from crm_testing.scenes.messaging import Scene
from crm_testing.services import eventually
from shared_events.channels.traffic import Media
from shared_events.identity import WhatsAppId, contact_id


class TestFirstMessages:
    async def test_fifty_at_once_make_one_contact_one_session_and_fifty_messages_in_order(
        self, scene: Scene
    ) -> None:
        batch = [scene.received(f"número {n}") for n in range(50)]
        await scene.apply(on_message_received, *batch)

        (session,) = await scene.sessions()
        messages = await scene.rows("SELECT * FROM messages ORDER BY seq")
        assert session["total_messages"] == 50
        assert [m["seq"] for m in messages] == list(range(1, 51))
        assert [m["content"] for m in messages] == [f"número {n}" for n in range(50)]
        assert await scene.told() == ["session.started", *["message.received"] * 50]
        assert {row["aggregate_id"] for row in await scene.outbox()} == {session["id"]}
        assert len(await scene.rows("SELECT 1 FROM contact_refs")) == 1

    async def test_one_stored_twice_at_once_leaves_no_gap(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        twice = scene.received(external_id="TWICE")
        async with scene.database.tenant(scene.tenant_id) as tx:
            await on_message_received(tx, scene.events([twice]))
            other = asyncio.create_task(scene.apply(on_message_received, twice))
            await eventually(scene.waits_for_a_lock)
        with pytest.raises(SerializationError):
            await other
        assert [message["seq"] for message in await scene.messages()] == [1, 2]
        assert (await scene.sessions())[0]["total_messages"] == 2

    async def test_move_the_sessions_clock_and_take_the_newest_timeout(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (before,) = await scene.sessions()
        shorter = scene.channel.model_copy(update={"session_timeout_seconds": 60})
        await scene.apply(on_message_received, scene.received(), scene.received(channel=shorter))
        (after,) = await scene.sessions()
        assert after["last_interaction_at"] > before["last_interaction_at"]
        assert after["timeout_seconds"] == 60

    async def test_concurrent_batches_share_one_session_without_gaps(self, scene: Scene) -> None:
        batches = [[scene.received(f"{b}/{n}") for n in range(10)] for b in range(5)]
        await asyncio.gather(*(scene.apply(on_message_received, *batch) for batch in batches))

        (session,) = await scene.sessions()
        messages = await scene.rows("SELECT * FROM messages ORDER BY seq")
        assert session["total_messages"] == 50
        assert [m["seq"] for m in messages] == list(range(1, 51))
        for b in range(5):
            mine = [m["content"] for m in messages if m["content"].startswith(f"{b}/")]
            assert mine == [f"{b}/{n}" for n in range(10)]
        assert (await scene.told()).count("session.started") == 1

    async def test_uses_the_contact_id_every_service_derives(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(phone="551188880001"))
        (contact,) = await scene.rows("SELECT * FROM contact_refs")
        expected = contact_id(scene.tenant_id, WhatsAppId("phone", "5511988880001"))
        assert (contact["contact_id"], contact["name"]) == (expected, "Ana")
        assert contact["phone"] == "+5511988880001"

    async def test_tells_everything_a_receiver_shows(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received("Bom dia"))
        started, received = [row["payload"] for row in await scene.outbox()]
        assert started["session"]["status"] == "active"
        assert received["message"]["content"] == "Bom dia"
        assert received["message"]["status"] == "received"
        assert received["contact"]["phone"] == "+5511988880001"
        assert received["session"]["id"] == started["session"]["id"]
        assert received["channel"] == {"id": str(scene.channel.id), "name": "Loja"}


class TestDuplicates:
    async def test_change_nothing_in_one_batch_or_later(self, scene: Scene) -> None:
        message = scene.received(external_id="3EB0A1")
        await scene.apply(on_message_received, message, message)
        await scene.apply(on_message_received, message)
        (session,) = await scene.sessions()
        assert session["total_messages"] == 1
        assert await scene.told() == ["session.started", "message.received"]

    async def test_do_not_open_a_session_again(self, scene: Scene) -> None:
        message = scene.received(external_id="3EB0A2")
        await scene.apply(on_message_received, message)
        await scene.rows("SELECT 1")
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute("UPDATE sessions SET status = 'closed'")
        await scene.apply(on_message_received, message)
        assert len(await scene.sessions()) == 1

    async def test_the_same_id_on_another_channel_is_another_message(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="3EB0A3"))
        other = scene.channel.model_copy(update={"id": uuid4()})
        await scene.apply(on_message_received, scene.received(external_id="3EB0A3", channel=other))
        assert len(await scene.messages()) == 2


class TestIdentities:
    async def test_a_lid_seen_with_a_phone_belongs_to_the_phones_contact(
        self, scene: Scene
    ) -> None:
        await scene.apply(on_message_received, scene.received(lid="123456789"))
        await scene.apply(on_message_received, scene.received(phone=None, lid="123456789"))
        (session,) = await scene.sessions()
        assert session["total_messages"] == 2
        assert session["chat_id"] == "123456789@lid"

    async def test_a_phone_learned_later_joins_the_lids_contact(self, scene: Scene) -> None:
        await scene.apply(
            on_message_received,
            scene.received(phone=None, lid="123456789"),
            scene.received(lid="123456789"),
        )
        (session,) = await scene.sessions()
        assert session["total_messages"] == 2
        assert session["contact_id"] == contact_id(scene.tenant_id, WhatsAppId("lid", "123456789"))

    async def test_the_value_whatsapp_reports_replaces_the_typed_alias(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(phone="5511988880001"))
        await scene.apply(on_message_received, scene.received(phone="551188880001"))
        (identity,) = await scene.rows("SELECT * FROM identity_refs")
        assert identity["value"] == "551188880001"


class TestContent:
    async def test_own_phone_message_is_outbound_and_sent(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(direction="outbound", origin="phone"))
        (message,) = await scene.messages()
        (contact,) = await scene.rows("SELECT * FROM contact_refs")
        assert (message["status"], message["origin"]) == ("sent", "phone")
        assert contact["name"] == "+5511988880001"
        assert await scene.told() == ["session.started", "message.sent"]

    async def test_reply_finds_its_message_even_in_the_same_batch(self, scene: Scene) -> None:
        await scene.apply(
            on_message_received,
            scene.received(external_id="A"),
            scene.received(external_id="B", reply_to_external_id="A"),
            scene.received(external_id="C", reply_to_external_id="unknown"),
        )
        first, second, third = await scene.rows("SELECT * FROM messages ORDER BY seq")
        assert second["reply_to_id"] == first["id"]
        assert third["reply_to_id"] is None
        assert third["metadata"]["reply_to_external_id"] == "unknown"

    async def test_keeps_media_and_details_and_no_nul(self, scene: Scene) -> None:
        media = Media(
            url="https://waha.example/1.ogg",
            mime_type="audio/ogg",
            duration_seconds=7,
            state="available",
        )
        await scene.apply(
            on_message_received,
            scene.received("a\x00b", media=media, content_type="voice", details={"k": "\x00v"}),
        )
        (message,) = await scene.messages()
        assert message["content"] == "ab"
        assert message["metadata"]["k"] == "v"
        assert message["metadata"]["media"] == {"duration_seconds": 7, "state": "available"}

    async def test_early_receipts_are_applied_in_turn(self, scene: Scene) -> None:
        await scene.apply(
            on_status_reported, scene.receipt("X1", "delivered"), scene.receipt("X1", "read")
        )
        assert len(await scene.rows("SELECT 1 FROM parked_receipts")) == 2
        await scene.apply(
            on_message_received,
            scene.received(external_id="X1", direction="outbound", origin="phone"),
        )
        (message,) = await scene.messages()
        assert message["status"] == "read"
        assert message["delivered_at"] is not None
        assert not await scene.rows("SELECT 1 FROM parked_receipts")
        assert (await scene.told())[1:] == ["message.sent", "message.delivered", "message.read"]
