"""Journey A: a customer writes; the CRM and the customer's systems know."""

import asyncio

from crm_fakes import examples
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Channel, Json, Tenant, eventually, of_type
from e2e.journeys.test_examples import post


class TestFirstMessage:
    async def test_becomes_a_contact_a_session_and_a_message_and_reaches_the_webhook(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha)
        await tenant.endpoint(receiver)

        await waha.receive_text(
            channel.waha_session, "5511988880001", "Oi! Entregam em Campinas?", push_name="Maria"
        )

        received = await receiver.wait_for(of_type("message.received"))
        assert received.signature_valid and received.legacy_valid
        data = received.json["data"]
        assert data["message"]["content"] == "Oi! Entregam em Campinas?"
        assert data["contact"]["name"] == "Maria"
        assert data["contact"]["phone"] == "+5511988880001"
        assert data["session"]["status"] == "active"
        assert data["channel"] == {"id": channel.id, "name": channel.name}

        contact = await eventually(lambda: _found(tenant, data["contact"]["id"]), "contact")
        assert contact["name"] == "Maria"
        assert {"kind": "phone", "value": "5511988880001"} in contact["identities"]
        session = await tenant.get(f"/sessions/{data['session']['id']}")
        assert (session["status"], session["total_messages"]) == ("active", 1)
        [message] = await tenant.messages(session_id=session["id"])
        assert message == data["message"]
        for event in ("contact.created", "session.started"):
            await receiver.wait_for(of_type(event))

        # What channels tell and what messaging tells is logged apart, in whatever order.
        journey = await tenant.journey(
            message["id"],
            *("said", "ingress", "channel.message_received"),
            *("stored", "message.received", "delivery"),
        )
        assert {(hop["service"], hop["what"]) for hop in journey["hops"]} == {
            ("whatsapp", "said"),
            ("gateway", "ingress"),
            ("channels-waha", "channel.message_received"),
            ("messaging", "stored"),
            ("messaging", "message.received"),
            ("webhooks", "delivery"),
        }
        assert all(hop["at"] for hop in journey["hops"])
        assert (journey["status"], journey["missing"]) == ("received", [])

    async def test_fifty_at_once_make_one_contact_one_session_and_fifty_messages_in_order(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha)
        await asyncio.gather(
            *(
                waha.receive_text(
                    channel.waha_session,
                    "5511977770001",
                    f"mensagem {number}",
                    timestamp=1_784_800_000 + number,
                )
                for number in range(50)
            )
        )
        messages = await tenant.message_count(50)
        assert [m["content"] for m in messages] == [f"mensagem {n}" for n in range(50)]
        assert sorted(m["seq"] for m in messages) == list(range(1, 51))
        assert len({m["session_id"] for m in messages}) == 1
        assert len({m["contact_id"] for m in messages}) == 1
        assert len(await tenant.rows("/contacts")) == 1
        assert len(await tenant.rows("/sessions")) == 1


async def _found(tenant: Tenant, contact_id: str) -> Json | None:
    answer = await tenant.http.get(f"/contacts/{contact_id}")
    return answer.json() if answer.status_code == 200 else None


class TestRepeatedWebhook:
    async def test_fifty_copies_at_once_make_one_message(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        await tenant.endpoint(receiver)
        example = examples.by_name("text_inbound_dm_gows").with_session(channel.waha_session)
        body, headers = example.signed(channel.hmac_key)
        answers = await asyncio.gather(
            *(
                tenant.http.post(channel.webhook_url, content=body, headers=headers)
                for _ in range(50)
            )
        )
        assert {a.status_code for a in answers} == {200}
        await post(tenant, channel, examples.by_name("text_inbound_dm_gows_message_any_duplicate"))
        await waha_marker(tenant, channel)

        messages = await tenant.messages()
        assert [m["external_id"] for m in messages].count("AC1A2B3C4D5E6F708192A3B4C5D6E7F8") == 1
        await receiver.wait_for_count(2, of_type("message.received"))
        assert len(receiver.of_type("message.received")) == 2


async def waha_marker(tenant: Tenant, channel: Channel) -> None:
    """Post a different message after the others and wait for it: what came before is done."""
    await post(tenant, channel, examples.by_name("audio_file_inbound_gows"))

    async def arrived() -> bool:
        found = await tenant.messages(content_type="audio")
        return bool(found)

    await eventually(arrived, "marker message")


class TestIngress:
    async def test_refuses_what_is_not_signed_by_this_channel(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        example = examples.by_name("text_inbound_dm_gows")
        body, headers = example.signed("another key")
        refused = await tenant.http.post(channel.webhook_url, content=body, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        body, headers = example.signed(channel.hmac_key)
        forged = await tenant.http.post(
            channel.webhook_url[:-2] + "AA", content=body, headers=headers
        )
        assert forged.status_code == 401

    async def test_answers_413_over_a_megabyte_and_400_to_what_is_not_json(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        large = await tenant.http.post(channel.webhook_url, content=b"x" * 1_100_000)
        assert large.status_code == 413
        signature = {"X-Webhook-Hmac": examples.waha_hmac(channel.hmac_key, b"not json")}
        broken = await tenant.http.post(channel.webhook_url, content=b"not json", headers=signature)
        assert broken.status_code == 400
