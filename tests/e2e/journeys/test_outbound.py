"""Journey B: an agent answers; WhatsApp takes it, once, and its receipts come back."""

import asyncio
from typing import Any
from uuid import uuid4

from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import PATIENCE_SECONDS, Channel, Tenant, eventually, of_type

PHONE = "5511966660001"


async def conversation(tenant: Tenant, waha: WahaSimulator, **settings: Any) -> tuple[Channel, str]:
    """A connected channel and a contact that has written once."""
    channel = await tenant.channel(waha, **settings)
    await waha.receive_text(channel.waha_session, PHONE, "Bom dia", push_name="João")
    [message] = await tenant.message_count(1)
    return channel, message["contact_id"]


async def status_reached(tenant: Tenant, message_id: str, status: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        message: dict[str, Any] = await tenant.get(f"/messages/{message_id}")
        return message if message["status"] == status else None

    return await eventually(look, f"status {status}")


class TestReply:
    async def test_is_queued_at_once_then_sent_delivered_and_read(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        waha.acks = "read"
        channel, contact_id = await conversation(tenant, waha)
        await tenant.endpoint(receiver, "message.*")

        queued = await tenant.post(
            "/messages/send",
            {"contact_id": contact_id, "channel_id": channel.id, "content": "Qual dia prefere?"},
        )
        assert queued["status"] == "queued" and queued["sent_by"] == tenant.user_id

        read = await status_reached(tenant, queued["id"], "read")
        assert read["external_id"] and read["sent_at"] and read["delivered_at"] and read["read_at"]
        [sent] = waha.sent.values()
        assert (sent.chat, sent.text, sent.times) == (f"{PHONE}@c.us", "Qual dia prefere?", 1)
        for event in ("message.queued", "message.sent", "message.delivered", "message.read"):
            found = await receiver.wait_for(of_type(event))
            assert found.json["data"]["message"]["id"] == queued["id"]
        assert len(await tenant.messages(direction="outbound")) == 1

        journey = await tenant.journey(
            queued["id"],
            *("queued", "message.queued", "entered", "asked", "answered", "channel.message_sent"),
            *("sent", "message.sent", "channel.message_status_reported"),
            *("delivered", "message.delivered", "read", "message.read", "delivery"),
        )
        (asked,) = (hop for hop in journey["hops"] if hop["what"] == "queued")
        assert (asked["detail"]["sent_by"], journey["missing"]) == (tenant.user_id, [])
        (newest, first) = (await tenant.get(f"/contacts/{contact_id}/journey"))["data"]
        assert (newest["message_id"], newest["status"]) == (queued["id"], "read")
        assert (first["direction"], first["waiting_for"]) == ("inbound", None)

    async def test_an_image_travels_by_its_url(self, tenant: Tenant, waha: WahaSimulator) -> None:
        channel, contact_id = await conversation(tenant, waha)
        queued = await tenant.post(
            "/messages/send",
            {
                "contact_id": contact_id,
                "channel_id": channel.id,
                "content_type": "image",
                "content": "O mostruário",
                "media_url": "https://cdn.example.com/mostruario.jpg",
            },
        )
        await status_reached(tenant, queued["id"], "delivered")
        [sent] = waha.sent.values()
        assert (sent.kind, sent.text) == ("image", "O mostruário")


class TestIdempotencyKey:
    async def test_repeats_answer_alike_and_send_once(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel, contact_id = await conversation(tenant, waha)
        body = {"contact_id": contact_id, "channel_id": channel.id, "content": "Uma vez só"}
        key = {"Idempotency-Key": str(uuid4())}
        first = await tenant.http.post("/messages/send", json=body, headers=key)
        again = await tenant.http.post("/messages/send", json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await tenant.http.post(
            "/messages/send", json={**body, "content": "Outra"}, headers=key
        )
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        await status_reached(tenant, first.json()["id"], "delivered")
        assert [m.times for m in waha.sent.values()] == [1]


class TestWhenWahaFails:
    async def test_an_error_after_acceptance_never_sends_twice(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel, contact_id = await conversation(tenant, waha)
        waha.faults.add("error_after_accept", times=1)
        queued = await tenant.post(
            "/messages/send",
            {"contact_id": contact_id, "channel_id": channel.id, "content": "Chegou?"},
        )
        await status_reached(tenant, queued["id"], "delivered")
        assert [(m.text, m.times) for m in waha.sent.values()] == [("Chegou?", 1)]

    async def test_a_session_that_is_not_ready_is_tried_again(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel, contact_id = await conversation(tenant, waha)
        waha.faults.add("refuse", times=2)
        queued = await tenant.post(
            "/messages/send",
            {"contact_id": contact_id, "channel_id": channel.id, "content": "Tentando"},
        )
        await status_reached(tenant, queued["id"], "delivered")
        assert [m.times for m in waha.sent.values()] == [1]

    async def test_order_within_the_conversation_holds(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel, contact_id = await conversation(tenant, waha)
        for number in range(10):
            await tenant.post(
                "/messages/send",
                {"contact_id": contact_id, "channel_id": channel.id, "content": f"linha {number}"},
            )

        async def all_sent() -> bool:
            return len(waha.sent) == 10

        await eventually(all_sent, "ten sends")
        assert [m.text for m in waha.sent.values()] == [f"linha {n}" for n in range(10)]


class TestTypedOnThePhone:
    async def test_is_an_outbound_message_of_the_same_conversation(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel, contact_id = await conversation(tenant, waha)
        await waha.sent_from_phone(channel.waha_session, PHONE, "Respondi pelo celular")
        inbound, outbound = await tenant.message_count(2)
        assert (outbound["direction"], outbound["status"]) == ("outbound", "sent")
        assert outbound["origin"] == "phone" and outbound["sent_by"] is None
        assert outbound["contact_id"] == contact_id
        assert outbound["session_id"] == inbound["session_id"]


class TestReceiptBeforeItsMessage:
    async def test_waits_and_then_applies(self, tenant: Tenant, waha: WahaSimulator) -> None:
        waha.faults.add("timeout_after_accept", times=1, seconds=2.0)
        channel, contact_id = await conversation(tenant, waha)
        queued = await tenant.post(
            "/messages/send",
            {"contact_id": contact_id, "channel_id": channel.id, "content": "Depressa"},
        )
        await status_reached(tenant, queued["id"], "delivered")
        await asyncio.wait_for(waha.settled(), PATIENCE_SECONDS)
        assert len(await tenant.messages(direction="outbound")) == 1
