import aio_pika
import httpx
import orjson
import pytest
from crm_fakes import examples
from service_kit.service import Service
from shared_events.slots import SLOT, slot_of
from shared_events.waha_keys import waha_key

from services.gateway.tests.integration.waha_session import WahaSession, spooled, take


class TestAccept:
    async def test_every_example_arrives_byte_for_byte(
        self, gateway: Service, waha: WahaSession
    ) -> None:
        bodies = [orjson.dumps(example.body) for example in examples.load()]
        assert len(bodies) == 45
        for body in bodies:
            response = await waha.post(body, **{"X-Request-Id": "from-waha"})
            assert (response.status_code, response.json()) == (200, {"status": "accepted"})
        messages = await take(gateway.settings.amqp_url, waha, len(bodies))
        assert sorted(message.body for message in messages) == sorted(bodies)
        for message in messages:
            name = orjson.loads(message.body)["event"]
            assert message.headers["waha_event"] == name
            assert message.routing_key == waha_key(name)
            assert message.headers["tenant_id"] == str(waha.address.tenant_id)
            assert message.headers["ingress_id"] == message.message_id
            assert message.correlation_id == "from-waha"
            assert message.headers[SLOT] == slot_of(waha.address.channel_id)
            assert str(message.headers["traceparent"]).startswith("00-")
            assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT

    @pytest.mark.parametrize(
        "body", [b'{"event":"brand.new"}', b"{}", b'{"event":7}', b'{"event":"#.*"}']
    )
    async def test_an_unknown_event_is_accepted_and_kept(
        self, gateway: Service, waha: WahaSession, body: bytes
    ) -> None:
        assert (await waha.post(body)).status_code == 200
        (message,) = await take(gateway.settings.amqp_url, waha, 1)
        assert message.body == body
        assert str(message.routing_key).startswith("unknown")

    @pytest.mark.parametrize("text", ["\\ud83d", "\\ude00 oi", "a\\u0000b", "oi \\ud83d\\ude00"])
    async def test_text_cut_inside_an_emoji_is_accepted_byte_for_byte(
        self, gateway: Service, waha: WahaSession, text: str
    ) -> None:
        body = f'{{"event":"message.any","payload":{{"body":"{text}"}}}}'.encode()
        assert (await waha.post(body)).status_code == 200
        (message,) = await take(gateway.settings.amqp_url, waha, 1)
        assert message.body == body
        assert message.headers["waha_event"] == "message.any"

    async def test_what_a_stranger_calls_a_trace_goes_no_further(
        self, gateway: Service, waha: WahaSession
    ) -> None:
        for headers in (
            {"tracestate": "a" * 200_000},
            {"traceparent": "b" * 200_000},
            {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "c" * 200_000},
        ):
            assert (await waha.post(b'{"event":"message"}', **headers)).status_code == 200
        for message in await take(gateway.settings.amqp_url, waha, 3):
            assert len(str(message.headers["traceparent"])) == 55
            assert "tracestate" not in message.headers
        assert await spooled(gateway, waha) == 0

    async def test_the_callers_trace_goes_on(self, gateway: Service, waha: WahaSession) -> None:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        await waha.post(b'{"event":"message"}', traceparent=trace)
        (message,) = await take(gateway.settings.amqp_url, waha, 1)
        assert message.headers["traceparent"] == trace


class TestRefuse:
    async def test_a_wrong_signature(self, waha: WahaSession) -> None:
        response = await waha.post(b"{}", **{"X-Webhook-Hmac": "0" * 128})
        assert (response.status_code, response.json()["code"]) == (401, "invalid_signature")

    async def test_another_algorithm(self, waha: WahaSession) -> None:
        response = await waha.post(b"{}", **{"X-Webhook-Hmac-Algorithm": "sha256"})
        assert response.status_code == 401

    async def test_a_token_nobody_made(self, client: httpx.AsyncClient) -> None:
        response = await client.post("/webhooks/waha/abc", content=b"{}")
        assert (response.status_code, response.json()["code"]) == (401, "invalid_token")

    async def test_what_is_not_json(self, waha: WahaSession) -> None:
        assert (await waha.post(b"hello")).status_code == 400

    async def test_a_body_of_more_than_a_megabyte(self, waha: WahaSession) -> None:
        assert (await waha.post(b" " * 1_048_577)).status_code == 413

    async def test_another_method(self, client: httpx.AsyncClient, waha: WahaSession) -> None:
        response = await client.get(waha.path)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
