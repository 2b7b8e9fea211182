import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.messages.service import send
from crm_messaging.sessions import service as sessions
from crm_testing.scenes.messaging import Scene
from crm_testing.services import eventually
from shared_events.channels.traffic import ChannelMessageFailed, ChannelMessageSent
from shared_events.messaging.message import SendMessage


async def queued(scene: Scene) -> UUID:
    """A message of ours, waiting to be sent to a contact who wrote before."""
    await scene.apply(on_message_received, scene.received())
    async with scene.database.tenant(scene.tenant_id) as tx:
        contact_id = await tx.fetchval("SELECT contact_id FROM contact_refs")
        request = SendMessage(contact_id=contact_id, channel_id=scene.channel.id, content="Oi!")
        return (await send(tx, request, None)).id


def sent(scene: Scene, message_id: UUID, external_id: str = "OUT1") -> ChannelMessageSent:
    return ChannelMessageSent(
        channel_id=scene.channel.id,
        message_id=message_id,
        external_id=external_id,
        sent_at=datetime.now(UTC),
    )


def failed(scene: Scene, message_id: UUID) -> ChannelMessageFailed:
    return ChannelMessageFailed(
        channel_id=scene.channel.id,
        message_id=message_id,
        code="invalid_number",
        reason="Not on WhatsApp",
        failed_at=datetime.now(UTC),
    )


async def close(scene: Scene, session_id: UUID) -> None:
    async with scene.database.tenant(scene.tenant_id) as tx:
        await sessions.close(tx, session_id, "resolved", note=None, expected_version=None)


BEFORE = ["session.started", "message.received", "message.queued"]


class TestOutboundMessage:
    async def test_is_sent_delivered_read_with_one_event_each(self, scene: Scene) -> None:
        message_id = await queued(scene)
        await scene.apply(on_message_sent, sent(scene, message_id))
        for status in ("sent", "delivered", "delivered", "read", "delivered"):
            await scene.apply(on_status_reported, scene.receipt("OUT1", status))
        (message,) = await scene.rows("SELECT * FROM messages WHERE id = $1", message_id)
        assert (message["status"], message["external_id"]) == ("read", "OUT1")
        assert message["sent_at"] <= message["delivered_at"] <= message["read_at"]
        told = [*BEFORE, "message.sent", "message.delivered", "message.read"]
        assert await scene.told() == told

    async def test_out_of_order_receipts_in_one_batch(self, scene: Scene) -> None:
        message_id = await queued(scene)
        await scene.apply(on_message_sent, sent(scene, message_id))
        await scene.apply(
            on_status_reported, scene.receipt("OUT1", "read"), scene.receipt("OUT1", "delivered")
        )
        (message,) = await scene.rows("SELECT * FROM messages WHERE id = $1", message_id)
        assert message["status"] == "read"
        assert message["delivered_at"] is not None
        assert await scene.told() == [*BEFORE, "message.sent", "message.read"]

    async def test_receipt_before_its_id_is_known_waits_for_it(self, scene: Scene) -> None:
        message_id = await queued(scene)
        await scene.apply(on_status_reported, scene.receipt("OUT1", "delivered"))
        assert await scene.told() == BEFORE
        await scene.apply(on_message_sent, sent(scene, message_id))
        assert await scene.told() == [*BEFORE, "message.sent", "message.delivered"]
        assert not await scene.rows("SELECT 1 FROM parked_receipts")

    async def test_failure_says_why_and_delivery_overrides_it(self, scene: Scene) -> None:
        message_id = await queued(scene)
        await scene.apply(on_message_failed, failed(scene, message_id))
        (message,) = await scene.rows("SELECT * FROM messages WHERE id = $1", message_id)
        assert message["failure_reason"] == "invalid_number: Not on WhatsApp"
        await scene.apply(on_message_sent, sent(scene, message_id))
        await scene.apply(on_status_reported, scene.receipt("OUT1", "delivered"))
        (message,) = await scene.rows("SELECT * FROM messages WHERE id = $1", message_id)
        assert message["status"] == "delivered"
        assert await scene.told() == [*BEFORE, "message.failed", "message.delivered"]

    async def test_is_told_before_or_after_the_end_of_its_session_and_never_between(
        self, scene: Scene
    ) -> None:
        """A session's events are numbered in the order they are committed."""
        message_id = await queued(scene)
        await scene.apply(on_message_sent, sent(scene, message_id))
        (session,) = await scene.sessions()
        async with scene.database.tenant(scene.tenant_id) as tx:
            delivered = scene.events([scene.receipt("OUT1", "delivered")])
            await on_status_reported(tx, delivered)
            closing = asyncio.create_task(close(scene, session["id"]))
            await eventually(scene.waits_for_a_lock)
        await closing
        told = await scene.outbox()
        assert [row["event_type"] for row in told][-2:] == ["message.delivered", "session.closed"]

    async def test_repeated_receipts_of_an_unknown_message_are_kept_once(
        self, scene: Scene
    ) -> None:
        for _ in range(3):
            await scene.apply(
                on_status_reported,
                scene.receipt("OUT1", "read"),
                scene.receipt("OUT1", "read"),
                scene.receipt("OUT1", "read", participant="551199@c.us"),
            )
        assert len(await scene.rows("SELECT 1 FROM parked_receipts")) == 2

    async def test_unknown_message_is_nobodys_trouble(self, scene: Scene) -> None:
        await scene.apply(on_message_sent, sent(scene, uuid4()))
        await scene.apply(on_message_failed, failed(scene, uuid4()))
        assert await scene.told() == []

    async def test_id_already_taken_by_an_echo_is_left_to_it(self, scene: Scene) -> None:
        message_id = await queued(scene)
        echo = scene.received(external_id="OUT1", direction="outbound", origin="api")
        await scene.apply(on_message_received, echo)
        await scene.apply(on_message_sent, sent(scene, message_id))
        (message,) = await scene.rows("SELECT * FROM messages WHERE id = $1", message_id)
        assert (message["status"], message["external_id"]) == ("sent", None)


class TestInboundMessage:
    async def test_read_on_our_phone_sets_the_time_without_an_event(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
        await scene.apply(on_status_reported, scene.receipt("IN1", "read", from_us=False))
        (message,) = await scene.messages()
        assert message["status"] == "received"
        assert message["read_at"] is not None
        assert await scene.told() == ["session.started", "message.received"]
