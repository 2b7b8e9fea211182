"""The whole way: from the bus into the database and back onto the bus."""

from collections.abc import Callable
from uuid import UUID

import orjson
from crm_messaging.app import create_service
from crm_messaging.settings import MessagingSettings
from messaging_scene import Scene, eventually, running
from service_kit.bus import Publisher
from shared_events import topology
from shared_events.envelope import EventData


async def publish(publisher: Publisher, scene: Scene, data: EventData) -> UUID:
    envelope = scene.envelope(data)
    await publisher.publish(
        topology.event_exchange(data.event_type),
        data.event_type,
        orjson.dumps(envelope.model_dump(mode="json")),
        message_id=str(envelope.event_id),
        headers={
            "event_id": str(envelope.event_id),
            "event_type": data.event_type,
            "event_version": data.event_version,
            "tenant_id": scene.tenant_id,
        },
    )
    return envelope.event_id


class TestThroughTheBus:
    async def test_fifty_messages_each_twice_arrive_once_and_in_order(
        self, scene: Scene, make_settings: Callable[..., MessagingSettings]
    ) -> None:
        settings = make_settings()
        publisher = Publisher(settings.amqp_url)
        async with running(create_service(settings)):
            await publisher.connect()
            for n in range(50):
                message = scene.received(f"n{n}", external_id=f"X{n}")
                await publish(publisher, scene, message)
                await publish(publisher, scene, message)

            async def published() -> bool:
                rows = await scene.outbox()
                return len(rows) == 51 and all(row["processed_at"] for row in rows)

            await eventually(published)
            await publisher.close()
        (session,) = await scene.sessions()
        messages = await scene.rows("SELECT * FROM messages ORDER BY seq")
        assert session["total_messages"] == 50
        assert [message["content"] for message in messages] == [f"n{n}" for n in range(50)]
        assert [message["seq"] for message in messages] == list(range(1, 51))
        told = [row["payload"]["message"]["seq"] for row in (await scene.outbox())[1:]]
        assert told == list(range(1, 51))
