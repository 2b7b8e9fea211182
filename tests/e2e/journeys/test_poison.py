"""A message nobody can handle rests with its reason and blocks nobody."""

import aio_pika
import orjson
import pytest
from aio_pika import DeliveryMode
from crm_fakes.waha import WahaSimulator
from shared_events import examples

from e2e.crm import Tenant, eventually
from e2e.stack import Platform


def changed(**data: object) -> bytes:
    """The golden example with its data changed; None takes a field away."""
    event = examples.load("channel.message_received")
    merged = {**event["data"], **data}
    return orjson.dumps({**event, "data": {k: v for k, v in merged.items() if v is not None}})


BROKEN = {
    "not JSON": b"{",
    "a missing field": changed(external_id=None),
    "a wrong type": changed(channel="Vendas"),
}


class TestPoison:
    @pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
    async def test_ends_among_the_dead_letters_while_neighbours_flow(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, body: bytes
    ) -> None:
        channel = await tenant.channel(waha)
        connection = await aio_pika.connect(platform.state["amqp_url"])
        async with connection:
            broker = await connection.channel()
            await broker.default_exchange.publish(
                aio_pika.Message(
                    body,
                    headers={
                        "event_id": "01890000-0000-7000-8000-000000000001",
                        "event_type": "channel.message_received",
                        "event_version": "1",
                        "tenant_id": tenant.id,
                    },
                    delivery_mode=DeliveryMode.PERSISTENT,
                ),
                "messaging.channel_events.0",
            )
            await waha.receive_text(channel.waha_session, "5511922220001", "passa")
            await tenant.message_count(1)
            dead = await broker.get_queue("messaging.channel_events.dlq")

            async def buried() -> aio_pika.abc.AbstractIncomingMessage | None:
                return await dead.get(fail=False)

            letter = await eventually(buried, "dead letter")
            assert letter.headers["x-dead-reason"] == "invalid_event"
            assert letter.body == body
            await letter.ack()
            live = await broker.get_queue("messaging.channel_events.0")
            assert live.declaration_result.message_count == 0
