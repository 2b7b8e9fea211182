"""Messages deleted for everyone: by the customer, or by the company on its phone."""

from datetime import UTC, datetime
from uuid import uuid4

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_revoked, on_status_reported
from crm_testing.scenes.messaging import Scene
from shared_events.channels.traffic import ChannelMessageRevoked

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECEIVED = ["session.started", "message.received"]


def revoked(scene: Scene, external_id: str, at: datetime = AT) -> ChannelMessageRevoked:
    return ChannelMessageRevoked(
        channel_id=scene.channel.id, external_id=external_id, revoked_at=at
    )


class TestRevoked:
    async def test_keeps_what_was_said_and_is_told_once(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1", content="Opa"))
        for minute in (0, 5):
            await scene.apply(on_message_revoked, revoked(scene, "IN1", AT.replace(minute=minute)))
        (message,) = await scene.messages()
        assert (message["content"], message["status"]) == ("Opa", "received")
        assert message["revoked_at"] == AT
        told = await scene.outbox()
        assert [row["event_type"] for row in told] == [*RECEIVED, "message.revoked"]
        shown = told[-1]["payload"]["message"]
        assert (shown["revoked_at"], shown["content"]) == ("2026-03-01T12:00:00Z", "Opa")

    async def test_before_its_message_it_waits_for_it(self, scene: Scene) -> None:
        await scene.apply(on_message_revoked, revoked(scene, "IN1"), revoked(scene, "IN1"))
        assert await scene.told() == []
        await scene.apply(on_message_received, scene.received(external_id="IN1"), scene.received())
        assert [m["revoked_at"] for m in await scene.messages()] == [AT, None]
        assert (await scene.told()).count("message.revoked") == 1
        assert await scene.rows("SELECT 1 FROM parked_receipts") == []

    async def test_still_learns_how_far_it_got(self, scene: Scene) -> None:
        echo = scene.received(external_id="OUT1", direction="outbound", origin="phone")
        await scene.apply(on_message_received, echo)
        await scene.apply(on_message_revoked, revoked(scene, "OUT1"))
        await scene.apply(on_status_reported, scene.receipt("OUT1", "read"))
        (message,) = await scene.messages()
        assert (message["status"], message["revoked_at"]) == ("read", AT)

    async def test_of_another_channel_is_another_message(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
        other = revoked(scene, "IN1").model_copy(update={"channel_id": uuid4()})
        await scene.apply(on_message_revoked, other)
        assert [m["revoked_at"] for m in await scene.messages()] == [None]
        assert await scene.told() == RECEIVED
