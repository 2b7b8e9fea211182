import asyncio
import time
from typing import Any

import pytest
from crm_fakes.examples import waha_hmac
from crm_fakes.receiver import Answer
from crm_fakes.waha.deliveries import retry_delay

PERSON = "5511988880001"


def arrived(shop: Any, event: str) -> list[Any]:
    return [r for r in shop.receiver.requests if r.type == event]


class TestRequest:
    async def test_carries_the_headers_and_envelope_of_the_contract(self, shop: Any) -> None:
        await shop.open(customHeaders=[{"name": "X-Tenant", "value": "42"}])
        await shop.waha.receive_text("loja", PERSON, "Olá ☕")
        request = await shop.receiver.wait_for(lambda r: r.type == "message.any")
        headers = request.headers
        assert headers["User-Agent"] == "WAHA/2026.7.1"
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Tenant"] == "42"
        assert abs(int(headers["X-Webhook-Timestamp"]) / 1000 - time.time()) < 60
        assert headers["X-Webhook-Hmac-Algorithm"] == "sha512"
        assert headers["X-Webhook-Hmac"] == waha_hmac("channel-hmac-key", request.body)
        envelope = request.json
        assert envelope["metadata"] == {"channel.id": "chan-7"}
        assert (envelope["id"][:4], len(envelope["id"])) == ("evt_", 30)
        assert envelope["timestamp"] > 1e12 > envelope["payload"]["timestamp"]

    async def test_is_unsigned_without_a_key(self, shop: Any) -> None:
        await shop.open(hmac=None)
        assert "X-Webhook-Hmac" not in shop.receiver.requests[0].headers

    async def test_goes_to_every_webhook_with_a_request_id_of_its_own(self, shop: Any) -> None:
        session = await shop.open()
        session.config["webhooks"] *= 2
        await shop.waha.receive_text("loja", PERSON, "oi")
        first, second = await shop.receiver.wait_for_count(2, lambda r: r.type == "message.any")
        assert first.body == second.body
        ids = {r.headers["X-Webhook-Request-Id"] for r in (first, second)}
        assert len(ids) == 2


class TestRetries:
    @pytest.mark.parametrize("refusal", [302, 400, 401, 404, 500, 503])
    async def test_anything_but_2xx_is_tried_again(self, shop: Any, refusal: int) -> None:
        await shop.open()
        shop.receiver.answer(Answer(refusal), Answer(refusal), Answer(204))
        await shop.waha.receive_text("loja", PERSON, "oi")
        delivery = await shop.waha.deliveries.wait_for(
            lambda d: d.event == "message.any" and d.state == "accepted"
        )
        assert [a.status for a in delivery.attempts] == [refusal, refusal, 204]
        posts = arrived(shop, "message.any")
        assert len({r.headers["X-Webhook-Request-Id"] for r in posts}) == 1
        assert len({r.body for r in posts}) == 1

    async def test_fifteen_retries_by_default(self, shop: Any) -> None:
        await shop.open()
        shop.receiver.default = Answer(500)
        await shop.waha.receive_text("loja", PERSON, "oi")
        delivery = await shop.waha.deliveries.wait_for(lambda d: d.state == "gave_up")
        assert len(delivery.attempts) == 16
        assert delivery.accepted_at is None
        waited = delivery.attempts[-1].at - delivery.attempts[0].at
        assert waited >= 15 * 2 * 0.01

    async def test_configured_attempts_and_network_errors(self, shop: Any) -> None:
        shop.waha.create_session(
            "loja",
            shop.config(
                url="http://127.0.0.1:9/closed",
                retries={"policy": "linear", "delaySeconds": 1, "attempts": 2},
            ),
        )
        delivery = await shop.waha.deliveries.wait_for(lambda d: d.state == "gave_up")
        assert [a.status for a in delivery.attempts] == [None] * 3
        assert delivery.attempts[0].error == "ClientConnectorError"

    async def test_retry_after_raises_the_delay(self, shop: Any) -> None:
        await shop.open()
        shop.receiver.answer(Answer(503, headers={"Retry-After": "20"}))
        await shop.waha.receive_text("loja", PERSON, "oi")
        delivery = await shop.waha.deliveries.wait_for(
            lambda d: d.event == "message.any" and d.state == "accepted"
        )
        first, second = delivery.attempts
        assert second.at - first.at >= 20 * 0.01

    def test_policies(self) -> None:
        assert [retry_delay("constant", 2, n) for n in (1, 2, 3)] == [2, 2, 2]
        assert [retry_delay("linear", 2, n) for n in (1, 2, 3)] == [2, 4, 6]
        for n, low in ((1, 4), (2, 8), (3, 16)):
            assert low <= retry_delay("exponential", 2, n) <= low * 1.2


class TestWebhookFaults:
    async def test_duplicate(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("duplicate", times=1, copies=3)
        for text in ("one", "two"):
            await shop.waha.receive_text("loja", PERSON, text)
        await shop.webhooks("message.any", 4)
        assert shop.waha.faults.struck == {"duplicate": 1}
        owed = [d for d in shop.waha.deliveries if d.event == "message.any"]
        assert len(owed) == 2

    async def test_drop(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("drop", event="message.any", times=1)
        await shop.waha.receive_text("loja", PERSON, "lost")
        await shop.waha.receive_text("loja", PERSON, "kept")
        (kept,) = await shop.webhooks("message.any")
        assert kept["payload"]["body"] == "kept"
        assert [d.state for d in shop.waha.deliveries if d.state == "dropped"] == ["dropped"]

    async def test_reorder(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("reorder", times=1, seconds=60)
        for text in ("first", "second"):
            await shop.waha.receive_text("loja", PERSON, text)
        events = await shop.webhooks("message.any", 2)
        assert [e["payload"]["body"] for e in events] == ["second", "first"]

    async def test_delay(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("delay", times=1, seconds=0.1)
        began = time.monotonic()
        await shop.waha.receive_text("loja", PERSON, "oi")
        request = await shop.receiver.wait_for(lambda r: r.type == "message.any")
        assert request.arrived_monotonic - began >= 0.1

    async def test_probability_is_reproducible_and_session_narrows(self, shop: Any) -> None:
        faults = shop.waha.faults
        faults.add("drop", probability=0.3, session="loja")
        hits = [bool(faults.strike("drop", "loja")) for _ in range(1000)]
        assert 200 < sum(hits) < 400
        assert faults.strike("drop", "other") is None
        faults.clear("drop")
        assert faults.active() == []

    def test_unknown_fault_is_refused(self, shop: Any) -> None:
        with pytest.raises(ValueError, match="known: duplicate"):
            shop.waha.faults.add("typo")
        with pytest.raises(ValueError, match="tmies"):
            shop.waha.faults.add("drop", tmies=1)


class TestSendFaults:
    async def test_error_before_sends_nothing(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("error_before", times=1)
        status, body = await shop.send_text("segredo")
        assert (status, body["statusCode"]) == (500, 500)
        assert body["exception"]["message"] == "rate-overlimit"
        assert body["request"]["body"]["text"] == "segredo"
        assert not shop.waha.sent
        assert (await shop.send_text())[0] == 201

    async def test_error_after_accept_sends_and_echoes(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("error_after_accept", times=1)
        assert (await shop.send_text(id="3EB0"))[0] == 500
        assert shop.waha.sent["3EB0"].text == "Olá"
        assert len(await shop.webhooks("message.any")) == 1

    async def test_timeout_after_accept_never_answers(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("timeout_after_accept", times=1)
        sending = asyncio.create_task(shop.send_text(id="3EB0"))
        assert len(await shop.webhooks("message.any")) == 1
        assert "3EB0" in shop.waha.sent
        done, _ = await asyncio.wait({sending}, timeout=0.2)
        assert not done
        sending.cancel()

    async def test_refuse_names_the_status_expected(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("refuse", times=1, status="FAILED")
        status, body = await shop.send_text()
        assert (status, body["status"], body["expected"]) == (422, "FAILED", ["WORKING"])
        assert not shop.waha.sent

    async def test_unauthorized(self, shop: Any) -> None:
        await shop.open()
        shop.waha.faults.add("unauthorized", times=1)
        assert (await shop.send_text())[0] == 401
        assert (await shop.send_text())[0] == 201
