"""The whole way: from the bus into the database and back onto the bus."""

from collections.abc import Callable

from crm_messaging.app import create_service
from crm_messaging.settings import MessagingSettings
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Outside, eventually, running


class TestThroughTheBus:
    async def test_fifty_messages_each_twice_arrive_once_and_in_order(
        self, scene: Scene, make_settings: Callable[..., MessagingSettings]
    ) -> None:
        settings = make_settings()
        async with running(create_service(settings)), Outside(settings.amqp_url) as outside:
            for n in range(50):
                for _ in range(2):
                    message = scene.received(f"n{n}", external_id=f"X{n}")
                    await outside.publish(scene.envelope(message))

            async def published() -> bool:
                rows = await scene.outbox()
                return len(rows) == 51 and all(row["processed_at"] for row in rows)

            await eventually(published)
        (session,) = await scene.sessions()
        messages = await scene.rows("SELECT * FROM messages ORDER BY seq")
        assert session["total_messages"] == 50
        assert [message["content"] for message in messages] == [f"n{n}" for n in range(50)]
        assert [message["seq"] for message in messages] == list(range(1, 51))
        told = [row["payload"]["message"]["seq"] for row in (await scene.outbox())[1:]]
        assert told == list(range(1, 51))
